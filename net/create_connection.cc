// SPDX-License-Identifier: MIT
#include "net/create_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "futures/exception_group.h"
#include "net/getaddrinfo.h"
#include "net/internal/socket_queries.h"
#include "net/internal/socket_transport.h"
#include "net/internal/tls_transport.h"
#include "reactor/errors.h"
#include "reactor/internal/loop_access.h"
#include "reactor/repr.h"

namespace rondo {

namespace detail {

// -- one address -------------------------------------------------------------

Step ConnectSocket::step(Resumption& resumption) {
  Kernel& kernel = NetState::of(resumption.loop()).kernel();
  if (!connected_) {
    resumption.check();
    begin(resumption.loop());
    return connected_ ? Step::wait(connected_) : Step::done();
  }
  stop();
  resumption.check();
  int error_number = 0;
  unsigned size = sizeof error_number;
  if (kernel.getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error_number,
                        &size) != 0) {
    error_number = errno;
  }
  if (error_number != 0) fail("Connect call failed", error_number, address_);
  return Step::done();
}

void ConnectSocket::begin(EventLoop& loop) {
  Kernel& kernel = NetState::of(loop).kernel();
  socket_ = UniqueFd(kernel.socket(address_.family(), SOCK_STREAM, 0), kernel);
  if (!socket_) fail("socket", errno, address_);
  if (local_address_ && kernel.bind(socket_.get(), local_address_.native(),
                                    local_address_.native_size()) != 0) {
    fail("error while attempting to bind on address", errno, local_address_);
  }
  if (kernel.connect(socket_.get(), address_.native(),
                     address_.native_size()) == 0) {
    return;
  }
  // EINTR: it goes on all the same (connect(2)).
  if (errno != EINPROGRESS && errno != EINTR) {
    fail("Connect call failed", errno, address_);
  }
  const Future<void> connected(loop);
  loop.add_writer(socket_.get(), [connected] {
    if (!connected.done()) connected.set_result();
  });
  watched_by_ = &loop;
  connected_ = connected;
}

void ConnectSocket::stop() noexcept {
  if (EventLoop* loop = std::exchange(watched_by_, nullptr)) {
    loop->remove_writer(socket_.get());
  }
}

void ConnectSocket::fail(const char* operation, int error_number,
                         const Address& address) const {
  throw std::system_error(error_number, std::generic_category(),
                          std::string(operation) + " " + to_string(address));
}

namespace {

/// IPv6 and IPv4 in turn, beginning with the kind that came first: asyncio's
/// _interleave_addrinfos, RFC 8305 section 4.
std::vector<Address> interleaved(const std::vector<Address>& addresses) {
  std::vector<Address> first;
  std::vector<Address> others;
  for (const Address& address : addresses) {
    const bool is_first = address.family() == addresses.front().family();
    (is_first ? first : others).push_back(address);
  }
  std::vector<Address> mixed;
  for (std::size_t n = 0; n < first.size() || n < others.size(); ++n) {
    if (n < first.size()) mixed.push_back(std::move(first[n]));
    if (n < others.size()) mixed.push_back(std::move(others[n]));
  }
  return mixed;
}

}  // namespace

}  // namespace detail

// -- all of them -------------------------------------------------------------

CreateConnection::CreateConnection(ProtocolFactory factory, std::string host,
                                   std::uint16_t port,
                                   const ConnectOptions& options)
    : factory_(std::move(factory)),
      host_(std::move(host)),
      port_(port),
      options_(options) {
  detail::check_side(options_.tls().context(), false, "create_connection");
}

CreateConnection::CreateConnection(ProtocolFactory factory, Address address,
                                   const ConnectOptions& options)
    : factory_(std::move(factory)),
      options_(options),
      address_(std::move(address)) {
  if (!address_) throw std::invalid_argument("create_connection: no address");
  detail::check_side(options_.tls().context(), false, "create_connection");
  if (address_.family() != AF_UNIX) host_ = address_.host();
}

CreateConnection::CreateConnection(ProtocolFactory factory, UniqueFd socket,
                                   const ConnectOptions& options)
    : factory_(std::move(factory)),
      options_(options),
      socket_(std::move(socket)) {
  if (!socket_) throw std::invalid_argument("create_connection: no socket");
}

CreateConnection::CreateConnection(CreateConnection&&) noexcept = default;

CreateConnection::~CreateConnection() {
  if (lookup_) lookup_.state()->cancel_quietly();
  if (connection_.transport != nullptr) connection_.transport->abort();
}

