// SPDX-License-Identifier: MIT
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "reactor/repr.h"

namespace rondo {

struct Address::UnixName {
  ::sockaddr_un address;
  ::socklen_t size;
};

namespace {

constexpr ::socklen_t kPathAt = offsetof(::sockaddr_un, sun_path);

}  // namespace

Address::Address() noexcept : in6_{} { any_.sa_family = AF_UNSPEC; }

Address::Address(const Address& other) : in6_(other.in6_) {
  if (family() == AF_UNIX) unix_.name = new UnixName(*other.unix_.name);
}

Address::Address(Address&& other) noexcept : in6_(other.in6_) {
  other.any_.sa_family = AF_UNSPEC;
}

Address& Address::operator=(Address other) noexcept {
  std::swap(in6_, other.in6_);
  return *this;
}

void Address::drop() noexcept {
  if (family() == AF_UNIX) delete unix_.name;
}

Address Address::inet(const std::string& host, std::uint16_t port) {
  if (std::optional<Address> address = parse(host, port)) return *address;
  throw std::invalid_argument("Address::inet: " + repr(host) +
                              " is no numeric address");
}

std::optional<Address> Address::parse(const std::string& host,
                                      std::uint16_t port) {
  if (host.find('\0') != std::string::npos) return std::nullopt;
  Address address;
  ::in_addr v4;
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    address.in_.sin_family = AF_INET;
    address.in_.sin_addr = v4;
    address.in_.sin_port = htons(port);
    return address;
  }
  const std::size_t percent = host.find('%');
  const std::string digits = host.substr(0, percent);
  ::in6_addr v6;
  if (::inet_pton(AF_INET6, digits.c_str(), &v6) != 1) return std::nullopt;
  std::uint32_t scope = 0;
  if (percent != std::string::npos) {
    const std::string zone = host.substr(percent + 1);
    scope = ::if_nametoindex(zone.c_str());
    if (scope == 0 && !zone.empty() &&
        zone.find_first_not_of("0123456789") == std::string::npos &&
        zone.size() < 10) {
      scope = static_cast<std::uint32_t>(std::stoul(zone));
    }
    if (scope == 0) return std::nullopt;
  }
  address.in6_.sin6_family = AF_INET6;
  address.in6_.sin6_addr = v6;
  address.in6_.sin6_port = htons(port);
  address.in6_.sin6_scope_id = scope;
  return address;
}

Address Address::unix_path(std::string_view path) {
  ::sockaddr_un native{};
  // An empty name means none: bind(2) chooses an abstract one.
  const bool is_abstract = path.empty() || path.front() == '\0';
  const std::size_t longest = sizeof native.sun_path - (is_abstract ? 0 : 1);
  if (path.size() > longest) {
    throw std::invalid_argument("Address::unix_path: " + repr(path) + " has " +
                                std::to_string(path.size()) +
                                " bytes, more than " + std::to_string(longest));
  }
  if (!is_abstract && path.find('\0') != std::string_view::npos) {
    throw std::invalid_argument("Address::unix_path: " + repr(path) +
                                " has a NUL byte in it");
  }
  native.sun_family = AF_UNIX;
  std::memcpy(native.sun_path, path.data(), path.size());
  return from_native(
      reinterpret_cast<const ::sockaddr*>(&native),
      static_cast<::socklen_t>(kPathAt + path.size() + (is_abstract ? 0 : 1)));
}

