// SPDX-License-Identifier: MIT
#include "net/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "net/getaddrinfo.h"
#include "net/internal/server_state.h"
#include "net/internal/socket_queries.h"
#include "net/internal/tls_context_state.h"
#include "reactor/errors.h"
#include "reactor/repr.h"

namespace rondo {

using detail::ServerState;

// -- the handle --------------------------------------------------------------

std::vector<ListeningSocket> Server::sockets() const {
  return state_->sockets();
}
bool Server::is_serving() const noexcept { return state_->is_serving(); }
void Server::start_serving() const { state_->start_serving(); }
Server::ServeForever Server::serve_forever() const {
  return ServeForever(state_);
}
void Server::close() const noexcept { state_->close(); }
Future<void> Server::wait_closed() const { return state_->wait_closed(); }
void Server::close_clients() const {
  state_->for_each_client([](Transport& client) { client.close(); });
}
void Server::abort_clients() const {
  state_->for_each_client([](Transport& client) { client.abort(); });
}
std::size_t Server::client_count() const noexcept {
  return state_->client_count();
}
EventLoop& Server::loop() const noexcept { return state_->loop(); }

std::string to_string(const Server& server) {
  return server ? server.state_->description() : "None";
}

// -- serve_forever -----------------------------------------------------------

Server::ServeForever::~ServeForever() {
  if (state_ != nullptr && waits_for_ &&
      state_->serving_forever == waits_for_) {
    state_->serving_forever = Future<void>();
  }
}

Step Server::ServeForever::step(Resumption& resumption) {
  if (!waits_for_) {
    resumption.check();
    if (state_->serving_forever) {
      throw RuntimeError("server " + state_->description() +
                         " is already being awaited on serve_forever()");
    }
    state_->start_serving();
    waits_for_ = Future<void>(resumption.loop());
    state_->serving_forever = waits_for_;
    return Step::wait(waits_for_);
  }
  if (cancelled_ == nullptr) {
    // Nothing but a cancel ends the wait: the task's, or the server's close().
    cancelled_ = resumption.take_error();
    state_->serving_forever = Future<void>();
    state_->close();
    state_->for_each_client([](Transport& client) { client.close(); });
    waits_for_ = state_->wait_closed();
    return Step::wait(waits_for_);
  }
  resumption.check();
  std::rethrow_exception(cancelled_);
}

// -- create_server -----------------------------------------------------------

namespace {

[[noreturn]] void fail(const char* operation, const Address& address) {
  throw std::system_error(errno, std::generic_category(),
                          std::string(operation) + " " + to_string(address));
}

UniqueFd bound_socket(Kernel& kernel, const Address& address,
                      const ServerOptions& options) {
  UniqueFd socket(kernel.socket(address.family(), SOCK_STREAM, 0), kernel);
  if (!socket) fail("socket for", address);
  const int on = 1;
  const auto set = [&](int level, int name) {
    if (kernel.setsockopt(socket.get(), level, name, &on, sizeof on) != 0) {
      fail("setsockopt for", address);
    }
  };
  if (address.family() == AF_UNIX) {
    detail::remove_stale_socket(kernel, address, SOCK_STREAM);
  } else {
    if (options.reuse_address()) set(SOL_SOCKET, SO_REUSEADDR);
    if (options.reuse_port()) set(SOL_SOCKET, SO_REUSEPORT);
    // Beside a socket for IPv4 that may have the same port.
    if (address.family() == AF_INET6) set(IPPROTO_IPV6, IPV6_V6ONLY);
  }
  if (kernel.bind(socket.get(), address.native(), address.native_size()) != 0) {
    fail("bind to", address);
  }
  return socket;
}

}  // namespace

CreateServer::CreateServer(ProtocolFactory factory,
                           std::vector<std::string> hosts, std::uint16_t port,
                           const ServerOptions& options)
    : factory_(std::move(factory)),
      hosts_(std::move(hosts)),
      port_(port),
      options_(options) {
  detail::check_side(options_.tls().context(), true, "create_server");
}

CreateServer::CreateServer(ProtocolFactory factory,
                           std::vector<Address> addresses,
                           std::vector<UniqueFd> sockets,
                           const ServerOptions& options)
    : factory_(std::move(factory)),
      addresses_(std::move(addresses)),
      sockets_(std::move(sockets)),
      options_(options) {
  detail::check_side(options_.tls().context(), true, "create_server");
}

CreateServer::CreateServer(CreateServer&&) noexcept = default;

CreateServer::~CreateServer() {
  // Those that nobody asks any more; of a failure it hears nothing, either.
  for (const Future<std::vector<Address>>& lookup : lookups_) {
    lookup.state()->cancel_quietly();
  }
  if (server_) server_.close();
}

Step CreateServer::step(Resumption& resumption) {
  resumption.check();
  EventLoop& loop = resumption.loop();
  switch (stage_) {
    case Stage::kNew: {
      AddressHints hints;
      hints.family(options_.family()).flags(AI_PASSIVE);
      for (const std::string& host : hosts_) {
        lookups_.push_back(getaddrinfo(loop, host, port_, hints));
      }
      stage_ = Stage::kLookUp;
      [[fallthrough]];
    }
    case Stage::kLookUp:
      for (; looked_up_ < lookups_.size(); ++looked_up_) {
        const Future<std::vector<Address>>& lookup = lookups_[looked_up_];
        if (!lookup.done()) return Step::wait(lookup);
        for (Address& address : lookup.take_result()) {
          bool again = false;  // a set in asyncio
          for (const Address& other : addresses_) again |= other == address;
          if (!again) addresses_.push_back(std::move(address));
        }
      }
      listen(loop);
      stage_ = Stage::kListening;
      // "Skip one loop iteration so that all 'loop.add_reader' go through."
      if (options_.start_serving()) return Step::yield();
      break;
    case Stage::kListening:
      break;
  }
  return Step::done();
}

void CreateServer::listen(EventLoop& loop) {
  Kernel& kernel = detail::NetState::of(loop).kernel();
  for (const UniqueFd& given : sockets_) {
    detail::check_stream_socket(kernel, given.get());
    // accept(2) would wait for the one after the last.
    if (kernel.set_blocking(given.get(), false) != 0) {
      throw std::system_error(errno, std::generic_category(), "fcntl");
    }
  }
  for (const Address& address : addresses_) {
    sockets_.push_back(bound_socket(kernel, address, options_));
  }
  server_ = Server(ServerState::create(loop, std::move(factory_),
                                       std::move(sockets_), options_));
  if (options_.start_serving()) server_.start_serving();
}

Server CreateServer::result() { return std::exchange(server_, Server()); }

CreateServer create_server(ProtocolFactory factory, std::string host,
                           std::uint16_t port, const ServerOptions& options) {
  return CreateServer(std::move(factory),
                      std::vector<std::string>{std::move(host)}, port, options);
}

CreateServer create_server(ProtocolFactory factory,
                           std::vector<std::string> hosts, std::uint16_t port,
                           const ServerOptions& options) {
  return CreateServer(std::move(factory), std::move(hosts), port, options);
}

CreateServer create_server(ProtocolFactory factory, UniqueFd socket,
                           const ServerOptions& options) {
  std::vector<UniqueFd> sockets;
  sockets.push_back(std::move(socket));
  return CreateServer(std::move(factory), std::vector<Address>(),
                      std::move(sockets), options);
}

CreateServer create_unix_server(ProtocolFactory factory, std::string_view path,
                                const ServerOptions& options) {
  return CreateServer(std::move(factory),
                      std::vector<Address>{Address::unix_path(path)},
                      std::vector<UniqueFd>(), options);
}

}  // namespace rondo