Step CreateConnection::step(Resumption& resumption) {
  EventLoop& loop = resumption.loop();
  switch (stage_) {
    case Stage::kNew:
      resumption.check();
      if (socket_) {
        detail::check_stream_socket(detail::NetState::of(loop).kernel(),
                                    socket_.get());
        make(loop, std::move(socket_));
        return Step::wait(made_);
      }
      if (address_) {
        lookup_ = Future<std::vector<Address>>(loop);
        lookup_.set_result(std::vector<Address>{address_});
      } else {
        AddressHints hints;
        hints.family(options_.family());
        lookup_ = getaddrinfo(loop, host_, port_, hints);
      }
      stage_ = Stage::kLookUp;
      if (!lookup_.done()) return Step::wait(lookup_);
      [[fallthrough]];
    case Stage::kLookUp:
      resumption.check();
      begin(loop);
      [[fallthrough]];
    case Stage::kConnect: {
      const Step step = connect(resumption);
      if (step.kind() != Step::Kind::kDone) return step;
      // One of the two is there. NOLINTNEXTLINE(bugprone-unchecked-optional-*)
      make(loop, only_ ? only_->result() : race_->result());
      return Step::wait(made_);
    }
    case Stage::kMake:
      resumption.check();
      made_.result();
      break;
  }
  return Step::done();
}

Step CreateConnection::connect(Resumption& resumption) {
  try {
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): begin() made one
    return only_ ? only_->step(resumption) : race_->step(resumption);
  } catch (const ExceptionGroup& errors) {
    refuse(errors);
  } catch (const std::system_error&) {
    if (!options_.all_errors()) throw;
    throw ExceptionGroup("create_connection failed",
                         {std::current_exception()});
  }
}

void CreateConnection::begin(EventLoop& loop) {
  stage_ = Stage::kConnect;
  std::vector<Address> addresses = detail::interleaved(lookup_.take_result());
  if (addresses.size() == 1) {
    only_.emplace(std::move(addresses[0]), options_.local_address());
    return;
  }
  std::vector<Attempt<UniqueFd>> attempts;
  attempts.reserve(addresses.size());
  for (Address& address : addresses) {
    attempts.push_back([&loop, &local = options_.local_address(),
                        to = std::move(address)]() -> Future<UniqueFd> {
      return create_task(loop, detail::ConnectSocket(to, local));
    });
  }
  race_.emplace(std::move(attempts), options_.happy_eyeballs_delay());
}

void CreateConnection::make(EventLoop& loop, UniqueFd socket) {
  stage_ = Stage::kMake;
  Kernel& kernel = detail::NetState::of(loop).kernel();
  Address peername = detail::peername_of(kernel, socket.get());
  if (peername.family() == AF_INET || peername.family() == AF_INET6) {
    const int on = 1;
    kernel.setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  made_ = Future<void>(loop);
  connection_.protocol = factory_();
  if (!options_.tls()) {
    connection_.transport = detail::SocketTransport::create(
        loop, std::move(socket), connection_.protocol, std::move(peername),
        nullptr, made_);
    return;
  }
  const std::shared_ptr<detail::TlsTransport> tls =
      detail::TlsTransport::create(loop, connection_.protocol, options_.tls(),
                                   host_, made_, false);
  tls->attach(detail::SocketTransport::create(
      loop, std::move(socket), tls->protocol(), std::move(peername), nullptr,
      Future<void>()));
  connection_.transport = tls;
}

void CreateConnection::refuse(const ExceptionGroup& errors) const {
  if (options_.all_errors()) throw errors;
  const std::vector<std::exception_ptr>& all = errors.exceptions();
  std::string texts;
  bool all_same = true;
  for (const std::exception_ptr& error : all) {
    all_same = all_same && repr(error) == repr(all.front());
    texts += (texts.empty() ? "" : ", ") + describe(error);
  }
  if (all_same) std::rethrow_exception(all.front());
  throw std::system_error(ECONNREFUSED, std::generic_category(),
                          "Multiple exceptions: " + texts);
}

Connection CreateConnection::result() {
  return std::exchange(connection_, Connection());
}

CreateConnection create_connection(ProtocolFactory factory, std::string host,
                                   std::uint16_t port,
                                   const ConnectOptions& options) {
  return CreateConnection(std::move(factory), std::move(host), port, options);
}

CreateConnection create_connection(ProtocolFactory factory, Address address,
                                   const ConnectOptions& options) {
  return CreateConnection(std::move(factory), std::move(address), options);
}

CreateConnection create_connection(ProtocolFactory factory, UniqueFd socket,
                                   const ConnectOptions& options) {
  return CreateConnection(std::move(factory), std::move(socket), options);
}

CreateConnection create_unix_connection(ProtocolFactory factory,
                                        std::string_view path,
                                        const ConnectOptions& options) {
  return CreateConnection(std::move(factory), Address::unix_path(path),
                          options);
}

}  // namespace rondo
