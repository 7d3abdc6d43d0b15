// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"

// What the servers among the examples have in common around their servers.

/// A port from the command line. Zero lets the kernel choose one.
inline std::uint16_t port_argument(std::string_view text) {
  std::uint16_t port = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, port);
  if (error != std::errc() || rest != end) {
    throw std::invalid_argument("not a port: " + std::string(text));
  }
  return port;
}

/// Runs what `main_coroutine()` gives. Then ends as `python3 program.py` does:
/// with status 0; with 1 and the error on stderr; by SIGINT after a Ctrl-C, so
/// that a shell script that has started it ends, too.
template <class Main>
int run_program(const char* name, Main&& main_coroutine) {
  // Line by line, also into a pipe: a server's log is to be read while it runs.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    rondo::run(std::forward<Main>(main_coroutine)());
    return 0;
  } catch (const rondo::KeyboardInterrupt&) {
    std::fputs("KeyboardInterrupt\n", stderr);
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  }
  return 1;
}
