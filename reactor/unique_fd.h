// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "reactor/kernel.h"

namespace rondo {

/// Owns one file descriptor and closes it.
///
/// A descriptor that a loop watches must be taken out of the loop first
/// (remove_reader, remove_writer, unwatch): closing alone leaves the kernel's
/// registration behind when the descriptor was duplicated (epoll(7), Q6).
class UniqueFd {
 public:
  /// Owns nothing.
  UniqueFd() noexcept = default;
  /// Takes `fd`; a negative one means none.
  explicit UniqueFd(int fd, Kernel& kernel = linux_kernel()) noexcept
      : kernel_(&kernel), fd_(fd) {}
  /// Takes over what `other` owned.
  UniqueFd(UniqueFd&& other) noexcept
      : kernel_(other.kernel_), fd_(other.release()) {}
  /// Closes its own descriptor, then takes over what `other` owned.
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    UniqueFd taken(std::move(other));
    std::swap(kernel_, taken.kernel_);
    std::swap(fd_, taken.fd_);
    return *this;
  }
  ~UniqueFd() { reset(); }

  /// The descriptor, or a negative number.
  int get() const noexcept { return fd_; }
  /// Whether it owns a descriptor.
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away, unclosed.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the descriptor now.
  void reset() noexcept {
    if (fd_ >= 0) kernel_->close(std::exchange(fd_, -1));
  }

 private:
  Kernel* kernel_ = &linux_kernel();
  int fd_ = -1;
};

}  // namespace rondo
