// SPDX-License-Identifier: MIT
#include "net/datagram_endpoint.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/getaddrinfo.h"
#include "net/internal/datagram_socket.h"
#include "net/internal/socket_queries.h"
#include "reactor/errors.h"

namespace rondo {

namespace {

[[noreturn]] void fail(const std::string& operation) {
  throw std::system_error(errno, std::generic_category(), operation);
}

int option_of(Kernel& kernel, int fd, int name) {
  int value = 0;
  unsigned size = sizeof value;
  if (kernel.getsockopt(fd, SOL_SOCKET, name, &value, &size) != 0) {
    fail("getsockopt of fd " + std::to_string(fd));
  }
  return value;
}

}  // namespace

CreateDatagramEndpoint::CreateDatagramEndpoint(DatagramProtocolFactory factory,
                                               const DatagramOptions& options)
    : factory_(std::move(factory)), options_(options) {}

CreateDatagramEndpoint::CreateDatagramEndpoint(DatagramProtocolFactory factory,
                                               UniqueFd socket)
    : factory_(std::move(factory)), socket_(std::move(socket)) {
  if (!socket_) {
    throw std::invalid_argument("create_datagram_endpoint: no socket");
  }
}

CreateDatagramEndpoint::CreateDatagramEndpoint(
    CreateDatagramEndpoint&&) noexcept = default;

CreateDatagramEndpoint::~CreateDatagramEndpoint() {
  for (const Lookup& lookup : lookups_) {
    if (lookup) lookup.state()->cancel_quietly();
  }
  if (endpoint_.transport != nullptr) endpoint_.transport->abort();
}

Step CreateDatagramEndpoint::step(Resumption& resumption) {
  resumption.check();
  EventLoop& loop = resumption.loop();
  switch (stage_) {
    case Stage::kNew: {
      if (socket_) {
        Kernel& kernel = detail::NetState::of(loop).kernel();
        const int fd = socket_.get();
        const int type = option_of(kernel, fd, SO_TYPE);
        if (type != SOCK_DGRAM) {
          throw std::invalid_argument("A UDP Socket was expected, got fd " +
                                      std::to_string(fd) + " of type " +
                                      std::to_string(type));
        }
        if (kernel.set_blocking(fd, false) != 0) fail("fcntl");
        make(loop, std::move(socket_), Address());
        return Step::wait(made_);
      }
      const HostAndPort& local = options_.local_address();
      const HostAndPort& remote = options_.remote_address();
      if (!local && !remote && options_.family() == AF_UNSPEC) {
        throw std::invalid_argument("unexpected address family");
      }
      if (local) lookups_[0] = look_up(loop, local, AI_PASSIVE);
      if (remote) lookups_[1] = look_up(loop, remote, 0);
      stage_ = Stage::kLookUp;
      [[fallthrough]];
    }
    case Stage::kLookUp:
      for (const Lookup& lookup : lookups_) {
        if (lookup && !lookup.done()) return Step::wait(lookup);
      }
      open(loop);
      return Step::wait(made_);
    case Stage::kMake:
      made_.result();
      break;
  }
  return Step::done();
}

CreateDatagramEndpoint::Lookup CreateDatagramEndpoint::look_up(
    EventLoop& loop, const HostAndPort& what, int flags) const {
  if (!what.address()) {
    AddressHints hints;
    hints.family(options_.family()).type(SOCK_DGRAM).flags(flags);
    return getaddrinfo(loop, what.host(), what.port(), hints);
  }
  Lookup done(loop);
  done.set_result(std::vector<Address>{what.address()});
  return done;
}

/// Each family that both sides have, until one works.
void CreateDatagramEndpoint::open(EventLoop& loop) {
  Kernel& kernel = detail::NetState::of(loop).kernel();
  const std::vector<Address> none(1);
  const std::vector<Address> locals =
      lookups_[0] ? lookups_[0].take_result() : none;
  const std::vector<Address> remotes =
      lookups_[1] ? lookups_[1].take_result() : none;
  std::exception_ptr first_error;
  for (const Address& local : locals) {
    for (const Address& remote : remotes) {
      if (local && remote && local.family() != remote.family()) continue;
      UniqueFd socket;
      try {
        socket = open(kernel, local, remote);
      } catch (const std::system_error&) {
        if (first_error == nullptr) first_error = std::current_exception();
        continue;
      }
      return make(loop, std::move(socket), remote);
    }
  }
  if (first_error != nullptr) std::rethrow_exception(first_error);
  throw std::invalid_argument("can not get address information");
}

UniqueFd CreateDatagramEndpoint::open(Kernel& kernel, const Address& local,
                                      const Address& remote) const {
  const int family = local    ? local.family()
                     : remote ? remote.family()
                              : options_.family();
  UniqueFd socket(kernel.socket(family, SOCK_DGRAM, 0), kernel);
  if (!socket) fail("socket");
  const int on = 1;
  const auto set = [&](int name, const char* text) {
    if (kernel.setsockopt(socket.get(), SOL_SOCKET, name, &on, sizeof on) !=
        0) {
      fail(text);
    }
  };
  if (options_.reuse_port()) set(SO_REUSEPORT, "SO_REUSEPORT");
  if (options_.allow_broadcast()) set(SO_BROADCAST, "SO_BROADCAST");
  if (local) {
    detail::remove_stale_socket(kernel, local, SOCK_DGRAM);
    if (kernel.bind(socket.get(), local.native(), local.native_size()) != 0) {
      fail("bind to " + to_string(local));
    }
  }
  if (remote && !options_.allow_broadcast() &&
      kernel.connect(socket.get(), remote.native(), remote.native_size()) !=
          0) {
    fail("Connect call failed " + to_string(remote));
  }
  return socket;
}

void CreateDatagramEndpoint::make(EventLoop& loop, UniqueFd socket,
                                  Address remote) {
  stage_ = Stage::kMake;
  Address peername =
      detail::peername_of(detail::NetState::of(loop).kernel(), socket.get());
  if (!remote) remote = peername;  // a socket that was given may be connected
  made_ = Future<void>(loop);
  endpoint_.protocol = factory_();
  endpoint_.transport = detail::DatagramSocket::create(
      loop, std::move(socket), endpoint_.protocol, std::move(remote),
      std::move(peername), made_);
}

DatagramEndpoint CreateDatagramEndpoint::result() {
  return std::exchange(endpoint_, DatagramEndpoint());
}

CreateDatagramEndpoint create_datagram_endpoint(
    DatagramProtocolFactory factory, const DatagramOptions& options) {
  return CreateDatagramEndpoint(std::move(factory), options);
}

CreateDatagramEndpoint create_datagram_endpoint(DatagramProtocolFactory factory,
                                                UniqueFd socket) {
  return CreateDatagramEndpoint(std::move(factory), std::move(socket));
}

}  // namespace rondo
