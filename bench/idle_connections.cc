// SPDX-License-Identifier: MIT
//
// User memory of connections that are accepted and idle: malloc's, and the
// process's pages. Not a matter of time, so it has a table of its own; the
// clients are another process.
//
//   idle_connections [N]      N connections, 10,000 unless said

#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
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

Coro<> echo(rondo::StreamReader reader, rondo::StreamWriter writer) {
  while (true) {
    const std::string data = co_await reader.read(65'536);
    if (data.empty()) break;
    co_await writer.write(data);
  }
  writer.close();
}

/// In a process of its own: connects, and waits for its end.
[[noreturn]] void hold(std::uint16_t port, std::size_t count) {
  for (std::size_t n = 0; n < count; ++n) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const auto* native = reinterpret_cast<const sockaddr*>(&address);
    if (connect(fd, native, sizeof address) != 0) bench::fail("connect");
  }
  while (true) pause();
}

struct Memory {
  std::size_t allocated;
  std::size_t resident;
};

Memory memory() {
  std::size_t all = 0;
  std::size_t pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%zu %zu", &all, &pages) != 2) {
    bench::fail("/proc/self/statm");
  }
  std::fclose(file);
  const struct ::mallinfo2 info = ::mallinfo2();
  return {info.uordblks + info.hblkhd,
          pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE))};
}

void measure(const char* name, std::size_t count, rondo::CreateServer create) {
  EventLoop loop;
  const auto task = create_task(loop, std::move(create));
  while (!task.done()) loop.run_once();
  const Server server = task.result();
  const Memory before = memory();
  const pid_t clients = fork();
  if (clients == 0) {
    hold(server.sockets()[0].getsockname().port(), count);
  }
  while (server.client_count() < count) loop.run_once();
  for (int pass = 0; pass < 3; ++pass) {
    loop.call_soon([] {});
    loop.run_once();
  }
  const Memory after = memory();
  kill(clients, SIGKILL);
  waitpid(clients, nullptr, 0);
  while (server.client_count() > 0) loop.run_once();
  std::printf("%-46s %9zu bytes allocated %9zu resident\n", name,
              (after.allocated - before.allocated) / count,
              (after.resident - before.resident) / count);
}

}  // namespace

int main(int argc, char** argv) {
  // bench/run asks for cases; there are none that it could time.
  if (argc > 1 && argv[1][0] == '-') return 0;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t count =
      argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10'000;
  if (count == 0 || count + 100 > limit.rlim_cur) bench::fail("how many?");
  const rondo::ServerOptions options = rondo::ServerOptions().backlog(1024);
  std::printf("%zu idle connections, each\n", count);
  measure("callbacks", count,
          rondo::create_server([] { return std::make_shared<Echo>(); },
                               "127.0.0.1", 0, options));
  measure("streams in coroutines", count,
          rondo::start_server(echo, "127.0.0.1", 0, options));
}
