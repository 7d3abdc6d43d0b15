// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"

namespace rondo {

/// A ScriptedKernel for whole stories: time is virtual, descriptors are real,
/// and what another thread, process or peer does while the loop sleeps happens
/// just as it goes to sleep, in a stage. So nothing is left to chance, and
/// nothing can hang: a sleep that nobody would end, and a loop that spins,
/// make the wait fail with ECANCELED, which leaves run_forever().
class StagedKernel : private detail::OwnedVirtualKernel, public ScriptedKernel {
 public:
  StagedKernel() noexcept : ScriptedKernel(virtual_kernel) {}

  /// The next time that the loop goes to sleep and no earlier stage is left,
  /// `stage` happens.
  void when_asleep(std::function<void()> stage) {
    stages_.push_back(std::move(stage));
  }
  /// How many stages have not happened.
  std::size_t stages_left() const noexcept { return stages_.size(); }
  /// Whether a wait was made to fail, and why.
  bool stalled() const noexcept { return stalled_; }
  bool spun() const noexcept { return waits_ > kWaitsMax; }
  /// Takes both back, for another run.
  void begin_again() noexcept {
    stalled_ = false;
    waits_ = 0;
  }

  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) noexcept override;
  int epoll_pwait2(int epoll_fd, ::epoll_event* events, int events_max,
                   std::int64_t timeout_ns) noexcept override;

 private:
  /// More waits than any story needs.
  static constexpr int kWaitsMax = 3000;

  void go_to_sleep(bool may_sleep) noexcept;
  static int give_up() noexcept;

  std::deque<std::function<void()>> stages_;
  int waits_ = 0;
  bool stalled_ = false;
};

}  // namespace rondo
