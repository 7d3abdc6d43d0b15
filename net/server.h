// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "net/address.h"
#include "net/protocol.h"
#include "net/tls/tls_options.h"
#include "reactor/unique_fd.h"

namespace rondo {

namespace detail {
class ServerState;
}  // namespace detail

/// One of the sockets on which a server listens.
class ListeningSocket {
 public:
  /// For Server::sockets().
  ListeningSocket(int fd, Address address) noexcept
      : fd_(fd), address_(std::move(address)) {}
  /// Its descriptor.
  int fd() const noexcept { return fd_; }
  /// Its address, with the port that the kernel chose for port 0.
  const Address& getsockname() const noexcept { return address_; }

 private:
  int fd_;
  Address address_;
};

/// Listening sockets, and the connections that came from them. A small value:
/// copies mean the same server. It listens until it is closed, or its loop
/// is, whether or not somebody keeps the handle.
///
/// How to shut one down:
///
///     server.close();             // 1. no new connections; the others go on
///     server.close_clients();     // 2. each sends what it has, and ends
///     co_await wait_for(server.wait_closed(), 5);
///     server.abort_clients();     // 3. those that do not end
///
/// When no descriptor is left for a connection, those that wait are reset with
/// one that is kept for this (asyncio lets them wait), and the server looks
/// again after a second, or as soon as one of its connections has ended. With
/// no memory they wait for that second. The exception handler is told once.
///
/// Source: asyncio.Server of CPython 3.13.
class Server {
 public:
  /// Means no server.
  Server() noexcept = default;

  /// The listening sockets; none once it is closed.
  std::vector<ListeningSocket> sockets() const;
  /// Whether it accepts connections.
  bool is_serving() const noexcept;
  /// Begins to accept connections, if it does not. Throws RuntimeError if it
  /// is closed.
  void start_serving() const;
  /// Accepts connections until the task that awaits this is cancelled; then
  /// closes the server and its connections, and waits for them. Throws
  /// RuntimeError if it is closed, or if another task awaits this.
  class ServeForever;
  /// See ServeForever.
  ServeForever serve_forever() const;
  /// Stops listening, at once. Connections go on.
  void close() const noexcept;
  /// Done when the server is closed and its last connection has ended.
  /// (CPython 3.11 does not wait for them; 3.12 does.)
  Future<void> wait_closed() const;
  /// Calls close() of each connection.
  void close_clients() const;
  /// Calls abort() of each connection.
  void abort_clients() const;
  /// How many connections there are.
  std::size_t client_count() const noexcept;
  /// The loop it belongs to.
  EventLoop& loop() const noexcept;

  /// Whether it means a server.
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// `<Server sockets=[('127.0.0.1', 8888)]>`.
  friend std::string to_string(const Server& server);

  /// For the library.
  explicit Server(std::shared_ptr<detail::ServerState> state) noexcept
      : state_(std::move(state)) {}

