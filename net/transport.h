// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/protocol.h"

namespace rondo {

class EventLoop;

/// When a transport tells its protocol to stop writing, and to go on.
class WriteBufferLimits {
 public:
  /// resume_writing() when the buffer holds this many bytes or fewer.
  std::size_t low = std::size_t{16} * 1024;
  /// pause_writing() when it holds more than this.
  std::size_t high = std::size_t{64} * 1024;
};

/// One connection: a stream of bytes both ways, and a buffer for what the
/// kernel does not take at once.
///
/// It belongs to its loop until connection_lost() has been called; keep a
/// shared_from_this() to look at it later. To be used on the loop's thread
/// only. All calls but those that say otherwise do nothing after the end.
///
/// Source: asyncio.Transport.
class Transport : public std::enable_shared_from_this<Transport> {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // -- its end --

  /// Ends it once what was written has gone. Nothing is read any more.
  virtual void close() = 0;
  /// Ends it now. What was written and not sent yet is lost.
  virtual void abort() = 0;
  /// Whether it is closed, or about to be.
  virtual bool is_closing() const noexcept = 0;

  // -- reading --

  /// No data_received() until resume_reading(): the kernel's buffer fills up,
  /// and the peer has to wait. The end of the stream is not seen either.
  /// Does nothing if it is paused or closing.
  virtual void pause_reading() = 0;
  /// Goes on.
  virtual void resume_reading() = 0;
  /// Whether it is neither paused nor closing.
  virtual bool is_reading() const noexcept = 0;

  // -- writing --

  /// Sends `data`, in time: what is not sent at once is copied. Several small
  /// writes of one callback, or of one pass, leave together. Never fails and
  /// never blocks: an error of the connection is told to connection_lost(),
  /// and so is a std::bad_alloc if there is no memory for the copy.
  /// Throws RuntimeError after write_eof().
  virtual void write(std::string_view data) = 0;
  /// The same for several pieces, one behind the other.
  virtual void writelines(std::span<const std::string_view> pieces);
  /// No more will be written; the peer hears of it when the rest has gone.
  /// Reading goes on. Throws RuntimeError if can_write_eof() is false.
  virtual void write_eof() = 0;
  /// Whether write_eof() can be called: not with TLS.
  virtual bool can_write_eof() const noexcept { return true; }
  /// How many bytes were written and are not the kernel's yet. Tries to hand
  /// them over first.
  virtual std::size_t get_write_buffer_size() = 0;
  /// See set_write_buffer_limits().
  virtual WriteBufferLimits get_write_buffer_limits() const noexcept = 0;
  /// When to tell the protocol to pause. What is not given follows from the
  /// other: low is a quarter of high, high four times low; 64 and 16 KiB if
  /// neither is. Throws std::invalid_argument unless high >= low.
  virtual void set_write_buffer_limits(
      std::optional<std::size_t> high = std::nullopt,
      std::optional<std::size_t> low = std::nullopt) = 0;
  /// A write that would leave more than `bytes` in the buffer aborts the
  /// connection with ENOBUFS: for a protocol that does not heed
  /// pause_writing(). None by default. asyncio has no such limit.
  virtual void set_write_buffer_cap(std::size_t bytes) = 0;

  // -- what it is --

  /// The loop it belongs to.
  virtual EventLoop& loop() const noexcept = 0;
  /// Whom it calls; null after the end.
  virtual std::shared_ptr<BaseProtocol> get_protocol() const = 0;
  /// Calls somebody else from now on: a Protocol or a BufferedProtocol.
  /// Throws std::invalid_argument for any other. connection_made() is not
  /// called again.
  virtual void set_protocol(std::shared_ptr<BaseProtocol> protocol) = 0;
  /// The socket's number, for looking at it and for its options; -1 after the
  /// end.
  virtual int fd() const noexcept = 0;
  /// Whom it is connected to. Known after the end, too.
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

/// `<_SelectorSocketTransport fd=7 read=polling write=<idle, bufsize=0>>`.
std::string to_string(const Transport& transport);

}  // namespace rondo
