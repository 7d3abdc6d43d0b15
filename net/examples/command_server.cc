// SPDX-License-Identifier: MIT
//
// A server that adds up, for telnet:
//
//     command_server [PORT [ext]]
//
//     add <number>         multiply <number>, reset (with `ext`)
//     shutdown
//
// This is asyncio's document server, byte by byte, with all that is wrong with
// it. A Protocol is given segments, not lines: two commands in one segment are
// one command and some words that nobody reads, half a command is another
// command, a blank line an exception. `shutdown` stops the loop under run(),
// which complains, and the others are just dropped. Its int has no limit, but
// its text has. command_server_framed is how it should be.
//
// Runs until stopped.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "futures/coro/coro.h"
#include "net/examples/program.h"
#include "net/examples/python_text.h"
#include "net/protocol.h"
#include "net/server.h"
#include "net/transport.h"
#include "reactor/event_loop.h"

namespace {

class CommandServerProtocol : public rondo::Protocol {
 public:
  explicit CommandServerProtocol(bool extended) : extended_(extended) {}

  void connection_made(rondo::Transport& transport) override {
    std::printf("Connection from %s\n",
                to_string(transport.peername()).c_str());
    transport_ = &transport;
  }

  // What at(0) and decode() throw goes to the loop's exception handler, and
  // ends the connection.
  void data_received(std::string_view data) override {
    const Words commands = python::split(python::decode(data));
    const std::u32string& command = commands.at(0);
    if (command == U"add") {
      add(commands);
    } else if (command == U"multiply" && extended_) {
      multiply(commands);
    } else if (command == U"reset" && extended_) {
      total_ = BigInteger();
      transport_->write("Total has been reset to 0.\n");
    } else if (command == U"shutdown") {
      std::puts("Shutting down the server...");
      transport_->close();
      rondo::get_running_loop().stop();
    } else {
      transport_->write(extended_
                            ? "Unknown command. Available commands: add "
                              "<number>, multiply <number>, reset, shutdown\n"
                            : "Unknown command. Available commands: add "
                              "<number>, shutdown\n");
    }
  }

  void connection_lost(std::exception_ptr) override {
    std::puts("Connection closed");
  }

 private:
  using Words = std::vector<std::u32string>;

  // Both catch Python's IndexError (std::out_of_range) and ValueError
  // (std::invalid_argument), which are std::logic_errors. str() may throw one,
  // too: then the total has changed all the same.

  void add(const Words& commands) try {
    total_ += python::to_int(commands.at(1));
    transport_->write("Current total: " + python::str(total_) + "\n");
  } catch (const std::logic_error&) {
    transport_->write("Invalid add command. Usage: add <number>\n");
  }

  void multiply(const Words& commands) try {
    total_ *= python::to_int(commands.at(1));
    transport_->write(
        "Current total after multiplication: " + python::str(total_) + "\n");
  } catch (const std::logic_error&) {
    transport_->write("Invalid multiply command. Usage: multiply <number>\n");
  }

  const bool extended_;
  BigInteger total_;
  rondo::Transport* transport_ = nullptr;
};

rondo::Coro<> serve(std::uint16_t port, bool extended) {
  const auto make_protocol = [extended] {
    return std::make_unique<CommandServerProtocol>(extended);
  };
  auto listening = rondo::create_server(make_protocol, "127.0.0.1", port);
  const rondo::Server server = co_await listening;
  std::printf("Serving on %s\n",
              to_string(server.sockets().at(0).getsockname()).c_str());

  // In place of serve_forever(): the Python program ran on CPython 3.11, where
  // that leaves open connections alone when it is cancelled. Ours closes them,
  // as 3.13 does, and they would say so.
  const rondo::Future<void> forever(rondo::get_running_loop());
  co_await forever;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("command_server", [&] {
    const bool extended = argc > 2 && std::string_view(argv[2]) == "ext";
    return serve(port_argument(argc > 1 ? argv[1] : "8888"), extended);
  });
}
