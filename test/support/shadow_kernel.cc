// SPDX-License-Identifier: MIT
#include "test/support/shadow_kernel.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

namespace rondo::test {
namespace {

/// Whoever is told of a call may spoil errno, which is part of its answer.
class KeepErrno {
 public:
  KeepErrno() = default;
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = error; }
  const int error = errno;
};

}  // namespace

ShadowKernel::ShadowKernel(Kernel& below, const ProgramFiles& files)
    : below_(below), files_(files) {
  registrations_.reserve(1024);
  epoll_fds_.reserve(16);
  reports_.reserve(64);
}

void ShadowKernel::reset(Listener& listener) {
  listener_ = &listener;
  registrations_.clear();
  epoll_fds_.clear();
  sets_ = 0;
}

// -- sets --------------------------------------------------------------------

std::uint32_t ShadowKernel::set_of(int epoll_fd) const {
  for (const EpollFd& known : epoll_fds_) {
    if (known.fd == epoll_fd) return known.set;
  }
  return 0;
}

void ShadowKernel::bind(int epoll_fd, std::uint32_t set) {
  for (EpollFd& known : epoll_fds_) {
    if (known.fd == epoll_fd) {
      known.set = set;
      return;
    }
  }
  epoll_fds_.push_back({epoll_fd, set});
}

int ShadowKernel::epoll_create() noexcept {
  const int fd = below_.epoll_create();
  if (fd >= 0) bind(fd, ++sets_);
  return fd;
}

int ShadowKernel::dup3(int fd, int new_fd) noexcept {
  const int answer = below_.dup3(fd, new_fd);
  if (answer < 0) return answer;
  bind(new_fd, set_of(fd));
  if (new_fd == epoll_fds_.front().fd) listener_->on_renewal();
  return answer;
}

int ShadowKernel::close(int fd) noexcept {
  std::erase_if(epoll_fds_, [&](const EpollFd& e) { return e.fd == fd; });
  return below_.close(fd);
}

// -- registrations -----------------------------------------------------------

bool ShadowKernel::find_in(std::uint32_t set, int number,
                           Serial& serial) const {
  const ProgramFiles::FileId file = files_.file_at(number);
  for (std::size_t i = registrations_.size(); i-- > 0;) {
    const Registration& known = registrations_[i];
    if (known.set == set && known.number == number && known.file == file &&
        !known.removed) {
      serial = static_cast<Serial>(i);
      return true;
    }
  }
  return false;
}

bool ShadowKernel::find(int number, Serial& serial) const {
  return !epoll_fds_.empty() && find_in(epoll_fds_.front().set, number, serial);
}

bool ShadowKernel::is_live(Serial serial) const {
  const Registration& known = registrations_[serial];
  return !known.removed && !epoll_fds_.empty() &&
         known.set == epoll_fds_.front().set;
}

void ShadowKernel::forget_file(ProgramFiles::FileId file) {
  for (Registration& known : registrations_) {
    if (known.file == file) known.removed = true;
  }
}

int ShadowKernel::epoll_ctl(int epoll_fd, int operation, int fd,
                            ::epoll_event* event) noexcept {
  const std::uint32_t set = set_of(epoll_fd);
  Serial serial = 0;
  const bool known = find_in(set, fd, serial);
  if (!known) serial = static_cast<Serial>(registrations_.size());
  ::epoll_event asked = *event;
  asked.data.u64 = serial;
  const int answer = below_.epoll_ctl(epoll_fd, operation, fd, &asked);
  const KeepErrno keep;
  if (answer == 0) {
    const auto interest = static_cast<Events>(event->events);
    if (!known) {
      registrations_.push_back(
          {fd, files_.file_at(fd), set, interest, event->data.u64});
    } else if (operation == EPOLL_CTL_DEL) {
      registrations_[serial].removed = true;
    } else {
      registrations_[serial].interest = interest;
      registrations_[serial].bits = event->data.u64;
    }
  }
  listener_->on_control({operation, fd, answer < 0 ? keep.error : 0, serial,
                         set == epoll_fds_.front().set});
  return answer;
}

// -- waiting -----------------------------------------------------------------

template <class Wait>
int ShadowKernel::wait(Duration timeout, ::epoll_event* events, Wait&& below) {
  listener_->on_wait(timeout);
  const int answer = below();
  const KeepErrno keep;
  if (answer == 0 && timeout == Duration::max()) listener_->on_endless_sleep();
  reports_.clear();
  int wakeups = 0;
  for (int i = 0; i < answer; ++i) {
    ::epoll_event& event = events[i];
    const auto serial = static_cast<Serial>(event.data.u64);
    const Registration& known = registrations_[serial];
    event.data.u64 = known.bits;
    if (known.file == ProgramFiles::kNoFile) {
      ++wakeups;  // the loop's own descriptor
    } else {
      const auto mask = static_cast<Events>(event.events);
      reports_.push_back({serial, known.number, mask});
    }
  }
  listener_->on_waited(reports_, answer < 0, wakeups);
  return answer;
}

int ShadowKernel::epoll_wait(int epoll_fd, ::epoll_event* events,
                             int events_max, int timeout_ms) {
  const bool endless = timeout_ms < 0;
  const Duration timeout =
      endless ? Duration::max()
              : Duration(std::chrono::milliseconds(timeout_ms));
  return wait(timeout, events, [&] {
    return below_.epoll_wait(epoll_fd, events, events_max,
                             endless ? 0 : timeout_ms);
  });
}

int ShadowKernel::epoll_pwait2(int epoll_fd, ::epoll_event* events,
                               int events_max, std::int64_t timeout_ns) {
  return wait(Duration(timeout_ns), events, [&] {
    return below_.epoll_pwait2(epoll_fd, events, events_max, timeout_ns);
  });
}

// -- the rest goes through ---------------------------------------------------

int ShadowKernel::eventfd() noexcept { return below_.eventfd(); }

ssize_t ShadowKernel::read(int fd, void* buffer, std::size_t size) noexcept {
  return below_.read(fd, buffer, size);
}

ssize_t ShadowKernel::write(int fd, const void* data,
                            std::size_t size) noexcept {
  return below_.write(fd, data, size);
}

int ShadowKernel::sigaction(int signal_number, const struct ::sigaction* action,
                            struct ::sigaction* previous) noexcept {
  return below_.sigaction(signal_number, action, previous);
}

std::int64_t ShadowKernel::monotonic_ns() noexcept {
  return below_.monotonic_ns();
}

int ShadowKernel::sleep_ns(std::int64_t duration_ns) noexcept {
  return below_.sleep_ns(duration_ns);
}

void ShadowKernel::yield() noexcept { below_.yield(); }

int ShadowKernel::thread_create(::pthread_t* thread, void* (*start)(void*),
                                void* argument) noexcept {
  return below_.thread_create(thread, start, argument);
}

}  // namespace rondo::test
