// SPDX-License-Identifier: MIT
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "bench/peers/worker.h"

// What its manual says of an io_context that one thread runs: fewer wakings,
// and what a handler posts goes to a queue of the thread's own.
constexpr int kOneThread = 1;

/// The io_context of a program that does more than to post: one with a timer
/// in it, say. Until there is something to wait for, an io_context has no
/// reactor, never polls, and would be compared with event loops though it is
/// none yet.
class Context : public asio::io_context {
 public:
  explicit Context(int concurrency_hint = kOneThread)
      : asio::io_context(concurrency_hint), timer_(*this) {}

 private:
  asio::steady_timer timer_;
};

void add_callbacks(peers::Program& program);
void add_coroutines(peers::Program& program);
void add_servers(peers::Program& program);
