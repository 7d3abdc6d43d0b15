// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "bench/load/histogram.h"

namespace load {

/// What the command line says.
struct Options {
  std::string mode = "echo";
  std::uint16_t port = 0;
  std::size_t connections = 1;
  std::size_t bytes = 64;
  std::size_t depth = 1;
  bool spin = false;
};

/// What one line on standard input says: how long to go on, or for how many
/// messages, and how many a second (0: as fast as the answers come).
struct Order {
  double seconds = 0;
  std::uint64_t messages = 0;
  double rate = 0;
};

/// Ends the program: the server does not do its work.
[[noreturn]] void fail(const std::string& message);

/// The same with what errno says.
[[noreturn]] void fail_errno(const std::string& what);

/// Nanoseconds of the monotonic clock.
std::int64_t now_ns();

/// A connected socket; each has TCP_NODELAY and does not block.
int connect_to(std::uint16_t port);

/// Says that all is ready.
void say_begin();

/// The next order, or false at the end of standard input.
bool next_order(Order& order);

/// One line of JSON: what was done, and how long each took.
struct Report {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::int64_t took_ns = 0;
  const Histogram& latency;
  const Histogram& late;  // how far behind its intended time each was sent
};
void print(const Report& report);

/// The modes.
void run_echo(const Options& options);
void run_accept(const Options& options);
void run_idle(const Options& options);

}  // namespace load
