// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "futures/future.h"
#include "net/internal/net_state.h"
#include "net/internal/transport_life.h"
#include "net/transport.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

class SocketTransport;

/// Whoever wants to hear of the end of a transport: its server.
class TransportOwner {
 public:
  virtual void on_transport_end(SocketTransport& transport) noexcept = 0;

 protected:
  ~TransportOwner() = default;
};

/// A connected stream socket. asyncio's _SelectorSocketTransport. It closes
/// with close(), and when eof_received() is false; see TransportLife.
class SocketTransport final : public Transport, private TransportLife {
 public:
  /// A transport on `socket`, which is connected and non-blocking. In the next
  /// pass connection_made() is called; then reading begins, and `made` is done
  /// if it is one. `owner` is null or outlives its on_transport_end().
  static std::shared_ptr<SocketTransport> create(
      EventLoop& loop, UniqueFd socket, std::shared_ptr<BaseProtocol> protocol,
      Address peername, TransportOwner* owner, Future<void> made);
  /// For create().
  SocketTransport(EventLoop& loop, UniqueFd socket, Address peername,
                  TransportOwner* owner);
  ~SocketTransport() override;

  /// Where its owner has it.
  std::uint32_t owner_slot() const noexcept { return owner_slot_; }
  void set_owner_slot(std::size_t slot) noexcept {
    owner_slot_ = static_cast<std::uint32_t>(slot);
  }
  /// Its owner is gone.
  void disown() noexcept { owner_ = nullptr; }

  void close() override;
  void abort() override { force_close(nullptr); }
  bool is_closing() const noexcept override { return !is_open(); }

  void pause_reading() override;
  void resume_reading() override;
  bool is_reading() const noexcept override { return is_open() && !is_paused_; }

  void write(std::string_view data) override;
  void write_eof() override;
  std::size_t get_write_buffer_size() override;
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return limits_;
  }
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override;
  void set_write_buffer_cap(std::size_t bytes) override { cap_ = bytes; }

  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<BaseProtocol> get_protocol() const override {
    return protocol_;
  }
  void set_protocol(std::shared_ptr<BaseProtocol> protocol) override;
  int fd() const noexcept override { return socket_.get(); }
  const Address& peername() const override { return peername_; }
  const Address& sockname() const override;
  std::string description() const override;

  // -- for sendfile(), which writes to the socket itself --

  /// From now on what is written waits for release_writes(). Done when what
  /// was written before has been sent, and when the transport ends: see
  /// lost_error(). Throws RuntimeError if they are held already.
  Future<void> hold_writes();
  /// While they are held: done when the socket can take more, and when the
  /// transport ends.
  Future<void> wait_writable();
  /// Goes on with what was written meanwhile, and with a close(). Calls nobody.
  void release_writes() noexcept;
  /// What it ends with, if it does so before its time: never null then.
  std::exception_ptr lost_error() const;
  /// Ends it as a send(2) that fails would.
  void fail_write(const char* operation, int error_number) {
    fail("Fatal write error on socket transport", operation, error_number);
  }

 private:
  /// What is written while somebody else writes to the socket.
  struct Held {
    explicit Held(EventLoop& loop) : turn(loop) {}
    std::string later;
    Future<void> turn;  // what he waits for
  };
  // What one write may add without being sent at once.
  static constexpr std::size_t kGatherBytes = std::size_t{16} * 1024;
  // asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
  static constexpr std::uint8_t kLostWritesLogged = 5;

  void tell_made() override;
  void start() override;
  void on_pass_end() override;
  void stop() noexcept override;
  void discard() noexcept override;
  void tell_lost(std::exception_ptr error) override;
  void let_go() noexcept override;
  const char* asyncio_name() const noexcept override {
    return "_SelectorTransport";
  }

  void start_reading();
  void stop_reading() noexcept;

  void on_readable();
  void read_into_shared();
  void read_into_protocols();
  /// Whether `size`, which recv() has answered, is a number of bytes: not
  /// the end of the stream, nor an error, both of which are dealt with.
  bool has_read(ssize_t size);
  void on_end_of_stream();

  std::size_t unsent() const noexcept { return buffer_.size() - sent_; }
  /// With what is held back.
  std::size_t unsent_in_all() const noexcept {
    return unsent() + (held_ == nullptr ? 0 : held_->later.size());
  }
  void hold(std::string_view data);
  void take_turn() const;
  void buffer(std::string_view data);
  void overflow();
  std::size_t has_sent(ssize_t size);
  void send_buffer();
  std::size_t send_behind_buffer(std::string_view data);
  void flush();
  void all_sent();
  void on_writable();
  void wait_until_writable();
  void stop_waiting() noexcept;
  void shut_down_writing() noexcept;
  void pause_protocol();
  void resume_protocol();

  /// Calls `callback`; what it throws ends the connection, and the exception
  /// handler hears `message`. Whether it has thrown nothing.
  template <class Callback>
  bool tell(const char* message, Callback&& callback);
  void close_socket() noexcept;

  NetState& net_;
  UniqueFd socket_;
  std::shared_ptr<BaseProtocol> protocol_;
  // The same; one of the two.
  class Protocol* stream_protocol_ = nullptr;
  BufferedProtocol* buffered_protocol_ = nullptr;
  TransportOwner* owner_;
  const Address peername_;
  // Few ask for it.
  mutable std::unique_ptr<const Address> sockname_;

  std::string buffer_;    // what was written, and
  std::size_t sent_ = 0;  // how much of it is gone
  std::unique_ptr<Held> held_;
  WriteBufferLimits limits_;
  std::size_t cap_ = std::numeric_limits<std::size_t>::max();
  std::uint32_t owner_slot_ = 0;
  std::uint8_t lost_ = 1;   // asyncio's _conn_lost, from the end on
  bool is_paused_ = false;  // reading
  bool reads_ = false;      // the loop watches for readable
  bool writes_ = false;     // and for writable
  bool in_read_ = false;    // a callback of on_readable() is on the stack
  bool has_eof_ = false;    // write_eof() was called
  bool has_read_all_ = false;
  bool protocol_paused_ = false;
};

}  // namespace rondo::detail
