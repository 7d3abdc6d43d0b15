// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "reactor/event_loop.h"

namespace rondo {

/// A kernel whose clock stands still, except that a wait for events in which
/// nothing happens moves it on by its whole timeout at once. Descriptors are
/// real.
class VirtualKernel : public LinuxKernel {
 public:
  /// Starts at `start`.
  explicit VirtualKernel(TimePoint start = TimePoint(Duration(0))) noexcept
      : now_(start) {}

  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) noexcept override;
  int epoll_pwait2(int epoll_fd, ::epoll_event* events, int events_max,
                   std::int64_t timeout_ns) noexcept override;
  std::int64_t monotonic_ns() noexcept override;
  int sleep_ns(std::int64_t duration_ns) noexcept override;

  /// Moves the clock by hand, as if the running callback took that long.
  void spend(Duration duration) noexcept {
    now_ = saturating_add(now_, duration);
  }
  /// While `remote` knows of work in other threads the clock does not jump:
  /// the wait is a real one.
  void wait_for_work_of(std::shared_ptr<RemoteQueue> remote) noexcept {
    remote_ = std::move(remote);
  }

 private:
  int wait(int epoll_fd, ::epoll_event* events, int events_max,
           Duration timeout) noexcept;

  TimePoint now_;
  std::shared_ptr<RemoteQueue> remote_;
};

namespace detail {

/// Comes before the loop in VirtualTimeLoop, so that the loop can use it.
struct OwnedVirtualKernel {
  VirtualKernel virtual_kernel;
};

}  // namespace detail

/// A loop whose time is virtual: an hour of timers runs in a millisecond,
/// always in the same order. For tests.
///
///     VirtualTimeLoop loop;
///     loop.call_later(1h, [&] { rang = true; });
///     loop.advance(1h);
///     EXPECT_TRUE(rang);
///
/// Time stands still while callbacks run and while a thread-pool job of this
/// loop is out (RemoteQueue::begin_external_work); it jumps to the next timer
/// when nothing is ready. Sleeps are rounded to the timer resolution as on a
/// real loop, so the order is the same. Descriptors are real: what is
/// readable is found before time moves.
class VirtualTimeLoop : private detail::OwnedVirtualKernel, public EventLoop {
 public:
  /// A loop at time zero. The options' kernel is not used.
  explicit VirtualTimeLoop(LoopOptions options = LoopOptions());

  /// Runs the loop until `duration` has passed, with all that is due in it
  /// and what that schedules for the same moment, or until stop(). Throws
  /// RuntimeError if callbacks keep scheduling each other without time moving
  /// on (after kPassesMax passes).
  void advance(Duration duration);

  /// Runs until nothing is ready, no timer is left and no external work is
  /// out, or until stop(). Timers that never come (TimePoint::max()) do not
  /// count. Same error as advance().
  void run_until_idle();

  /// Moves time on while a callback runs, as if it had taken that long.
  void spend(Duration duration) noexcept { virtual_kernel.spend(duration); }

  /// How many passes may go by without a moment passing.
  static constexpr int kPassesMax = 100'000;

 private:
  template <class GoOn>
  void run_passes(GoOn&& go_on);
  bool has_ready();
};

}  // namespace rondo
