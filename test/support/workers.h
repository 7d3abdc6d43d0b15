// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "futures/errors.h"
#include "futures/process_pool.h"
#include "reactor/event_loop.h"
#include "test/support/passes.h"

// For tests of a ProcessPool, whose workers live in real time.

namespace rondo::test {

/// Whether `future` is done, after at most a patience that is far more than
/// that takes.
template <class F>
bool wait_for_end(EventLoop& loop, const F& future) {
  return run_until(loop, [&] { return future.done(); });
}

/// What the call ends with: its result.
template <class... Args>
auto result_of(EventLoop& loop, ProcessPool& pool, Args&&... args) {
  auto future = pool.submit(loop, std::forward<Args>(args)...);
  EXPECT_TRUE(wait_for_end(loop, future));
  return std::move(future).take_result();
}

/// What the call throws, as its repr.
template <class... Args>
std::string error_of(EventLoop& loop, ProcessPool& pool, Args&&... args) {
  const auto future = pool.submit(loop, std::forward<Args>(args)...);
  EXPECT_TRUE(wait_for_end(loop, future));
  return repr(future.exception());
}

/// Whether `pid` is a child of ours, alive or a zombie.
bool is_child(::pid_t pid);
/// Whether the process has ended within some seconds.
bool has_ended_soon(::pid_t pid);

}  // namespace rondo::test
