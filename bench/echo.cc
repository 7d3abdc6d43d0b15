// SPDX-License-Identifier: MIT
//
// An echo server, and what a message costs it: the processor time of its
// thread. The clients run on another thread of the same processor; each sends
// a message, waits until all of it has come back, and sends the next.
//
//   echo/SIZE_cCONNECTIONS   by callbacks (a Protocol) and by streams in
//                            coroutines, beside a server in C on epoll

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

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

/// What is sent to and fro.
struct Load {
  std::size_t bytes;
  std::size_t connections;
};

int checked(int answer, const char* what) {
  if (answer < 0) bench::fail(what);
  return answer;
}

// -- the clients -------------------------------------------------------------

sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int connect_to(std::uint16_t port) {
  const int fd =
      checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_in address = local_address(port);
  checked(
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address),
      "connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// Sends and receives `messages` messages in all, then closes.
class Clients {
 public:
  Clients(std::uint16_t port, const Load& load, std::uint64_t messages)
      : load_(load), to_begin_(messages), to_end_(messages) {
    thread_ = std::thread([this, port] { talk(port); });
  }
  ~Clients() { thread_.join(); }

 private:
  struct Peer {
    int fd;
    std::size_t to_send;
    std::size_t to_receive;
  };

  void talk(std::uint16_t port) {
    const int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    std::vector<Peer> peers(load_.connections);
    for (Peer& peer : peers) {
      peer = {connect_to(port), 0, 0};
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &peer;
      checked(epoll_ctl(epoll, EPOLL_CTL_ADD, peer.fd, &event), "epoll_ctl");
      begin(peer);
    }
    epoll_event events[256];
    while (to_end_ > 0) {
      const int count = checked(epoll_wait(epoll, events, 256, -1), "wait");
      for (int n = 0; n < count; ++n) {
        go_on(*static_cast<Peer*>(events[n].data.ptr));
      }
    }
    for (const Peer& peer : peers) close(peer.fd);
    close(epoll);
  }

  void begin(Peer& peer) {
    if (to_begin_ == 0) return;
    --to_begin_;
    peer.to_send = peer.to_receive = load_.bytes;
    send_some(peer);
  }
  void send_some(Peer& peer) {
    const ssize_t sent =
        send(peer.fd, memory_.data(), peer.to_send, MSG_DONTWAIT);
    if (sent > 0) peer.to_send -= static_cast<std::size_t>(sent);
  }
  void go_on(Peer& peer) {
    const ssize_t size = recv(peer.fd, memory_.data(), memory_.size(), 0);
    if (size <= 0) bench::fail("the server has hung up");
    peer.to_receive -= static_cast<std::size_t>(size);
    if (peer.to_send > 0) return send_some(peer);
    if (peer.to_receive > 0) return;
    --to_end_;
    begin(peer);
  }

  const Load load_;
  std::uint64_t to_begin_;
  std::uint64_t to_end_;
  std::string memory_ = std::string(256 * 1024, 'x');
  std::thread thread_;
};

// -- ours --------------------------------------------------------------------

class Echo final : public rondo::Protocol {
 public:
  explicit Echo(std::size_t& left) : left_(left) {}
  void connection_made(Transport& transport) override {
    transport_ = &transport;
  }
  void data_received(std::string_view data) override {
    transport_->write(data);
  }
  void connection_lost(std::exception_ptr) override {
    if (--left_ == 0) transport_->loop().stop();
  }

 private:
  std::size_t& left_;
  Transport* transport_ = nullptr;
};

rondo::ServerOptions options() { return rondo::ServerOptions().backlog(1024); }

/// The server of an operation that need not wait.
Server started(EventLoop& loop, rondo::CreateServer create) {
  const auto task = create_task(loop, std::move(create));
  while (!task.done()) loop.run_once();
  return task.result();
}

std::uint16_t port_of(const Server& server) {
  return server.sockets()[0].getsockname().port();
}

void callbacks(Run& run, const Load& load) {
  const bench::Pin pin(0);
  EventLoop loop;
  std::size_t left = load.connections;
  const Server server = started(
      loop, rondo::create_server([&] { return std::make_unique<Echo>(left); },
                                 "127.0.0.1", 0, options()));
  const Clients clients(port_of(server), load, run.operations());
  run.measure("all", [&] { loop.run_forever(); });
}

Coro<> echo(rondo::StreamReader reader, rondo::StreamWriter writer,
            std::size_t& left) {
  while (true) {
    const std::string data = co_await reader.read(256 * 1024);
    if (data.empty()) break;
    co_await writer.write(data);
  }
  writer.close();
  if (--left == 0) writer.transport().loop().stop();
}

void streams(Run& run, const Load& load) {
  const bench::Pin pin(0);
  EventLoop loop;
  std::size_t left = load.connections;
  const Server server = started(
      loop, rondo::start_server(
                [&left](rondo::StreamReader reader,
                        rondo::StreamWriter writer) -> Coro<> {
                  return echo(std::move(reader), std::move(writer), left);
                },
                "127.0.0.1", 0, options()));
  const Clients clients(port_of(server), load, run.operations());
  run.measure("all", [&] { loop.run_forever(); });
}

// -- the floor ---------------------------------------------------------------

class RawServer {
 public:
  RawServer() {
    listener_ =
        checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                "socket");
    sockaddr_in address = local_address(0);
    auto* native = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    checked(bind(listener_, native, size), "bind");
    checked(listen(listener_, 1024), "listen");
    checked(getsockname(listener_, native, &size), "getsockname");
    port_ = ntohs(address.sin_port);
    epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    watch(listener_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  ~RawServer() {
    close(epoll_);
    close(listener_);
  }

  std::uint16_t port() const { return port_; }

  /// Until `connections` have come and gone.
  void serve(std::size_t connections) {
    std::size_t left = connections;
    epoll_event events[256];
    while (left > 0) {
      const int count = checked(epoll_wait(epoll_, events, 256, -1), "wait");
      for (int n = 0; n < count; ++n) {
        const int fd = events[n].data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (!echo(fd)) {
          --left;
        }
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
  void accept_all() {
    while (true) {
      const int fd =
          accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(fd);
    }
  }
  /// Whether the connection goes on.
  bool echo(int fd) {
    const ssize_t size = recv(fd, memory_, sizeof memory_, 0);
    if (size <= 0) {
      close(fd);
      return false;
    }
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t more =
          send(fd, memory_ + sent, static_cast<std::size_t>(size - sent),
               MSG_NOSIGNAL);
      if (more > 0) sent += more;  // else: it takes no more, and we insist
    }
    return true;
  }

  int listener_;
  int epoll_;
  std::uint16_t port_;
  char memory_[64 * 1024];
};

void raw(Run& run, const Load& load) {
  const bench::Pin pin(0);
  const auto server = std::make_unique<RawServer>();
  const Clients clients(server->port(), load, run.operations());
  run.measure("all", [&] { server->serve(load.connections); });
}

void add(bench::Program& program, const char* name, const Load& load,
         std::uint64_t messages, double callbacks_max, double streams_max) {
  program.add(name, messages)
      .rounds(15)
      .contestant("ours", [=](Run& run) { callbacks(run, load); })
      .contestant("streams", [=](Run& run) { streams(run, load); })
      .contestant("raw", [=](Run& run) { raw(run, load); })
      .row("raw", bench::at_most_ratio(callbacks_max))
      .row_of("streams", "raw", bench::at_most_ratio(streams_max));
}

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  bench::Program program(argc, argv);
  add(program, "echo/64_c1", {64, 1}, 20'000, 1 / 0.97, 1 / 0.94);
  add(program, "echo/64_c64", {64, 64}, 100'000, 1 / 0.97, 1 / 0.94);
  add(program, "echo/16384_c1000", {16'384, 1'000}, 40'000, 1 / 0.95, 1 / 0.9);
  add(program, "echo/102400_c64", {102'400, 64}, 10'000, 1 / 1.10, 1.0);
  return program.run();
}
