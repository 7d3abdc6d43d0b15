// SPDX-License-Identifier: MIT
#pragma once

#include <spdlog/spdlog.h>

#include <cstdio>

namespace rondo {

/// The library's logger: the one that the program registered with spdlog
/// under the name "rondo" before the first line, else one of our own that
/// writes to stderr. No public header includes this.
spdlog::logger& log();

/// Calls `write`, which logs, where nothing may be thrown: without memory for
/// the line, stderr gets a fixed one.
template <class Write>
void log_safely(Write&& write) noexcept {
  try {
    write();
  } catch (...) {
    std::fputs("rondo: a log line was lost for want of memory\n", stderr);
  }
}

}  // namespace rondo