 private:
  std::shared_ptr<detail::ServerState> state_;
};

/// What Server::serve_forever() gives.
class [[nodiscard]] Server::ServeForever
    : public Operation<Server::ServeForever, void> {
 public:
  /// For Server::serve_forever().
  explicit ServeForever(std::shared_ptr<detail::ServerState> state) noexcept
      : state_(std::move(state)) {}
  ServeForever(ServeForever&&) = default;
  ~ServeForever();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Server.serve_forever";

 private:
  std::shared_ptr<detail::ServerState> state_;
  Future<void> waits_for_;
  std::exception_ptr cancelled_;
};

/// How to listen.
class ServerOptions {
 public:
  ServerOptions() = default;
  /// How many connections the kernel keeps for us (listen(2)), and how many
  /// are accepted in one pass. 100 unless set.
  ServerOptions& backlog(int connections) noexcept {
    backlog_ = connections;
    return *this;
  }
  /// SO_REUSEADDR: listens although old connections of the port are not quite
  /// gone. On unless set.
  ServerOptions& reuse_address(bool on) noexcept {
    reuse_address_ = on;
    return *this;
  }
  /// SO_REUSEPORT: several sockets, of several loops, listen on one port, and
  /// the kernel shares the connections out.
  ServerOptions& reuse_port(bool on) noexcept {
    reuse_port_ = on;
    return *this;
  }
  /// SO_KEEPALIVE for the connections.
  ServerOptions& keep_alive(bool on) noexcept {
    keep_alive_ = on;
    return *this;
  }
  /// Whether to accept from the start. On unless set.
  ServerOptions& start_serving(bool on) noexcept {
    start_serving_ = on;
    return *this;
  }
  /// Encrypts the connections. The protocol hears of a connection when its
  /// handshake is done; of one that fails it hears nothing.
  ServerOptions& tls(TlsOptions options) {
    tls_ = std::move(options);
    return *this;
  }
  /// AF_INET or AF_INET6 only.
  ServerOptions& family(int family) noexcept {
    family_ = family;
    return *this;
  }
  /// See backlog(int).
  int backlog() const noexcept { return backlog_; }
  /// See reuse_address(bool).
  bool reuse_address() const noexcept { return reuse_address_; }
  /// See reuse_port(bool).
  bool reuse_port() const noexcept { return reuse_port_; }
  /// See keep_alive(bool).
  bool keep_alive() const noexcept { return keep_alive_; }
  /// See start_serving(bool).
  bool start_serving() const noexcept { return start_serving_; }
  /// See family(int).
  int family() const noexcept { return family_; }
  /// See tls(TlsOptions).
  const TlsOptions& tls() const noexcept { return tls_; }

 private:
  int backlog_ = 100;
  int family_ = 0;
  bool reuse_address_ = true;
  bool reuse_port_ = false;
  bool keep_alive_ = false;
  bool start_serving_ = true;
  TlsOptions tls_;
};

/// What create_server() gives: an operation. A cancel closes what it has
/// opened.
class [[nodiscard]] CreateServer : public Operation<CreateServer, Server> {
 public:
  /// For create_server().
  CreateServer(ProtocolFactory factory, std::vector<std::string> hosts,
               std::uint16_t port, const ServerOptions& options);
  /// The same for addresses that are known, or for sockets that listen.
  CreateServer(ProtocolFactory factory, std::vector<Address> addresses,
               std::vector<UniqueFd> sockets, const ServerOptions& options);
  /// Before the first step only.
  CreateServer(CreateServer&&) noexcept;
  ~CreateServer();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  Server result();
  /// asyncio's name of it.
  static constexpr const char* kName = "create_server";

 private:
  enum class Stage : std::uint8_t { kNew, kLookUp, kListening };

  void listen(EventLoop& loop);

  ProtocolFactory factory_;
  std::vector<std::string> hosts_;
  std::uint16_t port_ = 0;
  std::vector<Address> addresses_;
  std::vector<UniqueFd> sockets_;
  ServerOptions options_;
  std::vector<Future<std::vector<Address>>> lookups_;
  std::size_t looked_up_ = 0;
  Stage stage_ = Stage::kNew;
  Server server_;
};

/// Listens on `host` and `port` (0: the kernel chooses one), and has
/// `factory` make a protocol for each connection. An empty host means all
/// interfaces. Throws GaiError, and std::system_error with the address in it
/// if one of them cannot be bound; then none is.
///
///     Server server = co_await create_server(make_echo, "127.0.0.1", 8888);
///
/// Source: asyncio.loop.create_server.
CreateServer create_server(ProtocolFactory factory, std::string host,
                           std::uint16_t port,
                           const ServerOptions& options = ServerOptions());
/// The same for several hosts.
CreateServer create_server(ProtocolFactory factory,
                           std::vector<std::string> hosts, std::uint16_t port,
                           const ServerOptions& options = ServerOptions());
/// Accepts connections from `socket`, which is bound already, and which this
/// makes non-blocking.
CreateServer create_server(ProtocolFactory factory, UniqueFd socket,
                           const ServerOptions& options = ServerOptions());
/// Listens on a Unix socket: a path, or a name in the abstract namespace (a
/// NUL byte first). A socket that a dead process has left at the path is
/// removed first. The file stays when the server is closed.
///
/// Source: asyncio.loop.create_unix_server.
CreateServer create_unix_server(ProtocolFactory factory, std::string_view path,
                                const ServerOptions& options = ServerOptions());

}  // namespace rondo
