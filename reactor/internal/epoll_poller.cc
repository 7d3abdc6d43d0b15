// SPDX-License-Identifier: MIT
#include "reactor/internal/epoll_poller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>

namespace rondo::detail {
namespace {

using std::chrono::ceil;
using std::chrono::milliseconds;

// Reports taken at once. The kernel hands out the rest in the next pass, from
// where it left off, so none of many ready descriptors starves.
constexpr std::size_t kEventsMax = 1024;

::epoll_event make_event(Events interest, Token token) {
  ::epoll_event event{};
  event.events = static_cast<std::uint32_t>(interest);
  event.data.u64 = std::bit_cast<std::uint64_t>(token);
  return event;
}

std::errc to_error(int answer) { return static_cast<std::errc>(-answer); }

int create(Kernel& kernel) {
  const int fd = kernel.epoll_create();
  if (fd < 0) {
    throw std::system_error(-fd, std::generic_category(), "epoll_create1");
  }
  return fd;
}

Duration round_up(Duration timeout, Duration step) {
  const Duration beyond = timeout % step;
  return beyond == Duration::zero() ? timeout : timeout - beyond + step;
}

}  // namespace

EpollPoller::EpollPoller(Kernel& kernel)
    : kernel_(kernel), epoll_fd_(create(kernel), kernel), events_(kEventsMax) {}

EpollPoller::~EpollPoller() = default;

std::errc EpollPoller::add(int fd, Events interest, Token token) noexcept {
  ::epoll_event event = make_event(interest, token);
  return to_error(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &event));
}

std::errc EpollPoller::modify(int fd, Events interest, Token token) noexcept {
  ::epoll_event event = make_event(interest, token);
  return to_error(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_MOD, fd, &event));
}

std::errc EpollPoller::remove(int fd) noexcept {
  // Kernels before 2.6.9 wanted an event here too (epoll_ctl(2), BUGS).
  ::epoll_event event{};
  return to_error(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, fd, &event));
}

std::size_t EpollPoller::wait(Duration timeout, Duration resolution) {
  const int count = wait_once(timeout, resolution);
  // Interrupted: the next pass works out what is left of the timeout.
  if (count == -EINTR) return 0;
  if (count < 0) {
    throw std::system_error(
        -count, std::generic_category(),
        "epoll_wait on the loop's descriptor " + std::to_string(fd()));
  }
  return static_cast<std::size_t>(count);
}

int EpollPoller::wait_once(Duration timeout, Duration resolution) noexcept {
  const int max = static_cast<int>(kEventsMax);
  if (timeout == Duration::max()) {
    return kernel_.epoll_wait(fd(), events_.data(), max, -1);
  }
  if (has_pwait2_ && timeout > Duration::zero() &&
      resolution % milliseconds(1) != Duration::zero()) {
    const int count =
        kernel_.epoll_pwait2(fd(), events_.data(), max,
                             round_up(timeout, resolution).count());
    if (count != -ENOSYS) return count;
    has_pwait2_ = false;  // Linux before 5.11
  }
  // Up, not down: 400 us cut to 0 ms would spin until the deadline.
  const auto timeout_ms =
      ceil<milliseconds>(round_up(timeout, resolution)).count();
  return kernel_.epoll_wait(
      fd(), events_.data(), max,
      static_cast<int>(std::min<std::int64_t>(timeout_ms, INT_MAX)));
}

PolledEvent EpollPoller::event(std::size_t index) const noexcept {
  const ::epoll_event& event = events_[index];
  const std::uint64_t data = event.data.u64;  // packed: no reference to it
  return {std::bit_cast<Token>(data), static_cast<Events>(event.events)};
}

std::errc EpollPoller::renew() noexcept {
  const int fresh = kernel_.epoll_create();
  if (fresh < 0) return to_error(fresh);
  const UniqueFd closer(fresh, kernel_);
  return to_error(std::min(0, kernel_.dup3(fresh, fd())));
}

}  // namespace rondo::detail
