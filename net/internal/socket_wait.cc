// SPDX-License-Identifier: MIT
#include "net/internal/socket_wait.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "net/internal/system_error.h"
#include "reactor/errors.h"

namespace rondo::detail {

namespace {

/// Whether a call on `fd` would hold up the loop. proc(5) tells without
/// touching it; this is for debug mode, and where there is no /proc nobody is
/// accused.
bool is_blocking(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  std::string word;
  while (info >> word) {
    if (word != "flags:") continue;
    unsigned flags = 0;
    return info >> std::oct >> flags && (flags & O_NONBLOCK) == 0;
  }
  return false;
}

}  // namespace

void SocketWait::begin(EventLoop& loop) {
  const std::string operation = operation_;
  if (fd_ < 0) {
    throw std::invalid_argument(
        operation + ": Invalid file descriptor: " + std::to_string(fd_));
  }
  if (loop.get_debug() && is_blocking(fd_)) {
    throw std::invalid_argument("the socket must be non-blocking");
  }
  FdUses& uses = NetState::of(loop).fd_uses();
  if (uses.has(fd_, FdUse::kTransport)) {
    throw RuntimeError("File descriptor " + std::to_string(fd_) +
                       " is used by a transport");
  }
  if (uses.has(fd_, use_)) {
    throw RuntimeError(operation +
                       "() called while another operation is waiting to " +
                       (use_ == FdUse::kReading ? "read from" : "write to") +
                       " file descriptor " + std::to_string(fd_));
  }
  claim_ = FdUses::Claim(uses, fd_, use_);
  loop_ = &loop;
}

/// What the loop calls. It knows when the loop has let go of it: a socket that
/// was closed below a waiting operation may have given its number to another,
/// which is not to be forgotten in its place.
class SocketWait::Watch {
 public:
  explicit Watch(SocketWait& wait) noexcept : wait_(&wait) {
    wait.watch_ = this;
  }
  Watch(Watch&& other) noexcept : wait_(std::exchange(other.wait_, nullptr)) {
    if (wait_ != nullptr) wait_->watch_ = this;
  }
  Watch& operator=(Watch&&) = delete;
  ~Watch() { forget(); }

  void operator()() const {
    if (wait_ != nullptr && !wait_->ready_.done()) wait_->ready_.set_result();
  }
  void forget() noexcept {
    if (SocketWait* const wait = std::exchange(wait_, nullptr)) {
      wait->watch_ = nullptr;
    }
  }

 private:
  SocketWait* wait_;
};

Step SocketWait::wait() {
  ready_ = Future<void>(*loop_);
  if (watch_ == nullptr) {
    if (use_ == FdUse::kReading) {
      loop_->add_reader(fd_, Watch(*this));
    } else {
      loop_->add_writer(fd_, Watch(*this));
    }
  }
  return Step::wait(ready_);
}

void SocketWait::pause() noexcept {
  if (watch_ == nullptr) return;
  watch_->forget();
  if (use_ == FdUse::kReading) {
    loop_->remove_reader(fd_);
  } else {
    loop_->remove_writer(fd_);
  }
}

void SocketWait::stop() noexcept {
  pause();
  claim_.drop();
}

void SocketWait::fail() const {
  throw std::system_error(errno, std::generic_category(), operation_);
}

bool SocketWait::would_block() noexcept { return detail::would_block(errno); }

}  // namespace rondo::detail
