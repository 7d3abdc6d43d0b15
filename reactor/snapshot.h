// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "reactor/events.h"
#include "reactor/handle.h"
#include "reactor/loop_stats.h"

namespace rondo {

/// The state of a loop as data, at one moment. Made by EventLoop::snapshot().
struct Snapshot {
  /// A descriptor that has callbacks.
  struct Descriptor {
    /// Its number.
    int fd = -1;
    /// What epoll is asked for.
    Events interest = Events::kNone;
    /// The reader's callback, or the watch's; may mean none.
    Handle reader;
    /// The writer's callback; may mean none.
    Handle writer;
  };

  /// EventLoop::time().
  TimePoint time;
  /// EventLoop::is_running().
  bool running = false;
  /// EventLoop::is_closed().
  bool closed = false;
  /// Whether stop() was called and the pass is not over.
  bool stopping = false;
  /// The ready queue, oldest first, cancelled handles included.
  std::vector<Handle> ready;
  /// The timers, soonest first.
  std::vector<TimerHandle> timers;
  /// By number.
  std::vector<Descriptor> descriptors;
  /// EventLoop::stats().
  LoopStats stats;
};

/// A page of text that shows it, one line for each handle.
std::string to_string(const Snapshot& snapshot);

}  // namespace rondo
