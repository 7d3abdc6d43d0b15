// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "futures/future.h"
#include "net/datagram_transport.h"
#include "net/internal/datagram_batch.h"
#include "net/internal/net_state.h"
#include "net/internal/transport_life.h"
#include "reactor/handle.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

/// An endpoint for datagrams. asyncio's _SelectorDatagramTransport.
class DatagramSocket final : public DatagramTransport, private TransportLife {
 public:
  /// An endpoint on `socket`, which is non-blocking. In the next pass
  /// connection_made() is called; then reading begins, and `made` is done if
  /// it is one. `remote` is where to send, or none; `peername` is the same if
  /// the socket is connected.
  static std::shared_ptr<DatagramSocket> create(
      EventLoop& loop, UniqueFd socket,
      std::shared_ptr<DatagramProtocol> protocol, Address remote,
      Address peername, Future<void> made);
  /// For create().
  DatagramSocket(EventLoop& loop, UniqueFd socket, Address remote,
                 Address peername);
  ~DatagramSocket() override;

  void close() override;
  void abort() override { force_close(nullptr); }
  bool is_closing() const noexcept override { return !is_open(); }

  void sendto(std::string_view data) override { sendto(data, Address()); }
  void sendto(std::string_view data, const Address& address) override;
  std::size_t get_write_buffer_size() override;
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return limits_;
  }
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override;
  void set_write_buffer_cap(std::size_t bytes) override { cap_ = bytes; }

  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<DatagramProtocol> get_protocol() const override {
    return protocol_;
  }
  void set_protocol(std::shared_ptr<DatagramProtocol> protocol) override;
  int fd() const noexcept override { return socket_.get(); }
  const Address& peername() const override { return peername_; }
  const Address& sockname() const override;
  std::string description() const override;

 private:
  // So much is gathered before it is sent: no pass waits for its end then.
  static constexpr std::size_t kGatherBytes = DatagramBatch::kUdpBytes;
  // asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
  static constexpr unsigned kLostWritesLogged = 5;

  /// One that the kernel has not taken yet; its bytes are in `bytes_`.
  struct Waiting {
    Waiting(std::size_t s, const Address& t) : size(s), to(t) {}
    std::size_t size;
    Address to;  // none: whom the socket is connected to
  };
  /// One that was read, and could not be delivered because a callback has left
  /// the loop.
  struct Kept {
    Kept(std::string_view d, Address f) : data(d), from(std::move(f)) {}
    std::string data;
    Address from;
  };

  /// Whether there is no socket any more. All else is an error of one datagram.
  static bool is_fatal(int error_number) noexcept {
    return error_number == EBADF || error_number == ENOTSOCK;
  }

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

  void stop_reading() noexcept;
  void on_readable();
  void receive();
  void deliver(std::string_view data, const Address& from);
  void deliver_kept();
  void deliver_kept_soon() noexcept;
  void keep(const DatagramBatch& batch, int from, int count) noexcept;

  std::size_t unsent() const noexcept { return bytes_.size() - sent_; }
  bool is_blocked() const noexcept { return writes_ || retry_; }
  bool has_room_for(std::size_t size);
  void enqueue(std::string_view data, const Address& to);
  void send_queue();
  int send_batch();
  void has_sent(std::size_t count) noexcept;
  void has_failed(int error_number);
  void flush();
  void all_sent();
  void on_writable();
  void wait_until_writable();
  void wait_a_while();
  void stop_waiting() noexcept;
  void pause_protocol();
  void resume_protocol();

  /// Calls `callback`, which calls the protocol; the exception handler hears
  /// of what it throws, with `message`.
  template <class Callback>
  void tell(const char* message, Callback&& callback);
  void note_error(int error_number) noexcept;
  void tell_errors();

  NetState& net_;
  UniqueFd socket_;
  FdUses::Claim claim_;
  std::shared_ptr<DatagramProtocol> protocol_;
  const Address remote_;
  const Address peername_;
  const std::size_t bytes_max_;  // of a datagram
  mutable Address sockname_;
  std::list<Kept> kept_;

  std::vector<Waiting> queue_;  // what sendto() was given,
  std::size_t first_ = 0;       // how many of them are gone;
  std::string bytes_;           // their bytes, one behind the other,
  std::size_t sent_ = 0;        // and how many of these are gone
  WriteBufferLimits limits_;
  std::size_t cap_ = std::numeric_limits<std::size_t>::max();
  TimerHandle retry_;            // the kernel has no memory
  std::vector<int> errors_;      // for error_received(), from the next
  std::size_t errors_told_ = 0;  // that it was not told
  std::uint32_t lost_ = 1;       // asyncio's _conn_lost, from the end on
  bool reads_ = false;           // the loop watches for readable
  bool writes_ = false;          // and for writable
  bool in_read_ = false;         // a callback of on_readable() is on the stack
  bool has_dropped_ = false;     // in this pass, for the cap
  bool protocol_paused_ = false;
};

}  // namespace rondo::detail
