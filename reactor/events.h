// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace rondo {

/// What can be asked of a descriptor and what epoll_wait(2) reports, as a set
/// of flags with the kernel's own values (epoll_ctl(2)).
enum class Events : std::uint32_t {
  kNone = 0,
  /// EPOLLIN: read() will not block. A drained pipe whose writer is gone
  /// reports kHangup without it.
  kRead = 0x001,
  /// EPOLLPRI: urgent data.
  kPriority = 0x002,
  /// EPOLLOUT: write() will not block.
  kWrite = 0x004,
  /// EPOLLERR: comes unasked.
  kError = 0x008,
  /// EPOLLHUP: both halves are closed. Comes unasked.
  kHangup = 0x010,
  /// EPOLLRDHUP: the peer has closed its writing half.
  kReadHangup = 0x2000,
  /// EPOLLONESHOT: one report, then silence until modify_watch(). Only asked.
  kOneShot = 1u << 30,
  /// EPOLLET: a report for each change instead of for as long as it holds.
  /// Only asked.
  kEdgeTriggered = 1u << 31,
};

/// All flags of both.
constexpr Events operator|(Events a, Events b) noexcept {
  return static_cast<Events>(static_cast<std::uint32_t>(a) |
                             static_cast<std::uint32_t>(b));
}
/// The flags in both.
constexpr Events operator&(Events a, Events b) noexcept {
  return static_cast<Events>(static_cast<std::uint32_t>(a) &
                             static_cast<std::uint32_t>(b));
}
/// Whether `set` has a flag of `flags`.
constexpr bool has(Events set, Events flags) noexcept {
  return (set & flags) != Events::kNone;
}

/// `read|hangup`, or `none`.
std::string to_string(Events events);

}  // namespace rondo
