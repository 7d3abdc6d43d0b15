// SPDX-License-Identifier: MIT
// shows: Server.close stops listening at once, open connections go on;
//   wait_closed waits for them; is_serving, sockets, serve_forever twice and
//   its cancellation; a block with a server; start_serving=False
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "net/server.h"
#include "net/streams.h"
#include "net/transport.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_server;
using rondo::create_task;
using rondo::open_connection;
using rondo::Protocol;
using rondo::Server;
using rondo::ServerOptions;
using rondo::sleep;
using rondo::Streams;
using rondo::Task;
using rondo::TimeoutError;
using rondo::Transport;
using rondo::wait_for;

class Echo : public Protocol {
 public:
  void connection_made(Transport& t) override { t_ = &t; }
  void data_received(std::string_view data) override { t_->write(data); }

 private:
  Transport* t_ = nullptr;
};

static std::shared_ptr<Echo> echo() { return std::make_shared<Echo>(); }

static std::uint16_t port_of(const Server& server) {
  return server.sockets()[0].getsockname().port();
}

static Coro<> main_coroutine() {
  Server server = co_await create_server(echo, "127.0.0.1", 0);
  std::uint16_t port = port_of(server);
  print("is_serving", server.is_serving(), "sockets", server.sockets().size());
  {
    const Streams s = co_await open_connection("127.0.0.1", port);
    server.close();
    server.close();
    print("is_serving", server.is_serving(), "sockets",
          server.sockets().empty() ? "()" : "some");
    try {
      auto closed = wait_for(server.wait_closed(), 0.05);
      co_await std::move(closed);
      print("wait_closed returned although a connection is open");
    } catch (const TimeoutError&) {
      print("wait_closed waits while a connection is open");
    }
    try {
      co_await open_connection("127.0.0.1", port);
    } catch (const std::system_error& e) {
      print(python::Error().type, "errno", e.code().value());
    }
    s.writer.write("still served");
    const std::string data = co_await s.reader.read(100);
    print(Bytes(data));
    s.writer.close();
    co_await server.wait_closed();
  }
  try {
    server.start_serving();
  } catch (const rondo::RuntimeError&) {
    print("start_serving after close:", python::Error());
  }

  const auto options = ServerOptions().start_serving(false);
  server = co_await create_server(echo, "127.0.0.1", 0, options);
  port = port_of(server);
  print("start_serving=False: is_serving", server.is_serving());
  try {
    co_await open_connection("127.0.0.1", port);
  } catch (const std::system_error&) {
    print(python::Error().type + ": bound but not listening");
  }
  server.start_serving();
  server.start_serving();
  {
    const Streams s = co_await open_connection("127.0.0.1", port);
    s.writer.close();
  }
  Task<void> t = create_task(server.serve_forever());
  co_await sleep(0);
  try {
    co_await server.serve_forever();
  } catch (const rondo::RuntimeError& e) {
    const std::string text = e.what();
    print("RuntimeError:", "..." + text.substr(text.rfind("> ") + 2));
  }
  t.cancel();
  try {
    co_await t;
  } catch (const CancelledError&) {
    print("serve_forever cancelled; is_serving", server.is_serving());
  }
  server = co_await create_server(echo, "127.0.0.1", 0);
  print("in the block", server.is_serving());
  server.close();  // the end of the block
  co_await server.wait_closed();
  print("after the block", server.is_serving());
  t = create_task(server.serve_forever());
  try {
    co_await t;
  } catch (const rondo::RuntimeError& e) {
    const std::string text = e.what();
    print("serve_forever on a closed server: RuntimeError: ...",
          text.substr(text.size() - 9));
  }

  server = co_await create_server(echo, "127.0.0.1", 0);
  t = create_task(server.serve_forever());
  co_await sleep(0);
  server.close();
  co_await sleep(0);
  co_await sleep(0);
  print("server.close() ends serve_forever with CancelledError:",
        t.cancelled());
  co_await server.wait_closed();
}

int main() { rondo::run(main_coroutine()); }
