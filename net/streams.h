// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "futures/operation.h"
#include "net/create_connection.h"
#include "net/server.h"
#include "net/stream_reader.h"
#include "net/stream_writer.h"

namespace rondo {

/// The two halves of a connection.
class Streams {
 public:
  /// Neither.
  Streams() = default;
  /// Takes both.
  Streams(StreamReader r, StreamWriter w)
      : reader(std::move(r)), writer(std::move(w)) {}
  /// What comes.
  StreamReader reader;
  /// What goes.
  StreamWriter writer;
};

/// What open_connection() gives: an operation.
class [[nodiscard]] OpenConnection : public Operation<OpenConnection, Streams> {
 public:
  /// For open_connection().
  explicit OpenConnection(CreateConnection connect) noexcept
      : connect_(std::move(connect)) {}

  /// See TaskBody.
  Step step(Resumption& resumption) { return connect_.step(resumption); }
  /// See TaskBody.
  Streams result();
  /// asyncio's name of it.
  static constexpr const char* kName = "open_connection";

 private:
  CreateConnection connect_;
};

/// Connects to `port` of `host`; see create_connection(). `limit` is the
/// reader's.
///
///     Streams s = co_await open_connection("127.0.0.1", 8888);
///     co_await s.writer.write("hello\n");
///     std::string line = co_await s.reader.readline();
///
/// Source: asyncio.open_connection.
OpenConnection open_connection(std::string host, std::uint16_t port,
                               const ConnectOptions& options = ConnectOptions(),
                               std::size_t limit = kStreamLimit);
/// The same on a Unix socket.
OpenConnection open_unix_connection(
    std::string_view path, const ConnectOptions& options = ConnectOptions(),
    std::size_t limit = kStreamLimit);
/// The same on a socket that is connected and non-blocking.
OpenConnection open_connection(UniqueFd socket,
                               const ConnectOptions& options = ConnectOptions(),
                               std::size_t limit = kStreamLimit);

namespace detail {

/// What a handler does, as a function that gives its task, or no future.
template <class Handler>
std::function<AnyFuture(StreamReader, StreamWriter)> stream_handler(
    Handler&& handler) {
  // Shared: std::function would copy it.
  auto kept =
      std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
  return [kept](StreamReader reader, StreamWriter writer) -> AnyFuture {
    using Result = std::invoke_result_t<std::decay_t<Handler>&, StreamReader,
                                        StreamWriter>;
    if constexpr (std::is_void_v<Result>) {
      std::invoke(*kept, std::move(reader), std::move(writer));
      return AnyFuture();
    } else {
      EventLoop& loop = get_running_loop();
      return ensure_future(
          loop, std::invoke(*kept, std::move(reader), std::move(writer)));
    }
  };
}

/// A factory of the protocols between a transport and its streams.
ProtocolFactory stream_factory(
    std::function<AnyFuture(StreamReader, StreamWriter)> handler,
    std::size_t limit);

}  // namespace detail

/// Listens, and calls `handler(reader, writer)` for each connection: a
/// coroutine, which becomes a task of its own, or a plain function. What it
/// fails with is told to the loop's exception handler, and its connection
/// closed. See create_server(). When nobody holds the two streams any more,
/// what the peer sends is thrown away, and the connection ends with its peer:
/// so it does if writer.close() is forgotten.
///
///     Coro<> echo(StreamReader reader, StreamWriter writer) {
///       for (;;) {
///         std::string data = co_await reader.read(65536);
///         if (data.empty()) break;
///         co_await writer.write(data);
///       }
///       writer.close();
///     }
///     Server server = co_await start_server(echo, "127.0.0.1", 8888);
///
/// Source: asyncio.start_server.
template <class Handler>
  requires std::invocable<std::decay_t<Handler>&, StreamReader, StreamWriter>
CreateServer start_server(Handler&& handler, std::string host,
                          std::uint16_t port,
                          const ServerOptions& options = ServerOptions(),
                          std::size_t limit = kStreamLimit) {
  return create_server(
      detail::stream_factory(
          detail::stream_handler(std::forward<Handler>(handler)), limit),
      std::move(host), port, options);
}

/// The same on a Unix socket; see create_unix_server().
template <class Handler>
  requires std::invocable<std::decay_t<Handler>&, StreamReader, StreamWriter>
CreateServer start_unix_server(Handler&& handler, std::string_view path,
                               const ServerOptions& options = ServerOptions(),
                               std::size_t limit = kStreamLimit) {
  return create_unix_server(
      detail::stream_factory(
          detail::stream_handler(std::forward<Handler>(handler)), limit),
      path, options);
}

}  // namespace rondo
