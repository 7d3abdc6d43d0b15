// SPDX-License-Identifier: MIT
//
// A port forwarder: what comes on one connection goes out on another, both
// ways at once.
//
//     03_port_forwarder                     a demonstration, as printed below
//     03_port_forwarder PORT HOST PORT      forwards its own PORT to that one
//
// Each direction is a coroutine of four lines. Two things are easily wrong:
//
//   - co_await writer.write() waits while the receiver is slow. So nothing more
//     is read from the sender, whose own writes then wait: back-pressure. Else
//     the forwarder would hold whatever the difference is.
//   - When one side has said all, the other may still answer: the end of one
//     direction is passed on as such (write_eof()), and the connection closed
//     when both have ended.
//
// New against 02: two connections in one task group.
//
// Expected output:
//   client: sent 8388608 bytes, and the end
//   upstream: 8388608 bytes came, and the end
//   client: the answer is 'you sent 8388608 bytes'
//   the forwarder never held much: 1
//   nobody listens upstream any more
//   client: '', and the end

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/exception_group.h"
#include "futures/sleep.h"
#include "futures/task_group.h"
#include "net/examples/end_server.h"
#include "net/examples/program.h"
#include "net/streams.h"

using rondo::Coro;
using rondo::Server;
using rondo::StreamReader;
using rondo::Streams;
using rondo::StreamWriter;

namespace {

constexpr std::size_t kChunk = 65'536;

std::uint16_t port_of(const Server& server) {
  return server.sockets().at(0).getsockname().port();
}

// ---- The forwarder ---------------------------------------------------------

class Forwarder {
 public:
  /// From `port` of this machine to `to_port` of `host`.
  Coro<Server> start(std::uint16_t port, std::string host,
                     std::uint16_t to_port) {
    host_ = std::move(host);
    to_port_ = to_port;
    const auto handler = [this](StreamReader reader, StreamWriter writer) {
      return forward(Streams(std::move(reader), std::move(writer)));
    };
    auto starting = rondo::start_server(handler, "127.0.0.1", port);
    co_return co_await starting;
  }

  /// The most that has ever waited in a write buffer.
  std::size_t most_held() const noexcept { return most_held_; }

 private:
  Coro<> forward(Streams client) {
    Streams upstream;
    try {
      auto connecting = rondo::open_connection(host_, to_port_);
      upstream = co_await connecting;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cannot forward: %s\n", error.what());
    }
    if (!upstream.writer) {
      client.writer.close();
      co_return;
    }

    rondo::TaskGroup group;
    const auto both_ways = [&]() -> Coro<> {
      group.create_task(pump(client.reader, upstream.writer));
      group.create_task(pump(upstream.reader, client.writer));
      co_return;
    };
    try {
      co_await with(group, both_ways());
      client.writer.close();
      upstream.writer.close();
    } catch (const rondo::ExceptionGroup&) {
      // One connection has failed, which ended both directions.
      client.writer.transport().abort();
      upstream.writer.transport().abort();
    }
  }

  Coro<> pump(StreamReader from, StreamWriter to) {
    for (;;) {
      const std::string data = co_await from.read(kChunk);
      if (data.empty()) break;
      auto written = to.write(data);
      most_held_ = std::max(most_held_, to.transport().get_write_buffer_size());
      co_await written;
    }
    to.write_eof();
  }

  std::string host_;
  std::uint16_t to_port_ = 0;
  std::size_t most_held_ = 0;
};

// ---- The demonstration -----------------------------------------------------

/// Begins late, reads to the end, and only then answers.
Coro<> count_bytes(StreamReader reader, StreamWriter writer) {
  co_await rondo::sleep(0.05);
  std::size_t size = 0;
  for (;;) {
    const std::string data = co_await reader.read(kChunk);
    if (data.empty()) break;
    size += data.size();
  }
  std::printf("upstream: %zu bytes came, and the end\n", size);
  const std::string answer = "you sent " + std::to_string(size) + " bytes";
  co_await writer.write(answer);
  writer.close();
}

Coro<std::string> ask(std::uint16_t port, std::size_t size) {
  auto connecting = rondo::open_connection("127.0.0.1", port);
  const Streams streams = co_await connecting;
  const std::string chunk(std::min(size, kChunk), 'x');
  for (std::size_t sent = 0; sent < size; sent += chunk.size()) {
    co_await streams.writer.write(chunk);
  }
  if (size > 0) std::printf("client: sent %zu bytes, and the end\n", size);
  streams.writer.write_eof();
  std::string answer = co_await streams.reader.read();
  streams.writer.close();
  co_return answer;
}

Coro<> demonstrate(Forwarder& forwarder) {
  auto starting = rondo::start_server(count_bytes, "127.0.0.1", 0);
  const Server upstream = co_await starting;
  const Server server =
      co_await forwarder.start(0, "127.0.0.1", port_of(upstream));

  const std::string answer = co_await ask(port_of(server), 128 * kChunk);
  std::printf("client: the answer is '%s'\n", answer.c_str());
  // The high-water mark, and the chunk that went beyond it.
  std::printf("the forwarder never held much: %d\n",
              forwarder.most_held() <= 65'536 + kChunk);

  co_await end_server(upstream, 5);
  std::puts("nobody listens upstream any more");
  const std::string nothing = co_await ask(port_of(server), 0);
  std::printf("client: '%s', and the end\n", nothing.c_str());
  co_await end_server(server, 5);
}

Coro<> serve(Forwarder& forwarder, std::uint16_t port, std::string host,
             std::uint16_t to_port) {
  const Server server =
      co_await forwarder.start(port, std::move(host), to_port);
  std::printf("forwarding from port %d\n", port_of(server));
  co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
  Forwarder forwarder;  // outlives its connections
  return run_program("03_port_forwarder", [&] {
    return argc > 3 ? serve(forwarder, port_argument(argv[1]), argv[2],
                            port_argument(argv[3]))
                    : demonstrate(forwarder);
  });
}
