// SPDX-License-Identifier: MIT
//
// A server that accepts, says something and closes, and what a connection
// costs it: the processor time of its thread. The clients run on another
// thread of the same processor, sixty-four at a time; each connects, reads
// until the end, and connects again.
//
//   accept/send_close   by callbacks (a Protocol) and by streams in coroutines,
//                       beside a server in C on epoll

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "bench/support/harness.h"
#include "bench/support/pin.h"
#include "futures/coro/coro.h"
#include "net/streams.h"

namespace {

using bench::Run;
using rondo::Coro;
using rondo::EventLoop;
using rondo::Server;
using rondo::Transport;

constexpr std::string_view kGreeting = "hello, and good bye\n";
constexpr std::uint64_t kAtATime = 64;
constexpr int kBacklog = 1024;

int checked(int answer, const char* what) {
  if (answer < 0) bench::fail(what);
  return answer;
}

sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// -- the clients -------------------------------------------------------------

/// Connect so many times in all.
class Clients {
 public:
  Clients(std::uint16_t port, std::uint64_t connections)
      : port_(port), to_begin_(connections), to_end_(connections) {
    thread_ = std::thread([this] { talk(); });
  }
  ~Clients() { thread_.join(); }

 private:
  void talk() {
    epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (std::uint64_t n = 0; n < kAtATime; ++n) begin();
    epoll_event events[kAtATime];
    while (to_end_ > 0) {
      const int count =
          checked(epoll_wait(epoll_, events, kAtATime, -1), "wait");
      for (int n = 0; n < count; ++n) read(events[n].data.fd);
    }
    close(epoll_);
  }
  void begin() {
    if (to_begin_ == 0) return;
    --to_begin_;
    const int fd =
        checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                "socket");
    // What ends with a reset leaves nothing behind that waits for a minute.
    const linger reset{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    const sockaddr_in address = local_address(port_);
    const auto* native = reinterpret_cast<const sockaddr*>(&address);
    if (connect(fd, native, sizeof address) != 0 && errno != EINPROGRESS) {
      bench::fail("connect");
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
  void read(int fd) {
    char text[64];
    const ssize_t size = recv(fd, text, sizeof text, 0);
    if (size < 0) bench::fail("recv");
    if (size > 0) return;
    close(fd);
    --to_end_;
    begin();
  }

  const std::uint16_t port_;
  std::uint64_t to_begin_;
  std::uint64_t to_end_;
  int epoll_ = -1;
  std::thread thread_;
};

// -- ours --------------------------------------------------------------------

class Greeter final : public rondo::Protocol {
 public:
  explicit Greeter(std::uint64_t& left) : left_(left) {}
  void connection_made(Transport& transport) override {
    transport_ = &transport;
    transport.write(kGreeting);
    transport.close();
  }
  void connection_lost(std::exception_ptr) override {
    if (--left_ == 0) transport_->loop().stop();
  }

 private:
  std::uint64_t& left_;
  Transport* transport_ = nullptr;
};

rondo::ServerOptions options() {
  return rondo::ServerOptions().backlog(kBacklog);
}

/// Listens by `create`, and serves so many connections.
void serve(Run& run, EventLoop& loop, rondo::CreateServer create,
           const std::uint64_t& left) {
  const auto task = create_task(loop, std::move(create));
  while (!task.done()) loop.run_once();
  const Server server = task.result();
  const Clients clients(server.sockets()[0].getsockname().port(),
                        run.operations());
  run.measure("all", [&] { loop.run_forever(); });
  while (server.client_count() > 0) loop.run_once();  // the last of them
  run.check(run.operations() - left, run.operations(), "connections");
}

void callbacks(Run& run) {
  const bench::Pin pin(0);
  EventLoop loop;
  std::uint64_t left = run.operations();
  serve(run, loop,
        rondo::create_server([&] { return std::make_unique<Greeter>(left); },
                             "127.0.0.1", 0, options()),
        left);
}

Coro<> greet(rondo::StreamWriter writer, std::uint64_t& left) {
  co_await writer.write(kGreeting);
  writer.close();
  if (--left == 0) writer.transport().loop().stop();
}

void streams(Run& run) {
  const bench::Pin pin(0);
  EventLoop loop;
  std::uint64_t left = run.operations();
  serve(run, loop,
        rondo::start_server(
            [&left](rondo::StreamReader, rondo::StreamWriter writer) -> Coro<> {
              return greet(std::move(writer), left);
            },
            "127.0.0.1", 0, options()),
        left);
}

// -- the floor ---------------------------------------------------------------

void raw(Run& run) {
  const bench::Pin pin(0);
  const int listener = checked(
      socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  sockaddr_in address = local_address(0);
  auto* native = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  checked(bind(listener, native, size), "bind");
  checked(listen(listener, kBacklog), "listen");
  checked(getsockname(listener, native, &size), "getsockname");
  const int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  checked(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
  const Clients clients(ntohs(address.sin_port), run.operations());
  run.measure("all", [&] {
    std::uint64_t left = run.operations();
    epoll_event events[256];
    while (left > 0) {
      checked(epoll_wait(epoll, events, 256, -1), "wait");
      while (true) {
        sockaddr_storage peer;
        socklen_t peer_size = sizeof peer;
        const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&peer),
                               &peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) break;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (send(fd, kGreeting.data(), kGreeting.size(), MSG_NOSIGNAL) < 0) {
          bench::fail("send");
        }
        close(fd);
        --left;
      }
    }
  });
  close(epoll);
  close(listener);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Program program(argc, argv);
  program.add("accept/send_close", 20'000)
      .rounds(15)
      .contestant("ours", callbacks)
      .contestant("streams", streams)
      .contestant("raw", raw)
      .row("raw", bench::at_most_ratio(1 / 0.95))
      .row_of("streams", "raw");
  return program.run();
}
