// SPDX-License-Identifier: MIT
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rondo {

/// Where a socket is: an IPv4 or IPv6 address with a port, or the name of a
/// Unix socket. A value.
///
/// Source: ip(7), ipv6(7), unix(7).
class Address {
 public:
  /// No address: what an unbound or closed socket has.
  Address() noexcept;
  /// A numeric address: "127.0.0.1", "::1", "fe80::1%eth0". Throws
  /// std::invalid_argument for anything else; names are for getaddrinfo().
  static Address inet(const std::string& host, std::uint16_t port);
  /// The same, or nothing.
  static std::optional<Address> parse(const std::string& host,
                                      std::uint16_t port);
  /// A Unix socket: a path, or, if it begins with a NUL byte, a name in the
  /// abstract namespace. An empty one has the kernel choose an abstract name
  /// when it is bound. Throws std::invalid_argument if it has more than 107
  /// bytes (108 with the NUL), or if a path has a NUL byte in it.
  static Address unix_path(std::string_view path);
  /// What the kernel has given. An unknown family gives no address.
  static Address from_native(const ::sockaddr* native, ::socklen_t size);

  /// A copy; of a Unix socket one allocation.
  Address(const Address& other);
  /// Leaves `other` without an address.
  Address(Address&& other) noexcept;
  /// Takes what `other` has.
  Address& operator=(Address other) noexcept;
  ~Address() { drop(); }

  /// AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for none.
  int family() const noexcept { return any_.sa_family; }
  /// Whether there is one.
  explicit operator bool() const noexcept { return family() != AF_UNSPEC; }
  /// "127.0.0.1", "fe80::1%2"; empty for others.
  std::string host() const;
  /// Zero for others than IPv4 and IPv6.
  std::uint16_t port() const noexcept;
  /// Of a Unix socket: its name, empty if it has none.
  std::string path() const;

  /// For system calls.
  const ::sockaddr* native() const noexcept;
  /// See native().
  ::socklen_t native_size() const noexcept;

  /// Same family and same name.
  friend bool operator==(const Address& a, const Address& b) noexcept;

 private:
  struct UnixName;
  struct UnixRef {
    ::sa_family_t family;
    UnixName* name;  // owned: as large as it is rare
  };

  void drop() noexcept;

  union {
    ::sockaddr any_;
    ::sockaddr_in in_;
    ::sockaddr_in6 in6_;
    UnixRef unix_;
  };
};

/// As Python writes what getsockname() gives: `('127.0.0.1', 8888)`,
/// `('::1', 8888, 0, 0)`, `/run/s`; `None` for none.
std::string to_string(const Address& address);

}  // namespace rondo
