// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <system_error>

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
  /// A set whose sleeps end on multiples of `resolution`, rounded up.
  /// Throws std::system_error if there is no descriptor to be had.
  EpollPoller(Kernel& kernel, Duration resolution);
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;
  ~EpollPoller();

  /// The epoll descriptor itself.
  int fd() const noexcept { return epoll_fd_.get(); }

  std::errc add(int fd, Events interest, Token token) noexcept;
  std::errc modify(int fd, Events interest, Token token) noexcept;
  std::errc remove(int fd) noexcept;

  /// Sleeps until something is ready or `timeout` has passed; for ever if it
  /// is Duration::max(). Returns how many events there are; a signal that
  /// interrupts counts as none. Throws std::system_error if the set itself is
  /// broken. In the header, as every frame above the system call counts (see
  /// Kernel).
  std::size_t wait(Duration timeout) {
    const int timeout_ms =
        timeout == Duration::zero() ? 0 : round_up_to_ms(timeout);
    const int count =
        uses_pwait2_ && timeout_ms > 0
            ? wait_finely(timeout)
            : kernel_.epoll_wait(fd(), events_.get(), kEventsMax, timeout_ms);
    if (count >= 0) [[likely]]
      return static_cast<std::size_t>(count);
    check_interrupted();
    return 0;
  }

  /// What the last wait() found.
  PolledEvent event(std::size_t index) const noexcept;

  /// Closes the set. fd() is negative from then on.
  void close() noexcept { epoll_fd_.reset(); }

  /// Begins a new set, which takes the old one's place when all is in it:
  /// until finish_renewal() the old one stays in force.
  std::errc begin_renewal() noexcept;
  /// add() to the new set.
  std::errc add_to_renewal(int fd, Events interest, Token token) noexcept;
  /// Puts the new set behind the old one's descriptor number.
  std::errc finish_renewal() noexcept;
  /// Drops the new set.
  void abandon_renewal() noexcept { renewal_fd_.reset(); }

 private:
  // Reports taken at once. The kernel hands out the rest in the next pass,
  // from where it left off, so none of many ready descriptors starves. Few, for
  // what a pass begins it should end while it is in the cache: a thousand
  // messages read and not yet answered are a thousand buffers.
  static constexpr int kEventsMax = 64;

  int round_up_to_ms(Duration timeout) const noexcept;
  int wait_finely(Duration timeout);
  void check_interrupted() const;

  Kernel& kernel_;
  const Duration resolution_;
  UniqueFd epoll_fd_;
  UniqueFd renewal_fd_;
  const std::unique_ptr<::epoll_event[]> events_;
  bool uses_pwait2_;  // for a resolution below a millisecond
};

}  // namespace rondo::detail
