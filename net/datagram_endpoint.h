// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "net/address.h"
#include "net/datagram_protocol.h"
#include "net/datagram_transport.h"
#include "reactor/unique_fd.h"

namespace rondo {

/// What create_datagram_endpoint() gives.
class DatagramEndpoint {
 public:
  /// Neither.
  DatagramEndpoint() = default;
  /// Takes both.
  DatagramEndpoint(std::shared_ptr<DatagramTransport> t,
                   std::shared_ptr<DatagramProtocol> p)
      : transport(std::move(t)), protocol(std::move(p)) {}
  /// The open socket.
  std::shared_ptr<DatagramTransport> transport;
  /// What the factory has made.
  std::shared_ptr<DatagramProtocol> protocol;
};

/// A host, by name or number, and a port; or an address that is known.
class HostAndPort {
 public:
  /// None.
  HostAndPort() = default;
  /// To be looked up. An empty host is this machine, or all its interfaces if
  /// it is to be bound to.
  HostAndPort(std::string host, std::uint16_t port)
      : host_(std::move(host)), port_(port), is_given_(true) {}
  /// As it is.
  HostAndPort(Address address)  // NOLINT: an address is one
      : address_(std::move(address)), is_given_(static_cast<bool>(address_)) {}
  /// Whether there is one.
  explicit operator bool() const noexcept { return is_given_; }
  /// Empty if it is an address.
  const std::string& host() const noexcept { return host_; }
  /// See host().
  std::uint16_t port() const noexcept { return port_; }
  /// None if it is to be looked up.
  const Address& address() const noexcept { return address_; }

 private:
  std::string host_;
  std::uint16_t port_ = 0;
  Address address_;
  bool is_given_ = false;
};

/// How to open an endpoint.
class DatagramOptions {
 public:
  DatagramOptions() = default;
  /// Where to receive: what the socket is bound to. A Unix socket that nobody
  /// listens on any more is removed from the path first;
  /// Address::unix_path("") has the kernel choose a name, without which nobody
  /// could answer.
  DatagramOptions& local_address(HostAndPort address) {
    local_address_ = std::move(address);
    return *this;
  }
  /// Whom to talk to, and nobody else: what the socket is connected to.
  DatagramOptions& remote_address(HostAndPort address) {
    remote_address_ = std::move(address);
    return *this;
  }
  /// AF_INET or AF_INET6 only; with no address at all, the one to use.
  DatagramOptions& family(int family) noexcept {
    family_ = family;
    return *this;
  }
  /// SO_REUSEPORT: several sockets, of several loops, have one port, and the
  /// kernel shares the datagrams out.
  DatagramOptions& reuse_port(bool on) noexcept {
    reuse_port_ = on;
    return *this;
  }
  /// SO_BROADCAST. A remote address is then where to send, and is not
  /// connected to: answers come from others.
  DatagramOptions& allow_broadcast(bool on) noexcept {
    allow_broadcast_ = on;
    return *this;
  }
  /// See local_address(HostAndPort).
  const HostAndPort& local_address() const noexcept { return local_address_; }
  /// See remote_address(HostAndPort).
  const HostAndPort& remote_address() const noexcept { return remote_address_; }
  /// See family(int).
  int family() const noexcept { return family_; }
  /// See reuse_port(bool).
  bool reuse_port() const noexcept { return reuse_port_; }
  /// See allow_broadcast(bool).
  bool allow_broadcast() const noexcept { return allow_broadcast_; }

 private:
  HostAndPort local_address_;
  HostAndPort remote_address_;
  int family_ = 0;
  bool reuse_port_ = false;
  bool allow_broadcast_ = false;
};

/// What create_datagram_endpoint() gives: an operation. A cancel closes the
/// socket.
class [[nodiscard]] CreateDatagramEndpoint
    : public Operation<CreateDatagramEndpoint, DatagramEndpoint> {
 public:
  /// For create_datagram_endpoint().
  CreateDatagramEndpoint(DatagramProtocolFactory factory,
                         const DatagramOptions& options);
  /// The same for a socket that is there.
  CreateDatagramEndpoint(DatagramProtocolFactory factory, UniqueFd socket);
  /// Before the first step only.
  CreateDatagramEndpoint(CreateDatagramEndpoint&&) noexcept;
  ~CreateDatagramEndpoint();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  DatagramEndpoint result();
  /// asyncio's name of it.
  static constexpr const char* kName = "create_datagram_endpoint";

 private:
  enum class Stage : std::uint8_t { kNew, kLookUp, kMake };
  using Lookup = Future<std::vector<Address>>;

  Lookup look_up(EventLoop& loop, const HostAndPort& what, int flags) const;
  void open(EventLoop& loop);
  UniqueFd open(Kernel& kernel, const Address& local,
                const Address& remote) const;
  void make(EventLoop& loop, UniqueFd socket, Address remote);

  DatagramProtocolFactory factory_;
  DatagramOptions options_;
  UniqueFd socket_;
  Stage stage_ = Stage::kNew;
  Lookup lookups_[2];  // local, remote; null for one that is not given
  DatagramEndpoint endpoint_;
  Future<void> made_;
};

/// Opens a socket for datagrams, and has `factory` make the protocol. Done
/// when connection_made() has been called.
///
/// Of names with several addresses the first pair that works is taken. Throws
/// std::invalid_argument if there is neither an address nor a family, GaiError,
/// or what the first pair failed with: a std::system_error like "bind to
/// ('127.0.0.1', 53): Permission denied"; what the factory or
/// connection_made() throws.
///
///     DatagramOptions options;
///     options.remote_address(HostAndPort("localhost", 9999));
///     DatagramEndpoint e = co_await create_datagram_endpoint(make, options);
///
/// Source: asyncio.loop.create_datagram_endpoint.
CreateDatagramEndpoint create_datagram_endpoint(DatagramProtocolFactory factory,
                                                const DatagramOptions& options);
/// Makes an endpoint of `socket`, which is made non-blocking. Throws
/// std::invalid_argument unless it is a socket for datagrams: at once if it is
/// none, else when awaited.
CreateDatagramEndpoint create_datagram_endpoint(DatagramProtocolFactory factory,
                                                UniqueFd socket);

}  // namespace rondo
