// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "net/internal/net_state.h"
#include "net/internal/socket_transport.h"
#include "net/internal/tls_transport.h"
#include "net/server.h"
#include "reactor/handle.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

/// What the copies of a Server share. It keeps itself while it listens or has
/// connections.
class ServerState final : private TransportOwner, private LoopBound {
 public:
  /// `sockets` are bound.
  static std::shared_ptr<ServerState> create(EventLoop& loop,
                                             ProtocolFactory factory,
                                             std::vector<UniqueFd> sockets,
                                             const ServerOptions& options);
  /// For create().
  ServerState(EventLoop& loop, ProtocolFactory factory,
              const ServerOptions& options);

  EventLoop& loop() const noexcept { return loop_; }
  std::vector<ListeningSocket> sockets() const;
  bool is_serving() const noexcept { return is_serving_; }
  std::size_t client_count() const noexcept { return clients_.size(); }
  void start_serving();
  void close() noexcept;
  Future<void> wait_closed();
  template <class Call>
  void for_each_client(Call&& call) {
    // A call may end one, and with it the list.
    std::vector<std::shared_ptr<Transport>> clients;
    clients.reserve(clients_.size());
    for (SocketTransport* client : clients_) {
      clients.push_back(uppermost(*client).shared_from_this());
    }
    for (const std::shared_ptr<Transport>& client : clients) call(*client);
  }
  std::string description() const;

  /// Done when it is closed while a task is in serve_forever(); null without.
  Future<void> serving_forever;

 private:
  struct Listener {
    UniqueFd socket;
    Address address;
  };

  void watch(const Listener& listener);
  void on_acceptable(const Listener& listener);
  void begin_connection(UniqueFd socket, Address peername);
  void keep_reserve() noexcept;
  bool turn_away(const Listener& listener, int error_number,
                 int count) noexcept;
  void pause_accepting(const Listener& listener, int error_number);
  void resume_later();
  void on_transport_end(SocketTransport& transport) noexcept override;
  void wake_if_ended() noexcept;
  void abandon() noexcept override;

  EventLoop& loop_;
  NetState& net_;
  ProtocolFactory factory_;
  const ServerOptions options_;
  std::vector<Listener> listeners_;
  std::vector<SocketTransport*> clients_;
  std::vector<Future<void>> waiters_;
  // Given up for a moment where there is no other, see turn_away().
  UniqueFd reserve_;
  TimerHandle resume_;  // accepting, after a pause
  // When there was no descriptor, or no memory, for a connection.
  std::optional<TimePoint> last_shortage_;
  std::shared_ptr<ServerState> self_;
  bool is_serving_ = false;
  bool is_paused_ = false;  // a listener, until resume_
  bool is_closed_ = false;
};

}  // namespace rondo::detail
