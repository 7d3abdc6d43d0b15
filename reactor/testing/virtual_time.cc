// SPDX-License-Identifier: MIT
#include "reactor/testing/virtual_time.h"

#include "reactor/errors.h"

namespace rondo {

int VirtualKernel::epoll_wait(int epoll_fd, ::epoll_event* events,
                              int events_max, int timeout_ms) noexcept {
  return wait(epoll_fd, events, events_max,
              timeout_ms < 0 ? Duration::max()
                             : Duration(std::chrono::milliseconds(timeout_ms)));
}

int VirtualKernel::epoll_pwait2(int epoll_fd, ::epoll_event* events,
                                int events_max,
                                std::int64_t timeout_ns) noexcept {
  return wait(epoll_fd, events, events_max, Duration(timeout_ns));
}

int VirtualKernel::wait(int epoll_fd, ::epoll_event* events, int events_max,
                        Duration timeout) noexcept {
  const int count = LinuxKernel::epoll_wait(epoll_fd, events, events_max, 0);
  if (count != 0 || timeout == Duration::zero()) return count;
  const bool others_work = remote_ != nullptr && remote_->external_work() > 0;
  if (others_work || timeout == Duration::max()) {
    // Whoever is to wake us lives in real time.
    return LinuxKernel::epoll_wait(epoll_fd, events, events_max, -1);
  }
  now_ = saturating_add(now_, timeout);
  return 0;
}

std::int64_t VirtualKernel::monotonic_ns() noexcept {
  return now_.time_since_epoch().count();
}

int VirtualKernel::sleep_ns(std::int64_t duration_ns) noexcept {
  now_ = saturating_add(now_, Duration(duration_ns));
  return 0;
}

VirtualTimeLoop::VirtualTimeLoop(LoopOptions options)
    : EventLoop(options.kernel(virtual_kernel)) {
  virtual_kernel.wait_for_work_of(remote_queue());
}

void VirtualTimeLoop::advance(Duration duration) {
  // Made last, so it runs behind all that is due at the same moment.
  const ScopedHandle end(call_later(duration, [this] { stop(); }));
  run_forever();
  run_ready_now();
}

void VirtualTimeLoop::run_until_idle() {
  for (;;) {
    run_ready_now();
    const bool has_timer = next_timeout() != Duration::max();
    if (!has_timer && remote_queue()->external_work() == 0) return;
    run_once();
    if (is_stopping()) return forget_stop();
  }
}

/// Runs passes until nothing is ready at this moment.
void VirtualTimeLoop::run_ready_now() {
  for (int passes = 0; found_ready(); ++passes) {
    if (passes == kPassesMax) {
      throw RuntimeError("callbacks keep scheduling each other: " +
                         std::to_string(kPassesMax) +
                         " passes without time moving on");
    }
    run_ready();
    if (is_stopping()) return forget_stop();
  }
}

bool VirtualTimeLoop::found_ready() {
  poll_events(Duration::zero());
  collect();
  return next_timeout() == Duration::zero();
}

}  // namespace rondo
