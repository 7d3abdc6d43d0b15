// SPDX-License-Identifier: MIT
//
// A loop uses one processor. For more, run one loop on each of several threads
// and let them listen on the same port: with reuse_port() each has a socket of
// its own (SO_REUSEPORT, socket(7)), and the kernel deals the connections out
// among them. The loops share nothing, so nothing is locked; a connection stays
// with the loop that has accepted it.
//
// From outside, a loop takes call_soon_threadsafe() and nothing else: that is
// how the main thread ends the others here.
//
// New against 01: threads, each with run(); ServerOptions().reuse_port().
//
// Expected output:
//   3 loops listen on one port
//   90 connections, 90 answers
//   each loop has served some: yes
//   the loops have ended

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "net/streams.h"
#include "reactor/event_loop.h"

using rondo::Coro;

/// One loop on a thread of its own, with an echo server.
class Shard {
 public:
  /// Returns when it listens.
  explicit Shard(std::uint16_t port)
      : thread_([this, port] { rondo::run(serve(port)); }) {
    port_ = listening_.get_future().get();
  }
  std::uint16_t port() const { return port_; }
  /// Ends the loop. How many connections it has served.
  int stop() {
    loop_->call_soon_threadsafe([this] { stopped_.set_result(); });
    thread_.join();
    return served_;
  }

 private:
  Coro<> serve(std::uint16_t port) {
    loop_ = &rondo::get_running_loop();
    stopped_ = rondo::Future<void>(*loop_);
    auto starting = rondo::start_server(
        [this](rondo::StreamReader reader, rondo::StreamWriter writer) {
          ++served_;
          return echo(std::move(reader), std::move(writer));
        },
        "127.0.0.1", port, rondo::ServerOptions().reuse_port(true));
    const rondo::Server server = co_await starting;
    listening_.set_value(server.sockets().at(0).getsockname().port());
    co_await stopped_;
    server.close();
    co_await server.wait_closed();
  }

  static Coro<> echo(rondo::StreamReader reader, rondo::StreamWriter writer) {
    const std::string line = co_await reader.readline();
    co_await writer.write(line);
    writer.close();
  }

  // Of the loop's thread, once that runs.
  rondo::EventLoop* loop_ = nullptr;
  rondo::Future<void> stopped_;
  int served_ = 0;

  std::promise<std::uint16_t> listening_;
  std::uint16_t port_ = 0;
  std::thread thread_;  // last: what it uses is there
};

static Coro<> ask(std::uint16_t port, int times, int* answers) {
  for (int i = 0; i < times; ++i) {
    auto connecting = rondo::open_connection("127.0.0.1", port);
    const rondo::Streams streams = co_await connecting;
    co_await streams.writer.write("hello\n");
    const std::string line = co_await streams.reader.readline();
    *answers += line == "hello\n" ? 1 : 0;
    streams.writer.close();
    co_await streams.writer.wait_closed();
  }
}

int main() {
  std::vector<std::unique_ptr<Shard>> shards;
  shards.push_back(std::make_unique<Shard>(0));
  const std::uint16_t port = shards[0]->port();
  while (shards.size() < 3) shards.push_back(std::make_unique<Shard>(port));
  std::printf("%zu loops listen on one port\n", shards.size());

  int answers = 0;
  rondo::run(ask(port, 90, &answers));
  std::printf("90 connections, %d answers\n", answers);

  std::vector<int> served;
  for (const auto& shard : shards) served.push_back(shard->stop());
  const int least = *std::min_element(served.begin(), served.end());
  std::printf("each loop has served some: %s\n", least > 0 ? "yes" : "no");
  std::puts("the loops have ended");
}
