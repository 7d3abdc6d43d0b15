// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "reactor/clock.h"

namespace rondo {

/// What a loop has done since it was made. Reading it costs a copy.
struct LoopStats {
  /// Turns of the loop.
  std::uint64_t passes = 0;
  /// Waits for events: epoll_wait(2) calls.
  std::uint64_t polls = 0;
  /// Of these, the ones that were allowed to sleep.
  std::uint64_t sleeps = 0;
  /// Descriptor events that the kernel reported, the loop's own wake-ups not
  /// counted.
  std::uint64_t events = 0;
  /// Callbacks that ran.
  std::uint64_t callbacks = 0;
  /// Of these, callbacks that threw into the exception handler.
  std::uint64_t exceptions = 0;
  /// Timers that became due.
  std::uint64_t timers_fired = 0;
  /// Callbacks that other threads handed over.
  std::uint64_t remote_calls = 0;
  /// Wake-ups from other threads and signal handlers.
  std::uint64_t wakeups = 0;
  /// Times that the epoll set was made anew (and that worked), because the
  /// kernel reported a descriptor that was closed behind the loop's back.
  std::uint64_t rebuilds = 0;
  /// How late the last timer was moved to the ready queue.
  Duration lag{0};
  /// The greatest lag so far.
  Duration lag_max{0};
  /// Time spent in callbacks. Counted while LoopOptions::measure_callbacks,
  /// debug mode or an observer is on: two looks at the clock a callback.
  Duration callback_time{0};
};

/// One line: `passes=12 polls=12 sleeps=3 ...`, times in seconds.
std::string to_string(const LoopStats& stats);

}  // namespace rondo
