// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "net/address.h"
#include "reactor/kernel.h"

namespace rondo::detail {

/// Where one recvmmsg(2) puts its datagrams: memory that all endpoints of a
/// loop share. The kernel gives its pages when they are first touched.
class DatagramBatch {
 public:
  /// How many one call reads, or writes.
  static constexpr unsigned kMost = 32;
  /// No datagram of UDP is longer (RFC 768; jumbograms are not for it).
  static constexpr std::size_t kUdpBytes = std::size_t{64} * 1024;
  /// asyncio's max_size: for Unix sockets, where SO_SNDBUF is the limit.
  static constexpr std::size_t kUnixBytes = std::size_t{256} * 1024;

  DatagramBatch() : memory_(new char[kMost * kUdpBytes]) {}

  /// Reads what there is, datagrams of `bytes_max` bytes each and no longer;
  /// one of the constants above. How many, or -1 and errno.
  int receive(Kernel& kernel, int fd, std::size_t bytes_max) noexcept;

  /// The i-th of them.
  std::string_view data(int i) const noexcept {
    return {static_cast<const char*>(pieces_[i].iov_base),
            messages_[i].msg_len};
  }
  /// Where it came from. Allocates for a Unix socket that has a name.
  Address from(int i) const {
    return Address::from_native(
        reinterpret_cast<const ::sockaddr*>(&addresses_[i]),
        messages_[i].msg_hdr.msg_namelen);
  }
  /// Whether a part of it is missing.
  bool is_truncated(int i) const noexcept {
    return (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
  }

 private:
  unsigned count() const noexcept {
    return static_cast<unsigned>(kMost * kUdpBytes / bytes_max_);
  }
  void prepare(unsigned i) noexcept;

  const std::unique_ptr<char[]> memory_;
  std::size_t bytes_max_ = 0;  // of a datagram; zero before the first call
  unsigned used_ = 0;          // how many are to be prepared again
  ::mmsghdr messages_[kMost];
  ::iovec pieces_[kMost];
  ::sockaddr_storage addresses_[kMost];
};

}  // namespace rondo::detail
