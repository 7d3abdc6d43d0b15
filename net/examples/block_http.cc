// SPDX-License-Identifier: MIT
//
// asyncio's demonstration that a server can wait without making others wait:
// a web server of one Protocol, where /block takes ten seconds and everything
// else is answered at once meanwhile.
//
//     block_http [PORT [BLOCK_SECONDS]]
//
//     curl http://127.0.0.1:8888/block &  curl http://127.0.0.1:8888/
//
// The protocol is in block_protocol.h. It says the same, byte by byte, as the
// Python program, mistakes included: what is not a GET request, or only a part
// of one, is an exception in data_received(), which ends the connection. (With
// port 0 it says which port it got; else it is silent, as the original.)
//
// Runs until stopped.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "futures/coro/coro.h"
#include "net/examples/block_protocol.h"
#include "net/examples/program.h"
#include "net/server.h"

static rondo::Coro<> serve(std::uint16_t port, double block_seconds) {
  const auto make_protocol = [block_seconds] {
    return std::make_unique<BlockProtocol>(block_seconds);
  };
  auto listening = rondo::create_server(make_protocol, "127.0.0.1", port);
  const rondo::Server server = co_await listening;
  if (port == 0) {
    std::printf("Serving on %s\n",
                to_string(server.sockets().at(0).getsockname()).c_str());
  }
  co_await server.serve_forever();
}

int main(int argc, char** argv) {
  return run_program("block_http", [&] {
    return serve(port_argument(argc > 1 ? argv[1] : "8888"),
                 argc > 2 ? std::stod(argv[2]) : 10);
  });
}
