// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "futures/operation.h"
#include "net/create_connection.h"
#include "net/protocol.h"
#include "net/transport.h"
#include "reactor/unique_fd.h"

namespace rondo {

namespace detail {

/// What ConnectReadPipe and ConnectWritePipe have in common.
class ConnectPipe {
 public:
  /// Which end of the pipe is ours.
  enum class End : bool { kReading, kWriting };

  ConnectPipe(ProtocolFactory factory, UniqueFd pipe, End end);
  ConnectPipe(ConnectPipe&&) noexcept;
  ~ConnectPipe();

  Step step(Resumption& resumption);
  Connection result();

 private:
  void make(EventLoop& loop);

  ProtocolFactory factory_;
  UniqueFd pipe_;
  End end_;
  Connection connection_;
  Future<void> made_;
};

}  // namespace detail

/// What connect_read_pipe() gives: an operation. A cancel closes the pipe.
class [[nodiscard]] ConnectReadPipe
    : public Operation<ConnectReadPipe, Connection> {
 public:
  /// For connect_read_pipe().
  ConnectReadPipe(ProtocolFactory factory, UniqueFd pipe)
      : connect_(std::move(factory), std::move(pipe),
                 detail::ConnectPipe::End::kReading) {}

  /// See TaskBody.
  Step step(Resumption& resumption) { return connect_.step(resumption); }
  /// See TaskBody.
  Connection result() { return connect_.result(); }
  /// asyncio's name of it.
  static constexpr const char* kName = "connect_read_pipe";

 private:
  detail::ConnectPipe connect_;
};

/// What connect_write_pipe() gives: an operation. A cancel closes the pipe.
class [[nodiscard]] ConnectWritePipe
    : public Operation<ConnectWritePipe, Connection> {
 public:
  /// For connect_write_pipe().
  ConnectWritePipe(ProtocolFactory factory, UniqueFd pipe)
      : connect_(std::move(factory), std::move(pipe),
                 detail::ConnectPipe::End::kWriting) {}

  /// See TaskBody.
  Step step(Resumption& resumption) { return connect_.step(resumption); }
  /// See TaskBody.
  Connection result() { return connect_.result(); }
  /// asyncio's name of it.
  static constexpr const char* kName = "connect_write_pipe";

 private:
  detail::ConnectPipe connect_;
};

/// Reads from `pipe`, which is a pipe, a FIFO, a socket or a character device
/// such as a terminal. Done when connection_made() has been called. `pipe` is
/// the transport's from now on, and is made non-blocking: whoever shares its
/// open file (a shell its terminal, say) sees that, too.
///
/// The protocol is a Protocol or a BufferedProtocol. At the end of the stream
/// it hears eof_received(), whose answer does not matter, and then
/// connection_lost(). To write throws RuntimeError.
///
/// Throws std::invalid_argument if `pipe` is nothing of the kind (epoll(7) has
/// no regular files), at once if there is none; std::system_error if it cannot
/// be watched, as /dev/null; what the factory or connection_made() throws.
///
///     Connection c = co_await connect_read_pipe(make_lines, std::move(fd));
///
/// Source: asyncio.loop.connect_read_pipe.
ConnectReadPipe connect_read_pipe(ProtocolFactory factory, UniqueFd pipe);

/// Writes to `pipe`; the rest as above.
///
/// The protocol is any BaseProtocol. It hears connection_lost() as soon as the
/// reader has hung up: with EPIPE if something was not written yet, else with
/// no error. No SIGPIPE is raised, whatever the program does about it.
/// close() and write_eof() are the same, as a pipe has one direction: what was
/// written goes, then the reader sees the end. There is no reading to pause.
///
/// Source: asyncio.loop.connect_write_pipe.
ConnectWritePipe connect_write_pipe(ProtocolFactory factory, UniqueFd pipe);

}  // namespace rondo
