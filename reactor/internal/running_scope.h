// SPDX-License-Identifier: MIT
#pragma once

#include "reactor/event_loop.h"

namespace rondo {

/// While it lives, the loop runs on this thread and get_running_loop() is it.
class EventLoop::RunningScope {
 public:
  /// Throws RuntimeError if the loop cannot run now.
  explicit RunningScope(EventLoop& loop);
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;
  ~RunningScope();

 private:
  EventLoop& loop_;
};

}  // namespace rondo
