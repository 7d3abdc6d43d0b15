// SPDX-License-Identifier: MIT
//
// The same as 00 with streams: a StreamReader to read from, a StreamWriter to
// write to, and coroutines that wait where 00 was called back. start_server()
// makes a task of each connection; the server's side of the conversation is a
// loop again, and stands in one place.
//
// co_await writer.write(...) waits while the peer takes less than is written
// (asyncio's drain()). The end of the stream is an empty line: write_eof() says
// that nothing more will come, and still lets the answers in.
//
// New against 00: streams; the half that is closed while the other is not.
//
// Expected output:
//   server: 'Hello'
//   client: 'Hello'
//   server: 'World'
//   client: 'World'
//   server: 'no line feed behind this'
//   server: the client has finished
//   client: 'no line feed behind this'
//   client: the server has finished

#include <cstdint>
#include <cstdio>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "net/streams.h"

using rondo::Coro;
using rondo::StreamReader;
using rondo::StreamWriter;

static void print(const char* who, std::string line) {
  if (line.ends_with('\n')) line.pop_back();
  std::printf("%s: '%s'\n", who, line.c_str());
}

static Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (;;) {
    const std::string line = co_await reader.readline();
    if (line.empty()) break;
    print("server", line);
    co_await writer.write(line);
  }
  std::puts("server: the client has finished");
  writer.close();
}

static Coro<> talk(std::uint16_t port) {
  auto connecting = rondo::open_connection("127.0.0.1", port);
  const rondo::Streams streams = co_await connecting;
  for (const char* message : {"Hello\n", "World\n"}) {
    co_await streams.writer.write(message);
    const std::string line = co_await streams.reader.readline();
    print("client", line);
  }
  co_await streams.writer.write("no line feed behind this");
  streams.writer.write_eof();
  const std::string rest = co_await streams.reader.read();  // all there is
  print("client", rest);
  std::puts("client: the server has finished");
  streams.writer.close();
  co_await streams.writer.wait_closed();
}

static Coro<> main_coroutine() {
  auto starting = rondo::start_server(echo, "127.0.0.1", 0);
  const rondo::Server server = co_await starting;
  co_await talk(server.sockets().at(0).getsockname().port());
  server.close();
  co_await server.wait_closed();
}

int main() { rondo::run(main_coroutine()); }
