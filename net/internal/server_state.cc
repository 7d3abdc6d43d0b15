// SPDX-License-Identifier: MIT
#include "net/internal/server_state.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "net/internal/socket_queries.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

namespace rondo::detail {

namespace {

/// asyncio's ACCEPT_RETRY_DELAY.
constexpr Duration kRetryDelay = std::chrono::seconds(1);

/// Shortages no further apart than this are the same one, and are reported
/// once.
constexpr Duration kEpisodeGap = 2 * kRetryDelay;

/// What accept(2) may answer of a connection that ended before it was ours:
/// "Linux passes already-pending network errors on the new socket".
bool is_of_the_connection(int error_number) {
  switch (error_number) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:  // a firewall's rule
      return true;
    default:
      return false;
  }
}

/// Whether to ask again at once.
bool is_passing(int error_number) {
  return error_number == EINTR || is_of_the_connection(error_number);
}

}  // namespace

std::shared_ptr<ServerState> ServerState::create(EventLoop& loop,
                                                 ProtocolFactory factory,
                                                 std::vector<UniqueFd> sockets,
                                                 const ServerOptions& options) {
  auto state = std::make_shared<ServerState>(loop, std::move(factory), options);
  for (UniqueFd& socket : sockets) {
    errno = 0;  // of a family that Address does not know there is none
    Address address = sockname_of(state->net_.kernel(), socket.get());
    if (!address && errno != 0) {
      throw std::system_error(errno, std::generic_category(), "getsockname");
    }
    state->listeners_.push_back({std::move(socket), std::move(address)});
  }
  state->self_ = state;
  LoopState::of(loop).link(*state);
  return state;
}

ServerState::ServerState(EventLoop& loop, ProtocolFactory factory,
                         const ServerOptions& options)
    : loop_(loop),
      net_(NetState::of(loop)),
      factory_(std::move(factory)),
      options_(options) {}

std::vector<ListeningSocket> ServerState::sockets() const {
  std::vector<ListeningSocket> sockets;
  sockets.reserve(listeners_.size());
  for (const Listener& listener : listeners_) {
    sockets.emplace_back(listener.socket.get(), listener.address);
  }
  return sockets;
}

// -- accepting ---------------------------------------------------------------

void ServerState::start_serving() {
  if (is_closed_) throw RuntimeError("server " + description() + " is closed");
  if (is_serving_) return;
  for (const Listener& listener : listeners_) {
    if (net_.kernel().listen(listener.socket.get(), options_.backlog()) != 0) {
      throw std::system_error(errno, std::generic_category(),
                              "listen on " + to_string(listener.address));
    }
  }
  try {
    for (const Listener& listener : listeners_) watch(listener);
  } catch (...) {
    for (const Listener& listener : listeners_) {
      loop_.remove_reader(listener.socket.get());
    }
    throw;
  }
  is_serving_ = true;
  keep_reserve();
}

void ServerState::watch(const Listener& listener) {
  loop_.add_reader(listener.socket.get(),
                   [this, &listener] { on_acceptable(listener); });
}

/// Takes what there is, up to a number: the connections that are open have a
/// right to this pass, too.
void ServerState::on_acceptable(const Listener& listener) {
  const std::shared_ptr<ServerState> keep = self_;
  const int budget = std::max(1, options_.backlog());
  for (int left = budget; left > 0 && is_serving_; --left) {
    ::sockaddr_storage storage;
    unsigned size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    const int fd = net_.kernel().accept(listener.socket.get(), native, &size);
    if (fd >= 0) {
      begin_connection(UniqueFd(fd, net_.kernel()),
                       Address::from_native(native, size));
      continue;
    }
    if (is_passing(errno)) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      const int error_number = errno;
      if (!turn_away(listener, error_number, left)) return;
      pause_accepting(listener, error_number);
    }
    return;
  }
}

void ServerState::begin_connection(UniqueFd socket, Address peername) {
  try {
    const int on = 1;
    const int family = peername.family();
    if (family == AF_INET || family == AF_INET6) {
      // Each write leaves at once. Those of one pass are gathered already.
      net_.kernel().setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on,
                               sizeof on);
    }
    if (options_.keep_alive()) {
      net_.kernel().setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on,
                               sizeof on);
    }
    std::shared_ptr<BaseProtocol> protocol = factory_();
    if (is_closed_) return;  // by the factory
    std::shared_ptr<TlsTransport> tls;
    if (options_.tls()) {
      tls = TlsTransport::create(loop_, std::move(protocol), options_.tls(),
                                 std::string(), Future<void>(), false);
      protocol = tls->protocol();
    }
    if (clients_.size() == clients_.capacity()) {
      clients_.reserve(2 * clients_.size() + 8);
    }
    const std::shared_ptr<SocketTransport> transport =
        SocketTransport::create(loop_, std::move(socket), std::move(protocol),
                                std::move(peername), this, Future<void>());
    if (tls != nullptr) tls->attach(transport);
    transport->set_owner_slot(clients_.size());
    clients_.push_back(transport.get());
  } catch (const SystemExit&) {
    throw;
  } catch (const KeyboardInterrupt&) {
    throw;
  } catch (...) {
    ExceptionContext context(
        "Error on transport creation for incoming connection");
    context.exception = std::current_exception();
    if (context.exception == nullptr) throw;  // pthread_exit(3)
    loop_.call_exception_handler(context);
  }
}

