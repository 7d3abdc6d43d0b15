// SPDX-License-Identifier: MIT
// shows: order of the Protocol callbacks on both sides of a TCP connection;
//   create_connection returns after connection_made; connection_lost exactly
//   once, through the loop and not inside close(); is_closing
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "net/create_connection.h"
#include "net/server.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Connection;
using rondo::Coro;
using rondo::create_connection;
using rondo::create_future;
using rondo::create_server;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::Protocol;
using rondo::Server;
using rondo::sleep;
using rondo::Transport;

class P : public Protocol {
 public:
  P(std::string name, Future<void> done)
      : name_(std::move(name)), done_(std::move(done)) {
    print(name_, "factory");
  }
  void connection_made(Transport& transport) override {
    t = &transport;
    print(name_, "connection_made", transport.is_closing());
  }
  void data_received(std::string_view data) override {
    print(name_, "data_received", python::repr(Bytes(std::string(data))));
    if (data == "bye") {
      t->close();
      print(name_, "after close(): is_closing", t->is_closing());
      t->close();
    } else if (name_ == "server") {
      t->write("echo " + std::string(data));
    }
  }
  bool eof_received() override {
    print(name_, "eof_received");
    return false;
  }
  void connection_lost(std::exception_ptr exc) override {
    print(name_, "connection_lost", exc);
    done_.set_result();
  }
  Transport* t = nullptr;

 private:
  std::string name_;
  Future<void> done_;
};

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  for (const std::string who : {"server", "client"}) {
    print("-- closed by the", who);
    const auto sd = create_future<void>(loop);
    const auto cd = create_future<void>(loop);
    auto listening = create_server(
        [sd] { return std::make_shared<P>("server", sd); }, "127.0.0.1", 0);
    Server server = co_await std::move(listening);
    const std::uint16_t port = server.sockets()[0].getsockname().port();
    auto connecting = create_connection(
        [cd] { return std::make_shared<P>("client", cd); }, "127.0.0.1", port);
    const Connection c = co_await std::move(connecting);
    const auto tr = c.transport;
    const auto pr = std::static_pointer_cast<P>(c.protocol);
    print("create_connection returned; protocol has its transport:",
          pr->t == tr.get());
    co_await sleep(0.02);
    tr->write("hello");
    co_await sleep(0.02);
    if (who == "server") {
      tr->write("bye");
      co_await cd;
    } else {
      tr->close();
      print("close() called; connection_lost not yet called:", !cd.done());
      co_await cd;
      co_await sd;
    }
    server.close();
    co_await server.wait_closed();
  }
}

int main() { rondo::run(main_coroutine()); }
