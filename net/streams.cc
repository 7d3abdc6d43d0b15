// SPDX-License-Identifier: MIT
#include "net/streams.h"

#include "net/internal/stream_protocol.h"

namespace rondo {

using detail::StreamProtocol;

Streams OpenConnection::result() {
  Connection connection = connect_.result();
  auto protocol =
      std::static_pointer_cast<StreamProtocol>(std::move(connection.protocol));
  StreamReader reader(protocol);
  return Streams(std::move(reader), StreamWriter(std::move(protocol)));
}

OpenConnection open_connection(std::string host, std::uint16_t port,
                               const ConnectOptions& options,
                               std::size_t limit) {
  return OpenConnection(create_connection(
      detail::stream_factory(nullptr, limit), std::move(host), port, options));
}

OpenConnection open_unix_connection(std::string_view path,
                                    const ConnectOptions& options,
                                    std::size_t limit) {
  return OpenConnection(create_unix_connection(
      detail::stream_factory(nullptr, limit), path, options));
}

OpenConnection open_connection(UniqueFd socket, const ConnectOptions& options,
                               std::size_t limit) {
  return OpenConnection(create_connection(
      detail::stream_factory(nullptr, limit), std::move(socket), options));
}

ProtocolFactory detail::stream_factory(
    std::function<AnyFuture(StreamReader, StreamWriter)> handler,
    std::size_t limit) {
  detail::check_limit(limit);
  std::shared_ptr<const StreamHandler> kept;
  if (handler != nullptr) {
    kept = std::make_shared<const StreamHandler>(std::move(handler));
  }
  return [kept = std::move(kept), limit] {
    return std::make_shared<StreamProtocol>(limit, kept);
  };
}

}  // namespace rondo
