// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/future.h"
#include "net/address.h"

namespace rondo {

/// A name that could not be looked up: Python's socket.gaierror. Its text is
/// `[Errno -2] Name or service not known: 'no.such.host'`.
class GaiError : public std::runtime_error {
 public:
  /// `code` is what getaddrinfo(3) has answered, for `what`.
  GaiError(int code, const std::string& what);
  /// EAI_NONAME and its like.
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// What kind of addresses getaddrinfo() is to give.
class AddressHints {
 public:
  /// AF_INET or AF_INET6 only; AF_UNSPEC, the default, for both.
  AddressHints& family(int family) noexcept {
    family_ = family;
    return *this;
  }
  /// SOCK_STREAM, the default, or SOCK_DGRAM.
  AddressHints& type(int type) noexcept {
    type_ = type;
    return *this;
  }
  /// AI_PASSIVE and its like; none by default.
  AddressHints& flags(int flags) noexcept {
    flags_ = flags;
    return *this;
  }
  /// See family(int).
  int family() const noexcept { return family_; }
  /// See type(int).
  int type() const noexcept { return type_; }
  /// See flags(int).
  int flags() const noexcept { return flags_; }

 private:
  int family_ = AF_UNSPEC;
  int type_ = SOCK_STREAM;
  int flags_ = 0;
};

/// The addresses of `host`, in the system's order of preference. A numeric
/// address is done at once. Anything else is looked up by getaddrinfo(3) on
/// one of the loop's own few threads for that, so that a slow name server
/// holds up no file work; an empty `host` is this machine (or, with
/// AI_PASSIVE, all its interfaces). Ends with a GaiError if there are none.
///
/// A cancel takes back what no thread has begun; an answer that comes later
/// is dropped.
///
/// Source: asyncio.loop.getaddrinfo, getaddrinfo(3).
Future<std::vector<Address>> getaddrinfo(
    EventLoop& loop, const std::string& host, std::uint16_t port,
    const AddressHints& hints = AddressHints());

/// A host and a service by their names.
class NameInfo {
 public:
  /// Takes both.
  NameInfo(std::string host_name, std::string service_name)
      : host(std::move(host_name)), service(std::move(service_name)) {}
  /// "localhost".
  std::string host;
  /// "http".
  std::string service;
};

/// The names of `address`: getnameinfo(3) with `flags` (NI_NUMERICHOST...), on
/// the same threads; at once if both are to be numbers. Ends with a GaiError.
///
/// Source: asyncio.loop.getnameinfo.
Future<NameInfo> getnameinfo(EventLoop& loop, const Address& address,
                             int flags = 0);

}  // namespace rondo
