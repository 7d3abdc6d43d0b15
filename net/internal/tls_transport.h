// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "net/internal/net_state.h"
#include "net/internal/tls_engine.h"
#include "net/tls/tls_options.h"
#include "net/transport.h"
#include "reactor/handle.h"

namespace rondo::detail {

/// TLS between a transport below, to which this is a Protocol, and a protocol
/// above, to which this is a Transport: asyncio's SSLProtocol and its
/// _SSLProtocolTransport in one.
///
///                          close(), or the peer's end    that has answered
///     handshake -----> open -----------------------> closing ------+
///         |             |                               |          v
///         +-------------+-- abort(), an error, a -------+--> aborting
///                           deadline                         |
///                           (connection_lost() is queued)    +--> ended
///
/// A server that refuses a client in its handshake stays in aborting for a
/// moment, see linger(). The transport below keeps it, as it does any protocol.
class TlsTransport final : public Transport,
                           public Protocol,
                           private LoopBound {
 public:
  /// One that begins its handshake when it is given a transport, see
  /// protocol() and attach(). `server_hostname` counts for a client whose
  /// `options` have none. `made` is done with the handshake. `is_upgrade`:
  /// connection_made() was called already.
  static std::shared_ptr<TlsTransport> create(
      EventLoop& loop, std::shared_ptr<BaseProtocol> protocol,
      const TlsOptions& options, const std::string& server_hostname,
      Future<void> made, bool is_upgrade);
  /// For create().
  TlsTransport(EventLoop& loop, const TlsOptions& options,
               const std::string& server_hostname, Future<void> made,
               bool is_upgrade);
  ~TlsTransport() override;

  /// What the transport below is to be given.
  std::shared_ptr<BaseProtocol> protocol();
  /// That transport, at once; it calls connection_made() later.
  void attach(const std::shared_ptr<Transport>& below) { below_ = below; }
  /// For a transport below that has a connection already.
  void upgrade(const std::shared_ptr<Transport>& below);
  /// See tls_info().
  TlsInfo info() const { return engine_.info(); }

  void close() override;
  void abort() override;
  bool is_closing() const noexcept override;

  void pause_reading() override;
  void resume_reading() override;
  bool is_reading() const noexcept override {
    return !is_closing() && !is_paused_;
  }

  void write(std::string_view data) override;
  void write_eof() override;
  bool can_write_eof() const noexcept override { return false; }
  std::size_t get_write_buffer_size() override;
  WriteBufferLimits get_write_buffer_limits() const noexcept override;
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override;
  void set_write_buffer_cap(std::size_t bytes) override;

  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<BaseProtocol> get_protocol() const override {
    return protocol_;
  }
  void set_protocol(std::shared_ptr<BaseProtocol> protocol) override;
  int fd() const noexcept override { return below_->fd(); }
  const Address& peername() const override { return below_->peername(); }
  const Address& sockname() const override { return below_->sockname(); }
  std::string get_extra_info(std::string_view name,
                             std::string otherwise) const override;
  std::string description() const override;

 private:
  enum class State : std::uint8_t {
    kHandshake,
    kOpen,
    kClosing,
    kAborting,
    kEnded,
  };

  // The protocol of the transport below.
  void connection_made(Transport& below) override;
  void data_received(std::string_view data) override;
  bool eof_received() override;
  void connection_lost(std::exception_ptr error) override;
  void pause_writing() override;
  void resume_writing() override;

  void begin();
  void go_on();
  void advance();
  void go_on_later() noexcept;
  void shake_hands();
  void tell_that_made() noexcept;
  void read_all();
  bool read_into_shared();
  bool read_into_protocols();
  bool has_more(TlsEngine::Outcome outcome);
  void discard_rest();
  void finish_close();
  bool on_end_of_stream();
  void lend_output();
  void send_output();
  std::size_t encrypt(std::string_view data);
  void send_backlog();
  void send_answers();
  void tell_of_pressure();
  void set_deadline(Duration delay);
  void on_deadline();
  template <class Callback>
  bool tell(const char* message, Callback&& callback);
  void fail(const std::exception_ptr& error) noexcept;
  void linger();
  void abandon() noexcept override;

  EventLoop& loop_;
  NetState& net_;
  TlsEngine engine_;
  std::shared_ptr<Transport> below_;
  std::shared_ptr<BaseProtocol> protocol_;
  // The same; one of the two.
  class Protocol* stream_protocol_ = nullptr;
  BufferedProtocol* buffered_protocol_ = nullptr;
  Future<void> made_;

  std::string backlog_;  // written when the engine wanted input first
  std::size_t cap_ = std::numeric_limits<std::size_t>::max();
  Duration handshake_timeout_;
  Duration shutdown_timeout_;
  TimerHandle deadline_;
  std::size_t unsent_at_deadline_ = 0;
  std::size_t sent_on_ = 0;   // by the peer, see discard_rest()
  std::exception_ptr error_;  // what it ends with
  unsigned lost_writes_ = 0;
  State state_ = State::kHandshake;
  bool is_made_;            // connection_made() was called
  bool is_paused_ = false;  // reading, by the protocol
  bool is_choked_ = false;  // reading, by us: see send_answers()
  bool has_read_all_ = false;
  bool is_drained_ = false;       // all had been sent when it was closed
  bool has_shut_down_ = false;    // the peer was told
  bool is_below_full_ = false;    // it has called pause_writing()
  bool protocol_paused_ = false;  // writing
  bool is_encrypting_ = false;    // see encrypt()
  bool will_go_on_ = false;       // go_on_later() is in the loop's queue
};

/// What a user of `transport` holds: the TLS upon it, if there is one.
Transport& uppermost(Transport& transport);

}  // namespace rondo::detail
