// SPDX-License-Identifier: MIT
//
// Both ends of a connection, made of callbacks. A Protocol is what a Transport
// calls: connection_made(), data_received() as often as something comes, and
// connection_lost(). There is no loop that reads, and no thread that waits: the
// event loop calls whoever is concerned.
//
// create_server() and create_connection() take a factory, which makes a
// protocol for each connection. They are operations; without coroutines,
// run_until_complete() waits for their results.
//
// Expected output:
//   server: listening on port 0? no
//   server: a connection from 127.0.0.1
//   server: 'Hello, World!'
//   client: 'Hello, World!'
//   client: that was all, closing
//   client: the connection is closed
//   server: the connection is closed

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "futures/run.h"
#include "net/create_connection.h"
#include "net/protocol.h"
#include "net/server.h"
#include "net/transport.h"
#include "reactor/event_loop.h"

namespace {

class EchoServer : public rondo::Protocol {
 public:
  void connection_made(rondo::Transport& transport) override {
    std::printf("server: a connection from %s\n",
                transport.peername().host().c_str());
    transport_ = &transport;  // stays until connection_lost()
  }
  void data_received(std::string_view data) override {
    std::printf("server: '%s'\n", std::string(data).c_str());
    transport_->write(data);
  }
  // eof_received() is not here: Protocol's own closes the connection, too.
  void connection_lost(std::exception_ptr) override {
    std::puts("server: the connection is closed");
    transport_->loop().stop();
  }

 private:
  rondo::Transport* transport_ = nullptr;
};

class EchoClient : public rondo::Protocol {
 public:
  explicit EchoClient(std::string message) : message_(std::move(message)) {}

  void connection_made(rondo::Transport& transport) override {
    transport_ = &transport;
    transport.write(message_);
  }
  // TCP is a stream: what was one write() may come in several pieces.
  void data_received(std::string_view data) override {
    std::printf("client: '%s'\n", std::string(data).c_str());
    received_ += data.size();
    if (received_ < message_.size()) return;
    std::puts("client: that was all, closing");
    transport_->close();
  }
  void connection_lost(std::exception_ptr error) override {
    std::puts(error == nullptr ? "client: the connection is closed"
                               : "client: the connection has failed");
  }

 private:
  const std::string message_;
  std::size_t received_ = 0;
  rondo::Transport* transport_ = nullptr;
};

}  // namespace

int main() {
  rondo::EventLoop loop;
  const rondo::Server server = run_until_complete(
      loop, rondo::create_server([] { return std::make_unique<EchoServer>(); },
                                 "127.0.0.1", 0));
  // For port 0 the kernel chooses one.
  const auto port = server.sockets().at(0).getsockname().port();
  std::printf("server: listening on port 0? %s\n", port == 0 ? "yes" : "no");

  run_until_complete(
      loop, rondo::create_connection(
                [] { return std::make_unique<EchoClient>("Hello, World!"); },
                "127.0.0.1", port));
  loop.run_forever();
}
