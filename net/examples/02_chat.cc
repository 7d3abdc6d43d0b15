// SPDX-License-Identifier: MIT
//
// A chat server: who connects gives a name, and every line then goes to all.
//
//     02_chat                  three clients of its own, as printed below
//     02_chat serve PORT       for telnet; Ctrl-C ends it
//
// A broadcast cannot wait for the slowest reader: then one member who does not
// read would silence all. It cannot go on without waiting, either: what that
// member does not read would fill the memory. So the server writes without
// co_await, and gives each connection a limit to how much may wait for it
// (set_write_buffer_cap()). Who is further behind is dropped, with ENOBUFS.
//
// New against 01: several connections that know of each other.
//
// Expected output:
//   ann hears: * ann is here
//   ann hears: * bob is here
//   bob hears: * bob is here
//   ann hears: bob: hello, ann
//   bob hears: bob: hello, ann
//   another bob hears: That name is taken.
//   ann hears: * carol is here
//   bob hears: * carol is here
//   (carol falls asleep, and bob talks and talks)
//   ann hears: * carol reads too slowly
//   bob hears: * carol reads too slowly
//   ann hears: * bob has left
//   members left: 1

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "net/examples/end_server.h"
#include "net/examples/program.h"
#include "net/streams.h"

using rondo::Coro;
using rondo::StreamReader;
using rondo::Streams;
using rondo::StreamWriter;

namespace {

/// How far behind a member may be. What the kernel holds for it comes on top.
constexpr std::size_t kMostBehind = 1'000'000;

class Chat {
 public:
  Coro<> serve(StreamReader reader, StreamWriter writer) {
    writer.transport().set_write_buffer_cap(kMostBehind);
    co_await writer.write("Your name, please?\n");
    const std::string name = stripped(co_await reader.readline());
    if (name.empty() || !members_.emplace(name, writer).second) {
      writer.write(name.empty() ? "" : "That name is taken.\n");
    } else {
      tell_all("* " + name + " is here\n");
      const std::string end = co_await listen_to(name, reader);
      members_.erase(name);
      tell_all("* " + name + end + "\n");
    }
    writer.close();
  }

  std::size_t size() const noexcept { return members_.size(); }

 private:
  static std::string stripped(const std::string& line) {
    return line.substr(0, line.find_last_not_of("\r\n") + 1);
  }

  /// Passes on what a member says. Gives how it ended.
  Coro<std::string> listen_to(std::string name, StreamReader reader) {
    try {
      for (;;) {
        const std::string line = co_await reader.readline();
        if (line.empty()) co_return " has left";
        tell_all(name + ": " + stripped(line) + "\n");
      }
    } catch (const std::length_error&) {
      co_return " talks too much";
    } catch (const std::system_error& error) {
      co_return error.code().value() == ENOBUFS ? " reads too slowly"
                                                : " has broken off";
    }
  }

  /// Waits for nobody. A member that this drops leaves later, by its own
  /// coroutine: no write() calls anybody.
  void tell_all(const std::string& text) {
    for (const auto& [name, writer] : members_) writer.write(text);
  }

  std::map<std::string, StreamWriter> members_;
};

Coro<rondo::Server> start(Chat& chat, std::uint16_t port) {
  const auto handler = [&chat](StreamReader reader, StreamWriter writer) {
    return chat.serve(std::move(reader), std::move(writer));
  };
  auto starting = rondo::start_server(handler, "127.0.0.1", port);
  co_return co_await starting;
}

// ---- Three clients ---------------------------------------------------------

Coro<Streams> join(const rondo::Server& server, std::string name) {
  auto connecting = rondo::open_connection(
      "127.0.0.1", server.sockets().at(0).getsockname().port());
  Streams client = co_await connecting;
  co_await client.reader.readline();  // the question
  const std::string answer = name + "\n";
  co_await client.writer.write(answer);
  co_return client;
}

Coro<std::string> hear(const char* name, const Streams& client) {
  std::string line = co_await client.reader.readline();
  std::printf("%s hears: %s", name, line.c_str());
  co_return line;
}

Coro<> converse(const rondo::Server& server) {
  const Streams ann = co_await join(server, "ann");
  co_await hear("ann", ann);
  const Streams bob = co_await join(server, "bob");
  co_await hear("ann", ann);
  co_await hear("bob", bob);
  co_await bob.writer.write("hello, ann\n");
  co_await hear("ann", ann);
  co_await hear("bob", bob);
  const Streams impostor = co_await join(server, "bob");
  co_await hear("another bob", impostor);

  const Streams carol = co_await join(server, "carol");
  co_await hear("ann", ann);
  co_await hear("bob", bob);
  std::puts("(carol falls asleep, and bob talks and talks)");
  // What she does not read fills the kernel's buffers first, some megabytes.
  const std::string blah = std::string(60'000, 'x') + "\n";
  std::string heard_by_ann, heard_by_bob;
  while (!heard_by_bob.starts_with('*')) {
    co_await bob.writer.write(blah);
    heard_by_ann = co_await ann.reader.readline();
    heard_by_bob = co_await bob.reader.readline();
  }
  std::printf("ann hears: %s", heard_by_ann.c_str());
  std::printf("bob hears: %s", heard_by_bob.c_str());
  co_await ann.reader.readline();  // the last of it
  co_await bob.reader.readline();

  bob.writer.close();
  co_await hear("ann", ann);
}

Coro<> demonstrate(Chat& chat) {
  const rondo::Server server = co_await start(chat, 0);
  co_await converse(server);
  std::printf("members left: %zu\n", chat.size());
  co_await end_server(server, 5);
}

Coro<> serve_forever(Chat& chat, std::uint16_t port) {
  const rondo::Server server = co_await start(chat, port);
  std::printf("telnet 127.0.0.1 %d\n",
              server.sockets().at(0).getsockname().port());
  co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
  Chat chat;  // outlives its connections
  return run_program("02_chat", [&] {
    return argc > 2 && std::string_view(argv[1]) == "serve"
               ? serve_forever(chat, port_argument(argv[2]))
               : demonstrate(chat);
  });
}
