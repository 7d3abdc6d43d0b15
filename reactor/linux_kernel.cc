// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

int LinuxKernel::poll(::pollfd* descriptors, std::size_t count,
                      int timeout_ms) noexcept {
  return ::poll(descriptors, count, timeout_ms);
}

int LinuxKernel::socketpair(int* both) noexcept {
  return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both);
}

ssize_t LinuxKernel::recv(int fd, void* buffer, std::size_t size,
                          int flags) noexcept {
  return ::recv(fd, buffer, size, flags);
}

ssize_t LinuxKernel::send(int fd, const void* data, std::size_t size,
                          int flags) noexcept {
  return ::send(fd, data, size, flags);
}

int LinuxKernel::socket(int family, int type, int protocol) noexcept {
  return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

int LinuxKernel::bind(int fd, const sockaddr* address, unsigned size) noexcept {
  return ::bind(fd, address, size);
}

int LinuxKernel::listen(int fd, int backlog) noexcept {
  return ::listen(fd, backlog);
}

int LinuxKernel::accept(int fd, sockaddr* address, unsigned* size) noexcept {
  return ::accept4(fd, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int LinuxKernel::connect(int fd, const sockaddr* address,
                         unsigned size) noexcept {
  return ::connect(fd, address, size);
}

int LinuxKernel::shutdown(int fd, int how) noexcept {
  return ::shutdown(fd, how);
}

int LinuxKernel::getsockname(int fd, sockaddr* address,
                             unsigned* size) noexcept {
  return ::getsockname(fd, address, size);
}

int LinuxKernel::getpeername(int fd, sockaddr* address,
                             unsigned* size) noexcept {
  return ::getpeername(fd, address, size);
}

int LinuxKernel::getsockopt(int fd, int level, int name, void* value,
                            unsigned* size) noexcept {
  return ::getsockopt(fd, level, name, value, size);
}

int LinuxKernel::setsockopt(int fd, int level, int name, const void* value,
                            unsigned size) noexcept {
  return ::setsockopt(fd, level, name, value, size);
}

ssize_t LinuxKernel::sendmsg(int fd, const msghdr* message,
                             int flags) noexcept {
  return ::sendmsg(fd, message, flags);
}

ssize_t LinuxKernel::recvfrom(int fd, void* buffer, std::size_t size, int flags,
                              sockaddr* address,
                              unsigned* address_size) noexcept {
  return ::recvfrom(fd, buffer, size, flags, address, address_size);
}

ssize_t LinuxKernel::sendto(int fd, const void* data, std::size_t size,
                            int flags, const sockaddr* address,
                            unsigned address_size) noexcept {
  return ::sendto(fd, data, size, flags, address, address_size);
}

int LinuxKernel::recvmmsg(int fd, mmsghdr* messages, unsigned count,
                          int flags) noexcept {
  return ::recvmmsg(fd, messages, count, flags, nullptr);
}

int LinuxKernel::sendmmsg(int fd, mmsghdr* messages, unsigned count,
                          int flags) noexcept {
  return ::sendmmsg(fd, messages, count, flags);
}

ssize_t LinuxKernel::sendfile(int to, int from, ::off_t* offset,
                              std::size_t size) noexcept {
  return ::sendfile(to, from, offset, size);
}

int LinuxKernel::pipe(int* both) noexcept { return ::pipe2(both, O_CLOEXEC); }

ssize_t LinuxKernel::pread(int fd, void* buffer, std::size_t size,
                           ::off_t offset) noexcept {
  return ::pread(fd, buffer, size, offset);
}

int LinuxKernel::fstat(int fd, struct ::stat* status) noexcept {
  return ::fstat(fd, status);
}

int LinuxKernel::set_blocking(int fd, bool blocking) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -1;
  const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  return wanted == flags ? 0 : ::fcntl(fd, F_SETFL, wanted);
}

int LinuxKernel::spawn(::pid_t* process, const char* file,
                       const ::posix_spawn_file_actions_t* actions,
                       const ::posix_spawnattr_t* attributes, char* const* argv,
                       char* const* environment) noexcept {
  return ::posix_spawnp(process, file, actions, attributes, argv, environment);
}

::pid_t LinuxKernel::fork() noexcept { return ::fork(); }

::pid_t LinuxKernel::getpid() noexcept { return ::getpid(); }

::pid_t LinuxKernel::getppid() noexcept { return ::getppid(); }

// The C library has wrappers of these since 2.36, which is newer than what
// some of our users have.
int LinuxKernel::pidfd_open(::pid_t process) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_open, process, 0U));
}

int LinuxKernel::pidfd_send_signal(int process_fd, int signal_number) noexcept {
  return static_cast<int>(
      ::syscall(SYS_pidfd_send_signal, process_fd, signal_number, nullptr, 0U));
}

int LinuxKernel::waitid(int id_type, ::id_t id, ::siginfo_t* info,
                        int options) noexcept {
  return ::waitid(static_cast<::idtype_t>(id_type), id, info, options);
}

int LinuxKernel::kill(::pid_t process, int signal_number) noexcept {
  return ::kill(process, signal_number);
}

int LinuxKernel::signal_mask(int how, const ::sigset_t* mask,
                             ::sigset_t* previous) noexcept {
  return ::pthread_sigmask(how, mask, previous);
}

int LinuxKernel::set_parent_death_signal(int signal_number) noexcept {
  return ::prctl(PR_SET_PDEATHSIG, signal_number);
}

int LinuxKernel::descriptor_flags(int fd) noexcept {
  return ::fcntl(fd, F_GETFD);
}

Kernel& linux_kernel() noexcept {
  static LinuxKernel kernel;
  return kernel;
}

}  // namespace rondo
