// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/datagram_protocol.h"
#include "net/transport.h"

namespace rondo {

class EventLoop;

/// A socket that sends and receives datagrams: UDP, or a Unix socket.
///
/// It belongs to its loop until connection_lost() has been called; keep a
/// shared_from_this() to look at it later. To be used on the loop's thread
/// only. All calls but those that say otherwise do nothing after the end.
///
/// Cost: up to 32 datagrams are read by one recvmmsg(2), into memory that all
/// endpoints of the loop share, and those that a pass sends leave by one
/// sendmmsg(2). No allocation a datagram, but for the addresses of Unix
/// sockets that have names.
///
/// Source: asyncio.DatagramTransport.
class DatagramTransport
    : public std::enable_shared_from_this<DatagramTransport> {
 public:
  DatagramTransport() = default;
  DatagramTransport(const DatagramTransport&) = delete;
  DatagramTransport& operator=(const DatagramTransport&) = delete;
  virtual ~DatagramTransport() = default;

  // -- its end --

  /// Ends it once what was sent has gone. Nothing is received any more.
  virtual void close() = 0;
  /// Ends it now. What the kernel has not taken yet is lost.
  virtual void abort() = 0;
  /// Whether it is closed, or about to be.
  virtual bool is_closing() const noexcept = 0;

  // -- sending --

  /// Sends `data` as one datagram to the remote address, when the callback
  /// that calls this, or the pass, is over. It is copied. An empty one is not
  /// sent, as in asyncio before 3.13; sock_sendto() sends one. Never blocks:
  /// what the kernel does not take now waits, and what it does not take at all
  /// is told to error_received(), as is std::errc::not_enough_memory if there
  /// is none for the copy.
  /// Throws std::invalid_argument if there is no remote address.
  virtual void sendto(std::string_view data) = 0;
  /// The same to `address`; one that is none means the remote address. Throws
  /// std::invalid_argument for any other if there is a remote address.
  virtual void sendto(std::string_view data, const Address& address) = 0;
  /// How many bytes of datagrams are not the kernel's yet. Tries to hand them
  /// over first.
  virtual std::size_t get_write_buffer_size() = 0;
  /// See set_write_buffer_limits().
  virtual WriteBufferLimits get_write_buffer_limits() const noexcept = 0;
  /// When to tell the protocol to pause: see
  /// Transport::set_write_buffer_limits().
  virtual void set_write_buffer_limits(
      std::optional<std::size_t> high = std::nullopt,
      std::optional<std::size_t> low = std::nullopt) = 0;
  /// A datagram that would leave more than `bytes` in the buffer is dropped,
  /// and error_received() is told ENOBUFS, once a pass: for a protocol that
  /// does not heed pause_writing(). No limit by default. asyncio has none.
  virtual void set_write_buffer_cap(std::size_t bytes) = 0;

  // -- what it is --

  /// The loop it belongs to.
  virtual EventLoop& loop() const noexcept = 0;
  /// Whom it calls; null after the end.
  virtual std::shared_ptr<DatagramProtocol> get_protocol() const = 0;
  /// Calls somebody else from now on. Throws std::invalid_argument for null.
  /// connection_made() is not called again.
  virtual void set_protocol(std::shared_ptr<DatagramProtocol> protocol) = 0;
  /// The socket's number, for looking at it and for its options; -1 after the
  /// end.
  virtual int fd() const noexcept = 0;
  /// Whom it is connected to. None without a remote address, and none with
  /// DatagramOptions::allow_broadcast(), which does not connect.
  virtual const Address& peername() const = 0;
  /// Its own address. Known after the end if it was asked for before.
  virtual const Address& sockname() const = 0;
  /// asyncio's way to ask: "peername", "sockname", "socket" (the number of the
  /// descriptor), as text; `otherwise` for what it does not know.
  virtual std::string get_extra_info(std::string_view name,
                                     std::string otherwise = "None") const;
  /// As asyncio's repr.
  virtual std::string description() const = 0;
};

/// `<_SelectorDatagramTransport fd=7 read=polling write=<idle, bufsize=0>>`.
std::string to_string(const DatagramTransport& transport);

}  // namespace rondo
