// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "futures/operation.h"
#include "net/internal/stream_ref.h"
#include "net/tls/start_tls.h"
#include "net/transport.h"

namespace rondo {

namespace detail {
class StreamProtocol;
}  // namespace detail

/// The writing half of a connection. A small value: copies mean the same
/// stream; several tasks may write and drain at once. Only for the loop's
/// thread, copies too. When the last copy of it and of its reader has gone,
/// what the peer sends is thrown away, and the connection ends with the peer.
///
///     co_await writer.write("hello\n");   // waits while the peer is too slow
///     writer.close();
///     co_await writer.wait_closed();
///
/// Source: asyncio.StreamWriter.
class StreamWriter {
 public:
  class Drain;
  class StartTls;

  /// Means no stream.
  StreamWriter() noexcept = default;

  /// Sends `data`, in time: see Transport::write(). Awaiting what this gives
  /// is drain(); who does not should heed the buffer otherwise.
  Drain write(std::string_view data) const;
  /// The same for a std::string and its like. (A view of one, made for a call
  /// in a co_await, would lie in the coroutine's frame.)
  template <class Text>
    requires std::convertible_to<const Text&, std::string_view>
  Drain write(const Text& data) const;
  /// The same for several pieces.
  Drain writelines(std::span<const std::string_view> pieces) const;
  /// Waits while the write buffer is above its high-water mark, until it has
  /// sunk to the low one. Throws what reading has failed with, or a
  /// std::system_error(ECONNRESET, "Connection lost").
  Drain drain() const;
  /// No more will be written; reading goes on.
  void write_eof() const { transport().write_eof(); }
  /// Whether write_eof() can be called.
  bool can_write_eof() const noexcept { return transport().can_write_eof(); }
  /// Ends the connection once what was written has gone.
  void close() const { transport().close(); }
  /// Whether it is closed, or about to be.
  bool is_closing() const noexcept { return transport().is_closing(); }
  /// Done when the connection has ended; fails with what that failed with.
  Future<void> wait_closed() const;
  /// See Transport::get_extra_info().
  std::string get_extra_info(std::string_view name,
                             std::string otherwise = "None") const {
    return transport().get_extra_info(name, std::move(otherwise));
  }
  /// What is below.
  Transport& transport() const noexcept;
  /// Encrypts the connection from now on, for all copies of this stream and of
  /// its reader; see start_tls(Transport). Sends first what was written. Throws
  /// RuntimeError if the reader has something that came before: whoever sent
  /// it may not be the peer; and ECONNRESET if the peer sends no more.
  StartTls start_tls(TlsOptions options) const;

  /// Whether it means a stream.
  explicit operator bool() const noexcept {
    return static_cast<bool>(protocol_);
  }
  /// As asyncio's repr.
  friend std::string to_string(const StreamWriter& writer);

  /// For the library.
  explicit StreamWriter(
      std::shared_ptr<detail::StreamProtocol> protocol) noexcept;

 private:
  detail::StreamProtocol& protocol() const noexcept;

  detail::StreamRef protocol_;
};

/// What StreamWriter::drain() gives. A cancel loses nothing.
class StreamWriter::Drain : public Operation<StreamWriter::Drain, void> {
 public:
  /// For StreamWriter.
  explicit Drain(detail::StreamRef protocol) noexcept
      : protocol_(std::move(protocol)) {}
  Drain(Drain&&) = default;
  ~Drain();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "StreamWriter.drain";

 private:
  detail::StreamProtocol& protocol() const noexcept;

  detail::StreamRef protocol_;
  std::uint32_t wait_ = 0;  // the protocol's number of it; zero: none
  bool begun_ = false;
};

template <class Text>
  requires std::convertible_to<const Text&, std::string_view>
StreamWriter::Drain StreamWriter::write(const Text& data) const {
  return write(std::string_view(data));
}

/// What StreamWriter::start_tls() gives. A cancel aborts the connection.
class [[nodiscard]] StreamWriter::StartTls
    : public Operation<StreamWriter::StartTls, void> {
 public:
  /// For StreamWriter.
  StartTls(StreamWriter writer, TlsOptions options);
  StartTls(StartTls&&) = default;

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "StreamWriter.start_tls";

 private:
  StreamWriter writer_;
  TlsOptions options_;
  Drain drain_;
  std::optional<rondo::StartTls> upgrade_;
};

}  // namespace rondo
