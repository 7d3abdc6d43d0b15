// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include "futures/future.h"
#include "futures/operation.h"
#include "net/internal/net_state.h"
#include "reactor/event_loop.h"

namespace rondo::detail {

/// What an operation on a socket of the user's needs: the right to wait for it
/// in one direction, and the waiting.
class SocketWait {
 public:
  SocketWait(int fd, FdUse use, const char* operation) noexcept
      : fd_(fd), use_(use), operation_(operation) {}
  /// Not while it waits.
  SocketWait(SocketWait&&) = default;
  ~SocketWait() { stop(); }

  int fd() const noexcept { return fd_; }
  bool has_begun() const noexcept { return loop_ != nullptr; }
  /// Claims the socket. Throws RuntimeError if a transport has it, or if
  /// another operation waits for the same.
  void begin(EventLoop& loop);
  /// That of begin().
  EventLoop& loop() const noexcept { return *loop_; }
  Kernel& kernel() const noexcept { return NetState::of(*loop_).kernel(); }
  /// Until it is readable, or writable. It stays watched until stop().
  Step wait();
  /// Waits for something else meanwhile.
  void pause() noexcept;
  /// Over: the loop knows it no more, and others may have it.
  void stop() noexcept;
  /// Throws the std::system_error of errno, in the operation's name.
  [[noreturn]] void fail() const;
  /// Whether errno means that it is to wait.
  static bool would_block() noexcept;

 private:
  class Watch;

  const int fd_;
  const FdUse use_;
  const char* const operation_;
  EventLoop* loop_ = nullptr;
  FdUses::Claim claim_;
  Watch* watch_ = nullptr;  // while it is watched
  Future<void> ready_;
};

}  // namespace rondo::detail
