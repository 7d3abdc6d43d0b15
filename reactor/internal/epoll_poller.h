// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <system_error>
#include <vector>

#include "reactor/clock.h"
#include "reactor/events.h"
#include "reactor/unique_fd.h"

struct epoll_event;

namespace rondo::detail {

/// What epoll hands back for a registration: the descriptor and which of its
/// registrations it was. The number alone is no identity: it is reused.
struct Token {
  std::uint32_t fd;
  std::uint32_t generation;

  /// The loop's own wake-up descriptor. No table slot has this number.
  static constexpr Token waker() { return {UINT32_MAX, UINT32_MAX}; }
  bool is_waker() const { return fd == UINT32_MAX; }
};

/// One report of epoll_wait(2).
struct PolledEvent {
  Token token;
  Events events;
};

/// An epoll set. Knows the kernel's calls and nothing of callbacks.
///
/// The registering calls answer with the kernel's error: they leave it to
/// FdTable what that means.
class EpollPoller {
 public:
  /// Throws std::system_error if there is no descriptor to be had.
  explicit EpollPoller(Kernel& kernel);
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;
  ~EpollPoller();

  /// The epoll descriptor itself.
  int fd() const noexcept { return epoll_fd_.get(); }

  std::errc add(int fd, Events interest, Token token) noexcept;
  std::errc modify(int fd, Events interest, Token token) noexcept;
  std::errc remove(int fd) noexcept;

  /// Sleeps until something is ready or `timeout` has passed; for ever if it
  /// is Duration::max(). Rounds up to `resolution`. Returns how many events
  /// there are; a signal that interrupts counts as none. Throws
  /// std::system_error if the set itself is broken.
  std::size_t wait(Duration timeout, Duration resolution);

  /// What the last wait() found.
  PolledEvent event(std::size_t index) const noexcept;

  /// Closes the set. fd() is negative from then on.
  void close() noexcept { epoll_fd_.reset(); }

  /// Puts a new, empty set behind the same descriptor number.
  std::errc renew() noexcept;

 private:
  int wait_once(Duration timeout, Duration resolution) noexcept;

  Kernel& kernel_;
  UniqueFd epoll_fd_;
  std::vector<::epoll_event> events_;
  bool has_pwait2_ = true;
};

}  // namespace rondo::detail
