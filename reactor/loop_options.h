// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "reactor/clock.h"
#include "reactor/kernel.h"

namespace rondo {

/// How a loop is to behave, as a chain of setters:
///
///     EventLoop loop(LoopOptions().timer_resolution(50us));
class LoopOptions {
 public:
  /// All defaults.
  LoopOptions() noexcept = default;

  /// Sleeps end on a multiple of this, rounded up. One millisecond by
  /// default, as in asyncio: timers made one after the other in one pass then
  /// run in one pass, and programs rely on the order that follows. A value
  /// that is no whole number of milliseconds uses epoll_pwait2(2) (Linux
  /// 5.11; before that, whole milliseconds). Must be positive.
  LoopOptions& timer_resolution(Duration value) noexcept {
    timer_resolution_ = value;
    return *this;
  }
  /// How many passes may run from one poll to the next while callbacks are
  /// ready. 1 by default, as in asyncio. With n, a chain of call_soon() costs
  /// an n-th of the system calls; descriptors, other threads and timers wait
  /// for up to n passes. Must be positive.
  LoopOptions& passes_per_poll(unsigned value) noexcept {
    passes_per_poll_ = value;
    return *this;
  }
  /// How long to look for events without sleeping before the loop sleeps.
  /// Zero by default. Saves the wake-up latency of an idle processor and
  /// costs that much processor time before each sleep.
  LoopOptions& busy_poll(Duration value) noexcept {
    busy_poll_ = value;
    return *this;
  }
  /// Whether to count LoopStats::callback_time. Off by default: two looks at
  /// the clock a callback.
  LoopOptions& measure_callbacks(bool value) noexcept {
    measure_callbacks_ = value;
    return *this;
  }
  /// Debug mode from the start, as EventLoop::set_debug().
  LoopOptions& debug(bool value) noexcept {
    debug_ = value;
    return *this;
  }
  /// The kernel to run on. It outlives the loop.
  LoopOptions& kernel(Kernel& value) noexcept {
    kernel_ = &value;
    return *this;
  }

  /// What was set, or the default.
  Duration timer_resolution() const noexcept { return timer_resolution_; }
  /// What was set, or the default.
  unsigned passes_per_poll() const noexcept { return passes_per_poll_; }
  /// What was set, or the default.
  Duration busy_poll() const noexcept { return busy_poll_; }
  /// What was set, or the default.
  bool measure_callbacks() const noexcept { return measure_callbacks_; }
  /// What was set, or the default.
  bool debug() const noexcept { return debug_; }
  /// What was set, or the default.
  Kernel& kernel() const noexcept { return *kernel_; }

 private:
  Duration timer_resolution_ = std::chrono::milliseconds(1);
  Duration busy_poll_{0};
  Kernel* kernel_ = &linux_kernel();
  unsigned passes_per_poll_ = 1;
  bool measure_callbacks_ = false;
  bool debug_ = false;
};

}  // namespace rondo
