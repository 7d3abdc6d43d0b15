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
    // Without a busy poll: it would wait for a clock that stands still.
    : EventLoop(options.kernel(virtual_kernel).busy_poll(Duration::zero())) {
  virtual_kernel.wait_for_work_of(remote_queue());
}

void VirtualTimeLoop::advance(Duration duration) {
  bool ended = false;
  // Made last, so it runs behind all that is due at the same moment.
  const ScopedHandle end(call_later(duration, [&] { ended = true; }));
  run_passes([&] { return !ended || has_ready(); });
}

void VirtualTimeLoop::run_until_idle() {
  run_passes([&] {
    return has_ready() || next_timeout() != Duration::max() ||
           remote_queue()->external_work() > 0;
  });
}

template <class GoOn>
void VirtualTimeLoop::run_passes(GoOn&& go_on) {
  TimePoint moment = time();
  int passes = 0;
  while (go_on()) {
    run_once();
    if (is_stopping()) return forget_stop();
    if (time() != moment) {
      moment = time();
      passes = 0;
    } else if (++passes > kPassesMax) {
      throw RuntimeError("callbacks keep scheduling each other: " +
                         std::to_string(kPassesMax) +
                         " passes without time moving on");
    }
  }
}

bool VirtualTimeLoop::has_ready() {
  poll_events(Duration::zero());
  collect();
  return next_timeout() == Duration::zero();
}

}  // namespace rondo
