// SPDX-License-Identifier: MIT
//
// The command server as it should be; command_server is how it was.
//
//     command_server_framed [PORT]
//
//     add <number>, multiply <number>, reset, quit, shutdown
//
// TCP carries bytes, not messages, so somebody must say where a command ends:
// here a line feed does. readuntil() puts a line together from as many segments
// as it takes, and leaves what is behind it for the next call; a limit keeps a
// client without line feeds from filling the memory. Numbers have 64 bits, and
// what does not fit is refused and changes nothing.
//
// `shutdown`, Ctrl-C and SIGTERM only set an Event. The main coroutine waits
// for it, and ends the server in order: every answer that was given arrives.
//
// The work is in framed_commands.h.
//
// Runs until stopped.

#include <signal.h>

#include <cstdint>
#include <cstdio>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/sync/event.h"
#include "net/examples/end_server.h"
#include "net/examples/framed_commands.h"
#include "net/examples/program.h"
#include "net/streams.h"
#include "reactor/event_loop.h"

static rondo::Coro<> serve(std::uint16_t port, rondo::Event& shutdown) {
  for (const int signal : {SIGINT, SIGTERM}) {
    rondo::get_running_loop().add_signal_handler(signal,
                                                 [&] { shutdown.set(); });
  }
  const auto handler = [&](rondo::StreamReader reader,
                           rondo::StreamWriter writer) {
    return serve_commands(std::move(reader), std::move(writer), shutdown);
  };
  auto listening = rondo::start_server(handler, "127.0.0.1", port,
                                       rondo::ServerOptions(), kCommandLimit);
  const rondo::Server server = co_await listening;
  std::printf("Serving on %s\n",
              to_string(server.sockets().at(0).getsockname()).c_str());

  co_await shutdown.wait();
  std::printf("Shutting down, with %zu connections\n", server.client_count());
  co_await end_server(server, 5);
  std::puts("Closed");
}

int main(int argc, char** argv) {
  rondo::Event shutdown;  // outlives whoever may set it
  return run_program("command_server_framed", [&] {
    return serve(port_argument(argc > 1 ? argv[1] : "8888"), shutdown);
  });
}
