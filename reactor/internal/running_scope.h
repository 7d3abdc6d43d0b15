// SPDX-License-Identifier: MIT
#pragma once

#include "reactor/event_loop.h"

namespace rondo {

/// While it lives, the loop runs on this thread and get_running_loop() is it.
class EventLoop::RunningScope {
 public:
  /// Whether another loop of this thread may be running.
  enum class Inside { kNoLoop, kAnyLoop };

  /// Throws RuntimeError if the loop cannot run now.
  RunningScope(EventLoop& loop, Inside inside);
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;
  ~RunningScope();

 private:
  EventLoop& loop_;
  EventLoop* const outer_;
};

}  // namespace rondo
