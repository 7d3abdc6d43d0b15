// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "futures/race.h"
#include "net/address.h"
#include "net/protocol.h"
#include "net/tls/tls_options.h"
#include "net/transport.h"
#include "reactor/unique_fd.h"

namespace rondo {

/// What create_connection() gives.
class Connection {
 public:
  /// Neither.
  Connection() = default;
  /// Takes both.
  Connection(std::shared_ptr<Transport> t, std::shared_ptr<BaseProtocol> p)
      : transport(std::move(t)), protocol(std::move(p)) {}
  /// The open connection.
  std::shared_ptr<Transport> transport;
  /// What the factory has made.
  std::shared_ptr<BaseProtocol> protocol;
};

/// How to connect.
class ConnectOptions {
 public:
  ConnectOptions() = default;
  /// AF_INET or AF_INET6 only.
  ConnectOptions& family(int family) noexcept {
    family_ = family;
    return *this;
  }
  /// The address to connect from: one that is numeric, and a port, or zero for
  /// any.
  ConnectOptions& local_address(Address address) {
    local_address_ = std::move(address);
    return *this;
  }
  /// How long one address is tried before the next one is tried beside it
  /// (RFC 8305); 250 ms unless set. Duration::max(): one after the other.
  ConnectOptions& happy_eyeballs_delay(Delay delay) {
    happy_eyeballs_delay_ = delay.value();
    return *this;
  }
  /// If all addresses fail: throws an ExceptionGroup of all errors. Unless
  /// set: the one error if there is one or if all say the same, else a
  /// std::system_error with the errors in its text.
  ConnectOptions& all_errors(bool on) noexcept {
    all_errors_ = on;
    return *this;
  }
  /// Encrypts the connection; it is made when the handshake is done. The
  /// server's certificate has to be for the host, or the numeric address, that
  /// was connected to, unless TlsOptions::server_hostname() says another.
  ConnectOptions& tls(TlsOptions options) {
    tls_ = std::move(options);
    return *this;
  }
  /// See family(int).
  int family() const noexcept { return family_; }
  /// See local_address(Address).
  const Address& local_address() const noexcept { return local_address_; }
  /// See happy_eyeballs_delay(Delay).
  Duration happy_eyeballs_delay() const noexcept {
    return happy_eyeballs_delay_;
  }
  /// See all_errors(bool).
  bool all_errors() const noexcept { return all_errors_; }
  /// See tls(TlsOptions).
  const TlsOptions& tls() const noexcept { return tls_; }

 private:
  int family_ = 0;
  Address local_address_;
  Duration happy_eyeballs_delay_ = std::chrono::milliseconds(250);
  bool all_errors_ = false;
  TlsOptions tls_;
};

namespace detail {

/// A stream socket on its way to `address`. A cancel, or to destroy it, closes
/// the socket; the loop forgets it first (python/cpython#131728).
class ConnectSocket : public Operation<ConnectSocket, UniqueFd> {
 public:
  ConnectSocket(Address address, Address local_address)
      : address_(std::move(address)),
        local_address_(std::move(local_address)) {}
  ConnectSocket(ConnectSocket&&) = default;
  ~ConnectSocket() { stop(); }

  Step step(Resumption& resumption);
  UniqueFd result() { return std::move(socket_); }
  static constexpr const char* kName = "_connect_sock";

 private:
  void begin(EventLoop& loop);
  void stop() noexcept;
  [[noreturn]] void fail(const char* operation, int error_number,
                         const Address& address) const;

  Address address_;
  Address local_address_;
  UniqueFd socket_;
  EventLoop* watched_by_ = nullptr;
  Future<void> connected_;
};

}  // namespace detail

/// What create_connection() gives: an operation. A cancel closes every socket
/// that it has opened.
class [[nodiscard]] CreateConnection
    : public Operation<CreateConnection, Connection> {
 public:
  /// For create_connection().
  CreateConnection(ProtocolFactory factory, std::string host,
                   std::uint16_t port, const ConnectOptions& options);
  /// The same for an address that is known.
  CreateConnection(ProtocolFactory factory, Address address,
                   const ConnectOptions& options);
  /// The same for a socket that is connected.
  CreateConnection(ProtocolFactory factory, UniqueFd socket,
                   const ConnectOptions& options);
  /// Before the first step only.
  CreateConnection(CreateConnection&&) noexcept;
  ~CreateConnection();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  Connection result();
  /// asyncio's name of it.
  static constexpr const char* kName = "create_connection";

 private:
  enum class Stage : std::uint8_t { kNew, kLookUp, kConnect, kMake };

  void begin(EventLoop& loop);
  Step connect(Resumption& resumption);
  void make(EventLoop& loop, UniqueFd socket);
  [[noreturn]] void refuse(const ExceptionGroup& errors) const;

  ProtocolFactory factory_;
  std::string host_;
  std::uint16_t port_ = 0;
  ConnectOptions options_;
  Address address_;
  UniqueFd socket_;
  Stage stage_ = Stage::kNew;
  Future<std::vector<Address>> lookup_;
  std::optional<detail::ConnectSocket> only_;  // of one address
  std::optional<Race<UniqueFd>> race_;         // of several
  Connection connection_;
  Future<void> made_;
};

/// Connects to `port` of `host`, and has `factory` make the protocol. Done
/// when connection_made() has been called.
///
/// Of a host with several addresses, those of IPv6 and IPv4 are tried in turn,
/// each a while before the next (RFC 8305, "happy eyeballs"); the first that
/// answers wins. Throws GaiError, or what the addresses failed with: a
/// std::system_error like "Connect call failed ('127.0.0.1', 1): Connection
/// refused"; what the factory or connection_made() throws.
///
///     Connection c = co_await create_connection(make_client, "localhost", 80);
///
/// Source: asyncio.loop.create_connection.
CreateConnection create_connection(
    ProtocolFactory factory, std::string host, std::uint16_t port,
    const ConnectOptions& options = ConnectOptions());
/// The same to an address that is known. Throws std::invalid_argument at once
/// if it is none.
CreateConnection create_connection(
    ProtocolFactory factory, Address address,
    const ConnectOptions& options = ConnectOptions());
/// Makes a connection of a stream socket that is connected and non-blocking,
/// such as an accepted one. asyncio's connect_accepted_socket(). Throws
/// std::invalid_argument at once if it is none. Of the options, tls() counts:
/// with a server's context it plays the server.
CreateConnection create_connection(
    ProtocolFactory factory, UniqueFd socket,
    const ConnectOptions& options = ConnectOptions());
/// Connects to a Unix socket: a path, or a name in the abstract namespace (a
/// NUL byte first).
///
/// Source: asyncio.loop.create_unix_connection.
CreateConnection create_unix_connection(
    ProtocolFactory factory, std::string_view path,
    const ConnectOptions& options = ConnectOptions());

}  // namespace rondo