Address Address::from_native(const ::sockaddr* native, ::socklen_t size) {
  Address address;
  const auto copy = [&](auto& to) {
    if (size >= sizeof to) std::memcpy(&to, native, sizeof to);
  };
  const auto copy_name = [&] {
    auto* name = new UnixName{};
    name->size = std::min<::socklen_t>(size, sizeof name->address);
    std::memcpy(&name->address, native, name->size);
    // The NUL of a path may be counted in or not. Here it is.
    if (name->size > kPathAt && name->address.sun_path[0] != '\0') {
      const std::size_t length =
          ::strnlen(name->address.sun_path, name->size - kPathAt);
      name->size = static_cast<::socklen_t>(
          std::min(kPathAt + length + 1, sizeof name->address));
    }
    address.unix_.family = AF_UNIX;
    address.unix_.name = name;
  };
  if (size < sizeof native->sa_family) return address;
  switch (native->sa_family) {
    case AF_INET:
      copy(address.in_);
      break;
    case AF_INET6:
      copy(address.in6_);
      break;
    case AF_UNIX:
      copy_name();
      break;
    default:
      break;
  }
  return address;
}

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN];
  if (family() == AF_INET) {
    return ::inet_ntop(AF_INET, &in_.sin_addr, text, sizeof text);
  }
  if (family() != AF_INET6) return {};
  std::string host = ::inet_ntop(AF_INET6, &in6_.sin6_addr, text, sizeof text);
  if (in6_.sin6_scope_id != 0) {
    char name[IF_NAMESIZE];
    const char* zone = ::if_indextoname(in6_.sin6_scope_id, name);
    host += "%" + (zone != nullptr ? std::string(zone)
                                   : std::to_string(in6_.sin6_scope_id));
  }
  return host;
}

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(in_.sin_port);
  if (family() == AF_INET6) return ntohs(in6_.sin6_port);
  return 0;
}

std::string Address::path() const {
  if (family() != AF_UNIX) return {};
  const UnixName& name = *unix_.name;
  if (name.size <= kPathAt) return {};
  std::string path(name.address.sun_path, name.size - kPathAt);
  // The NUL of a path is not part of it; an abstract name is all its bytes.
  if (path.front() != '\0') path.resize(std::strlen(path.c_str()));
  return path;
}

const ::sockaddr* Address::native() const noexcept {
  return family() == AF_UNIX
             ? reinterpret_cast<const ::sockaddr*>(&unix_.name->address)
             : &any_;
}

::socklen_t Address::native_size() const noexcept {
  switch (family()) {
    case AF_INET:
      return sizeof in_;
    case AF_INET6:
      return sizeof in6_;
    case AF_UNIX:
      return unix_.name->size;
    default:
      return 0;
  }
}

bool operator==(const Address& a, const Address& b) noexcept {
  if (a.family() != b.family()) return false;
  switch (a.family()) {
    case AF_INET:
      return a.in_.sin_port == b.in_.sin_port &&
             a.in_.sin_addr.s_addr == b.in_.sin_addr.s_addr;
    case AF_INET6:
      return a.in6_.sin6_port == b.in6_.sin6_port &&
             a.in6_.sin6_scope_id == b.in6_.sin6_scope_id &&
             std::memcmp(&a.in6_.sin6_addr, &b.in6_.sin6_addr,
                         sizeof a.in6_.sin6_addr) == 0;
    case AF_UNIX:
      return a.unix_.name->size == b.unix_.name->size &&
             std::memcmp(&a.unix_.name->address, &b.unix_.name->address,
                         a.unix_.name->size) == 0;
    default:
      return true;
  }
}

namespace {

std::string flow_and_scope(const Address& address) {
  ::sockaddr_in6 native;
  std::memcpy(&native, address.native(), sizeof native);
  return std::to_string(ntohl(native.sin6_flowinfo)) + ", " +
         std::to_string(native.sin6_scope_id);
}

}  // namespace

std::string to_string(const Address& address) {
  switch (address.family()) {
    case AF_INET:
      return "('" + address.host() + "', " + std::to_string(address.port()) +
             ")";
    case AF_INET6:
      return "('" + address.host() + "', " + std::to_string(address.port()) +
             ", " + flow_and_scope(address) + ")";
    case AF_UNIX:
      return address.path();
    default:
      return "None";
  }
}

}  // namespace rondo
