// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include "reactor/testing/virtual_time.h"

namespace rondo {

/// A virtual kernel that writes down how long each wait was allowed to take,
/// in the order asked: Duration::max() for one without an end. For tests of
/// when, and for how long, a loop sleeps.
///
/// A wait without an end in which nothing is ready would hang the test, so it
/// returns at once.
class RecordingKernel : public VirtualKernel {
 public:
  using VirtualKernel::VirtualKernel;

  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) noexcept override {
    const bool endless = timeout_ms < 0;
    waits.push_back(endless ? Duration::max()
                            : Duration(std::chrono::milliseconds(timeout_ms)));
    return VirtualKernel::epoll_wait(epoll_fd, events, events_max,
                                     endless ? 0 : timeout_ms);
  }

  int epoll_pwait2(int epoll_fd, ::epoll_event* events, int events_max,
                   std::int64_t timeout_ns) noexcept override {
    waits.push_back(Duration(timeout_ns));
    return VirtualKernel::epoll_pwait2(epoll_fd, events, events_max,
                                       timeout_ns);
  }

  /// How many of the waits were allowed to sleep.
  std::ptrdiff_t sleeps() const {
    return std::count_if(waits.begin(), waits.end(),
                         [](Duration wait) { return wait > Duration(0); });
  }

  /// What was asked so far.
  std::vector<Duration> waits;
};

}  // namespace rondo
