// SPDX-License-Identifier: MIT
#include "net/internal/pipe_signal.h"

#include <signal.h>

#include <cerrno>
#include <ctime>

namespace rondo::detail {

namespace {

::sigset_t pipe_signal() noexcept {
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  return set;
}

bool is_pending() noexcept {
  ::sigset_t pending;
  return ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGPIPE) == 1;
}

/// Takes one that is pending; the kernel gives the thread's own first. Neither
/// this, which does not wait and so is not interrupted, nor sigpending(2) can
/// fail, so they are no part of the Kernel.
void take_pending() noexcept {
  const ::sigset_t set = pipe_signal();
  const ::timespec no_time{};
  ::sigtimedwait(&set, nullptr, &no_time);
}

}  // namespace

PipeSignalBlocked::PipeSignalBlocked(Kernel& kernel) noexcept
    : kernel_(kernel) {
  const ::sigset_t set = pipe_signal();
  error_ = kernel_.signal_mask(SIG_BLOCK, &set, &before_);
  if (error_ != 0) return;
  // One that is pending although nobody had blocked it cannot be.
  was_pending_ = ::sigismember(&before_, SIGPIPE) == 1 && is_pending();
}

PipeSignalBlocked::~PipeSignalBlocked() {
  if (error_ != 0) return;
  const int error = errno;
  if (was_raised_ && !was_pending_) take_pending();
  if (::sigismember(&before_, SIGPIPE) != 1 &&
      kernel_.signal_mask(SIG_SETMASK, &before_, nullptr) != 0) {
    // Linux gives no reason. Once more, or the program would keep it blocked.
    kernel_.signal_mask(SIG_SETMASK, &before_, nullptr);
  }
  errno = error;
}

ssize_t write_quietly(Kernel& kernel, int fd, const void* data,
                      std::size_t size) noexcept {
  PipeSignalBlocked blocked(kernel);
  if (blocked.error() != 0) {
    errno = blocked.error();
    return -1;
  }
  const ssize_t written = kernel.write(fd, data, size);
  if (written < 0 && errno == EPIPE) blocked.was_raised();
  return written;
}

}  // namespace rondo::detail
