// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "reactor/kernel.h"

namespace rondo {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

timespec to_timespec(std::int64_t duration_ns) noexcept {
  return {.tv_sec = duration_ns / kNsPerSecond,
          .tv_nsec = duration_ns % kNsPerSecond};
}

}  // namespace

int LinuxKernel::epoll_create() noexcept {
  return ::epoll_create1(EPOLL_CLOEXEC);
}

int LinuxKernel::epoll_ctl(int epoll_fd, int operation, int fd,
                           epoll_event* event) noexcept {
  return ::epoll_ctl(epoll_fd, operation, fd, event);
}

int LinuxKernel::epoll_wait(int epoll_fd, epoll_event* events, int events_max,
                            int timeout_ms) {
  return ::epoll_wait(epoll_fd, events, events_max, timeout_ms);
}

int LinuxKernel::epoll_pwait2(int epoll_fd, epoll_event* events, int events_max,
                              std::int64_t timeout_ns) {
  const timespec timeout = to_timespec(timeout_ns);
  return ::epoll_pwait2(epoll_fd, events, events_max, &timeout, nullptr);
}

int LinuxKernel::eventfd() noexcept {
  return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

ssize_t LinuxKernel::read(int fd, void* buffer, std::size_t size) noexcept {
  return ::read(fd, buffer, size);
}

ssize_t LinuxKernel::write(int fd, const void* data,
                           std::size_t size) noexcept {
  return ::write(fd, data, size);
}

int LinuxKernel::close(int fd) noexcept { return ::close(fd); }

int LinuxKernel::dup3(int fd, int new_fd) noexcept {
  return ::dup3(fd, new_fd, O_CLOEXEC);
}

int LinuxKernel::sigaction(int signal_number, const struct ::sigaction* action,
                           struct ::sigaction* previous) noexcept {
  return ::sigaction(signal_number, action, previous);
}

std::int64_t LinuxKernel::monotonic_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

int LinuxKernel::sleep_ns(std::int64_t duration_ns) noexcept {
  const timespec duration = to_timespec(duration_ns);
  return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, nullptr);
}

void LinuxKernel::yield() noexcept { ::sched_yield(); }

int LinuxKernel::thread_create(::pthread_t* thread, void* (*start)(void*),
                               void* argument) noexcept {
  return ::pthread_create(thread, nullptr, start, argument);
}

Kernel& linux_kernel() noexcept {
  static LinuxKernel kernel;
  return kernel;
}

}  // namespace rondo
