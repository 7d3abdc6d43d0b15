// SPDX-License-Identifier: MIT
//
// Two servers on one loop, in one thread: what `make run` starts.
//
//     showcase [PORT]
//
// On PORT (8888) the web server of block_http, written as a Protocol: /block
// takes ten seconds, and holds up nobody. On PORT + 1 the command server of
// command_server_framed, written with streams and coroutines. While somebody
// waits for /block, the other paths and the other server answer at once.
//
// Ctrl-C, SIGTERM or the command `shutdown` ends both: they stop listening,
// send what they have, and close.
//
// Runs until stopped.

#include <signal.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/sync/event.h"
#include "net/examples/block_protocol.h"
#include "net/examples/end_server.h"
#include "net/examples/framed_commands.h"
#include "net/examples/program.h"
#include "net/streams.h"
#include "reactor/event_loop.h"

static int port_of(const rondo::Server& server) {
  return server.sockets().at(0).getsockname().port();
}

static rondo::Coro<> serve(std::uint16_t port, rondo::Event& shutdown) {
  if (port == 65535) {
    throw std::invalid_argument("there is no port 65536 for the commands");
  }
  const std::uint16_t next_port =
      port == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(port + 1);

  for (const int signal : {SIGINT, SIGTERM}) {
    rondo::get_running_loop().add_signal_handler(signal,
                                                 [&] { shutdown.set(); });
  }

  const auto make_protocol = [] { return std::make_unique<BlockProtocol>(10); };
  auto listening = rondo::create_server(make_protocol, "127.0.0.1", port);
  const rondo::Server web = co_await listening;

  const auto handler = [&](rondo::StreamReader reader,
                           rondo::StreamWriter writer) {
    return serve_commands(std::move(reader), std::move(writer), shutdown);
  };
  auto starting = rondo::start_server(handler, "127.0.0.1", next_port,
                                      rondo::ServerOptions(), kCommandLimit);
  const rondo::Server commands = co_await starting;

  std::printf(
      "web:       curl http://127.0.0.1:%d/block"
      "    (takes 10 s; try / meanwhile)\n",
      port_of(web));
  std::printf(
      "commands:  telnet 127.0.0.1 %d, or nc    (add 5, multiply 3, "
      "reset, quit; Ctrl-C here ends it all)\n",
      port_of(commands));

  co_await shutdown.wait();
  std::puts("\nClosing both servers...");
  auto ends = rondo::gather(end_server(web, 5), end_server(commands, 5));
  co_await ends;
  std::puts("Both servers are closed.");
}

int main(int argc, char** argv) {
  rondo::Event shutdown;  // outlives whoever may set it
  return run_program("showcase", [&] {
    return serve(port_argument(argc > 1 ? argv[1] : "8888"), shutdown);
  });
}
