// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "futures/operation.h"
#include "net/internal/file_sender.h"
#include "net/transport.h"
#include "reactor/errors.h"

namespace rondo {

/// sendfile(2) cannot send this file to this socket, and nobody wants it read
/// and written instead.
///
/// Source: asyncio.SendfileNotAvailableError.
class SendfileNotAvailableError : public RuntimeError {
 public:
  using RuntimeError::RuntimeError;
};

namespace detail {
class SendfileProtocol;
class SocketTransport;
}  // namespace detail

/// What sendfile() gives: an operation.
///
/// A cancel leaves the connection open with a part of the file sent, nobody
/// knows how much: abort() is what is left to do.
class [[nodiscard]] Sendfile : public Operation<Sendfile, std::int64_t> {
 public:
  /// For sendfile().
  Sendfile(std::shared_ptr<Transport> transport, int file, std::int64_t offset,
           std::optional<std::int64_t> count, bool fallback);
  /// Before the first step only.
  Sendfile(Sendfile&&) noexcept;
  ~Sendfile();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  std::int64_t result() noexcept { return sender_.total(); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sendfile";

 private:
  void begin(EventLoop& loop);
  Step send(EventLoop& loop);
  Step write(EventLoop& loop);
  void end() noexcept;

  std::shared_ptr<Transport> transport_;
  detail::FileSender sender_;
  const bool fallback_;
  bool has_begun_ = false;
  // What it goes through, until it is over; one of the two.
  detail::SocketTransport* socket_ = nullptr;
  std::shared_ptr<detail::SendfileProtocol> protocol_;
  Future<void> turn_;
};

/// Sends `count` bytes of the file `file` from `offset` on, or all the rest of
/// it, behind what was written before. Gives how many it were: fewer than
/// `count` if the file ends before. The file's own position is neither used
/// nor changed; `file` stays open until this is done.
///
/// A connection without TLS uses sendfile(2): nothing is copied, one call sends
/// up to a megabyte, and others have their turn between. What is written
/// meanwhile waits, and comes behind the file, and so does the end that a
/// close() or a write_eof() makes; reading goes on. (asyncio pauses reading,
/// and refuses to write.)
///
/// With TLS, or where sendfile(2) is not for such a file (a pipe, some file
/// systems), a thread of run_in_executor() reads it in pieces of 256 KiB.
/// With TLS, reading is paused meanwhile, and what is written goes between the
/// pieces: wait for the end.
///
/// Throws std::invalid_argument at once for a negative offset or a count that
/// is not positive; RuntimeError if the transport is closing or sends a file
/// already; SendfileNotAvailableError if `fallback` is false and would be
/// needed; std::system_error with what the file could not be read with (the
/// connection stays open, to be aborted), or with what the connection has
/// failed with (it ends). Never raises SIGPIPE.
///
/// Source: asyncio.loop.sendfile, sendfile(2).
Sendfile sendfile(Transport& transport, int file, std::int64_t offset = 0,
                  std::optional<std::int64_t> count = std::nullopt,
                  bool fallback = true);

}  // namespace rondo
