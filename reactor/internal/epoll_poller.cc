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

::epoll_event make_event(Events interest, Token token) {
  ::epoll_event event{};
  event.events = static_cast<std::uint32_t>(interest);
  event.data.u64 = std::bit_cast<std::uint64_t>(token);
  return event;
}

/// What a call of the kernel that answered `answer` said.
std::errc error_of(int answer) {
  return answer < 0 ? static_cast<std::errc>(errno) : std::errc();
}

int create(Kernel& kernel) {
  const int fd = kernel.epoll_create();
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_create1");
  }
  return fd;
}

Duration round_up(Duration timeout, Duration step) {
  const Duration beyond = timeout % step;
  if (beyond == Duration::zero() || timeout > Duration::max() - step) {
    return timeout;
  }
  return timeout - beyond + step;
}

}  // namespace

EpollPoller::EpollPoller(Kernel& kernel, Duration resolution)
    : kernel_(kernel),
      resolution_(resolution),
      epoll_fd_(create(kernel), kernel),
      events_(std::make_unique<::epoll_event[]>(kEventsMax)),
      uses_pwait2_(resolution % milliseconds(1) != Duration::zero()) {}

EpollPoller::~EpollPoller() = default;

std::errc EpollPoller::add(int fd, Events interest, Token token) noexcept {
  ::epoll_event event = make_event(interest, token);
  return error_of(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &event));
}

std::errc EpollPoller::modify(int fd, Events interest, Token token) noexcept {
  ::epoll_event event = make_event(interest, token);
  return error_of(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_MOD, fd, &event));
}

std::errc EpollPoller::remove(int fd) noexcept {
  // Kernels before 2.6.9 wanted an event here too (epoll_ctl(2), BUGS).
  ::epoll_event event{};
  return error_of(
      kernel_.epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, fd, &event));
}

int EpollPoller::round_up_to_ms(Duration timeout) const noexcept {
  if (timeout == Duration::max()) return -1;
  // Up, not down: 400 us cut to 0 ms would spin until the deadline.
  const auto timeout_ms =
      ceil<milliseconds>(round_up(timeout, resolution_)).count();
  return static_cast<int>(std::min<std::int64_t>(timeout_ms, INT_MAX));
}

int EpollPoller::wait_finely(Duration timeout) {
  const int count = kernel_.epoll_pwait2(
      fd(), events_.get(), kEventsMax, round_up(timeout, resolution_).count());
  // Linux before 5.11; EPERM from a container's filter that does not know it.
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  uses_pwait2_ = false;
  return kernel_.epoll_wait(fd(), events_.get(), kEventsMax,
                            round_up_to_ms(timeout));
}

void EpollPoller::check_interrupted() const {
  // Interrupted: the next pass works out what is left of the timeout.
  if (errno == EINTR) return;
  throw std::system_error(
      errno, std::generic_category(),
      "epoll_wait on the loop's descriptor " + std::to_string(fd()));
}

PolledEvent EpollPoller::event(std::size_t index) const noexcept {
  const ::epoll_event& event = events_[index];
  const std::uint64_t data = event.data.u64;  // packed: no reference to it
  return {std::bit_cast<Token>(data), static_cast<Events>(event.events)};
}

std::errc EpollPoller::begin_renewal() noexcept {
  const int fd = kernel_.epoll_create();
  renewal_fd_ = UniqueFd(fd, kernel_);
  return error_of(fd);
}

std::errc EpollPoller::add_to_renewal(int fd, Events interest,
                                      Token token) noexcept {
  ::epoll_event event = make_event(interest, token);
  return error_of(
      kernel_.epoll_ctl(renewal_fd_.get(), EPOLL_CTL_ADD, fd, &event));
}

std::errc EpollPoller::finish_renewal() noexcept {
  const std::errc error = error_of(kernel_.dup3(renewal_fd_.get(), fd()));
  renewal_fd_.reset();
  return error;
}

}  // namespace rondo::detail
