// SPDX-License-Identifier: MIT
//
// Servers for bench/load to ask: echo, which sends back what comes, and
// accept, which sends one byte to each connection and closes it.
//
//   ours     callbacks: a Protocol
//   streams  coroutines: a StreamReader and a StreamWriter
//   raw      the floor: a loop over epoll_wait(2) with a buffer of 64 KiB
//
// What a row measures is the processor time of the server a message; the load
// generator is another process.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "bench/support/harness.h"
#include "futures/coro/coro.h"
#include "net/streams.h"

namespace {

using rondo::Coro;
using rondo::EventLoop;
using rondo::Server;
using rondo::Transport;

constexpr int kBacklog = 4096;

int checked(int answer, const char* what) {
  if (answer < 0) bench::fail(what);
  return answer;
}

// -- ours --------------------------------------------------------------------

class Echo final : public rondo::Protocol {
 public:
  void connection_made(Transport& transport) override {
    transport_ = &transport;
  }
  void data_received(std::string_view data) override {
    transport_->write(data);
  }

 private:
  Transport* transport_ = nullptr;
};

class Greeter final : public rondo::Protocol {
 public:
  void connection_made(Transport& transport) override {
    transport.write("x");
    transport.close();
  }
};

Coro<> echo(rondo::StreamReader reader, rondo::StreamWriter writer) {
  while (true) {
    const std::string data = co_await reader.read(256 * 1024);
    if (data.empty()) break;
    co_await writer.write(data);
  }
  writer.close();
}

Coro<> greet(rondo::StreamReader, rondo::StreamWriter writer) {
  co_await writer.write("x");
  writer.close();
}

rondo::ServerOptions options() {
  return rondo::ServerOptions().backlog(kBacklog);
}

/// Makes the server that `create` says, and serves until stdin ends.
template <class Create>
void serve(Create create) {
  EventLoop loop;
  const auto task = create_task(loop, create());
  while (!task.done()) loop.run_once();
  const Server server = task.result();
  bench::listening(server.sockets()[0].getsockname().port());
  loop.add_reader(STDIN_FILENO, [&loop] {
    char byte;
    if (read(STDIN_FILENO, &byte, 1) <= 0) loop.stop();
  });
  loop.run_forever();
  loop.remove_reader(STDIN_FILENO);
}

template <class P>
void callbacks() {
  serve([] {
    return rondo::create_server([] { return std::make_unique<P>(); },
                                "127.0.0.1", 0, options());
  });
}

void streams(Coro<> (*handle)(rondo::StreamReader, rondo::StreamWriter)) {
  serve([handle] {
    return rondo::start_server(
        [handle](rondo::StreamReader reader, rondo::StreamWriter writer) {
          return handle(std::move(reader), std::move(writer));
        },
        "127.0.0.1", 0, options());
  });
}

// -- the floor ---------------------------------------------------------------

class RawServer {
 public:
  explicit RawServer(bool greets) : greets_(greets) {
    listener_ =
        checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* native = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    checked(bind(listener_, native, size), "bind");
    checked(listen(listener_, kBacklog), "listen");
    checked(getsockname(listener_, native, &size), "getsockname");
    epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    watch(listener_);
    watch(STDIN_FILENO);
    bench::listening(ntohs(address.sin_port));
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  ~RawServer() {
    close(epoll_);
    close(listener_);
  }

  /// Until stdin ends.
  void serve() {
    epoll_event events[256];
    while (true) {
      const int count = checked(epoll_wait(epoll_, events, 256, -1), "wait");
      for (int n = 0; n < count; ++n) {
        const int fd = events[n].data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (fd == STDIN_FILENO) {
          return;
        } else {
          echo(fd);
        }
      }
    }
  }

 private:
  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
  void accept_all() const {
    while (true) {
      const int fd =
          accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (greets_) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) bench::fail("send");
        close(fd);
        continue;
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(fd);
    }
  }
  void echo(int fd) {
    const ssize_t size = recv(fd, memory_, sizeof memory_, 0);
    if (size <= 0) {
      close(fd);
      return;
    }
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t more =
          send(fd, memory_ + sent, static_cast<std::size_t>(size - sent),
               MSG_NOSIGNAL);
      if (more > 0) sent += more;  // else: it takes no more, and we insist
    }
  }

  const bool greets_;
  int listener_;
  int epoll_;
  char memory_[64 * 1024];
};

void raw(bool greets) { std::make_unique<RawServer>(greets)->serve(); }

// -- the cases ---------------------------------------------------------------

/// Callbacks and streams beside the floor, with what each is to reach.
void add(bench::Program& program, const char* name, bench::Target callbacks_max,
         bench::Target streams_max) {
  program.served(name, {{"ours", bench::Role::kOurs, callbacks_max},
                        {"streams", bench::Role::kOurs, streams_max},
                        {"raw", bench::Role::kFloor, {}}});
}

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  using bench::at_most_ratio;
  bench::Program program(argc, argv);
  program.server("echo", "ours", callbacks<Echo>);
  program.server("echo", "streams", [] { streams(echo); });
  program.server("echo", "raw", [] { raw(false); });
  program.server("accept", "ours", callbacks<Greeter>);
  program.server("accept", "streams", [] { streams(greet); });
  program.server("accept", "raw", [] { raw(true); });
  for (const char* name : {"echo/64_c1", "echo/64_c64", "echo/64_c1000"}) {
    add(program, name, at_most_ratio(1 / 0.97), at_most_ratio(1 / 0.94));
  }
  for (const char* name : {"echo/16384_c64", "echo/16384_c1000"}) {
    add(program, name, at_most_ratio(1 / 0.95), at_most_ratio(1 / 0.94));
  }
  add(program, "echo/102400_c64", at_most_ratio(1 / 1.10), at_most_ratio(1.0));
  add(program, "echo/64_c64_p16", {}, {});
  add(program, "accept/c1", at_most_ratio(1 / 0.95), {});
  add(program, "idle/10000", bench::at_most_bytes(512),
      bench::at_most_bytes(1024));
  return program.run();
}