// -- without a descriptor ----------------------------------------------------
//
// The connections wait in the kernel, which calls the listener readable all
// the time. So the server does not look for a second, or until a connection of
// its own has ended. Who waits would not know: each is accepted into the place
// of a descriptor that was kept for this, and reset.

/// Any descriptor will do. Without one nobody can be turned away.
void ServerState::keep_reserve() noexcept {
  if (!reserve_) reserve_ = UniqueFd(net_.kernel().eventfd(), net_.kernel());
}

/// Whether anybody waits. (accept(2) looks for a descriptor first: the last
/// one taken, it fails even where it would have found nobody.)
bool ServerState::turn_away(const Listener& listener, int error_number,
                            int count) noexcept {
  if (!reserve_ || (error_number != EMFILE && error_number != ENFILE)) {
    return true;
  }
  reserve_.reset();
  Kernel& kernel = net_.kernel();
  bool is_anybody = false;
  for (; count > 0; --count) {
    const UniqueFd refused(
        kernel.accept(listener.socket.get(), nullptr, nullptr), kernel);
    if (refused) {
      const ::linger reset{1, 0};
      kernel.setsockopt(refused.get(), SOL_SOCKET, SO_LINGER, &reset,
                        sizeof reset);
      is_anybody = true;
    } else if (!is_passing(errno)) {
      is_anybody |= errno != EAGAIN && errno != EWOULDBLOCK;
      break;
    }
  }
  keep_reserve();
  return is_anybody;
}

/// No descriptor left, or no memory.
void ServerState::pause_accepting(const Listener& listener, int error_number) {
  if (!is_paused_) resume_later();  // first: what follows may close the server
  loop_.remove_reader(listener.socket.get());
  const TimePoint now = loop_.time();
  const std::optional<TimePoint> before = std::exchange(last_shortage_, now);
  if (before && now - *before <= kEpisodeGap) return;
  ExceptionContext context("socket.accept() out of system resource");
  context.exception = std::make_exception_ptr(
      std::system_error(error_number, std::generic_category(),
                        "accept on " + to_string(listener.address)));
  loop_.call_exception_handler(context);
}

void ServerState::resume_later() {
  resume_ = loop_.call_later(kRetryDelay, [this] {
    is_paused_ = false;
    keep_reserve();
    try {
      for (const Listener& each : listeners_) watch(each);
    } catch (...) {
      resume_later();
      throw;
    }
  });
  is_paused_ = true;
}

// -- its end -----------------------------------------------------------------

void ServerState::close() noexcept {
  if (std::exchange(is_closed_, true)) return;
  is_serving_ = false;
  resume_.cancel();
  reserve_.reset();
  for (const Listener& listener : listeners_) {
    loop_.remove_reader(listener.socket.get());
  }
  listeners_.clear();
  if (serving_forever) serving_forever.state()->cancel_quietly();
  wake_if_ended();
}

Future<void> ServerState::wait_closed() {
  Future<void> ended(loop_);
  if (is_closed_ && clients_.empty()) {
    ended.set_result();
  } else {
    waiters_.push_back(ended);
  }
  return ended;
}

void ServerState::on_transport_end(SocketTransport& transport) noexcept {
  SocketTransport* const last = clients_.back();
  last->set_owner_slot(transport.owner_slot());
  clients_[transport.owner_slot()] = last;
  clients_.pop_back();
  if (is_paused_) resume_.reschedule(loop_.time());  // its descriptor is free
  wake_if_ended();
}

void ServerState::wake_if_ended() noexcept {
  if (!is_closed_ || !clients_.empty() || self_ == nullptr) return;
  const std::shared_ptr<ServerState> keep = std::move(self_);
  LoopState::of(loop_).unlink(*this);
  for (const Future<void>& waiter : std::exchange(waiters_, {})) {
    try {
      if (!waiter.done()) waiter.set_result();
    } catch (const RuntimeError&) {  // NOLINT(bugprone-empty-catch)
      // Its callbacks cannot be queued: the loop is closed.
    }
  }
}

/// The loop is closed. Its transports end by themselves.
void ServerState::abandon() noexcept {
  const std::shared_ptr<ServerState> keep = self_;
  waiters_.clear();
  close();
  if (self_ == nullptr) return;
  LoopState::of(loop_).unlink(*this);
  self_.reset();
  for (SocketTransport* client : clients_) client->disown();
  clients_.clear();
}

std::string ServerState::description() const {
  std::string text = "<Server sockets=[";
  for (const Listener& listener : listeners_) {
    if (&listener != &listeners_.front()) text += ", ";
    text += to_string(listener.address);
  }
  return text + "]>";
}

}  // namespace rondo::detail
