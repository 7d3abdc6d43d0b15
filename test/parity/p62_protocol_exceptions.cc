// SPDX-License-Identifier: MIT
// shows: what an exception in each protocol callback does: data_received,
//   eof_received and connection_made are fatal (the connection is dropped,
//   connection_lost gets the exception); connection_lost goes to the handler
//   only; a failing factory drops the connection. The handler is told in each
//   case, and the server goes on
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"
#include "net/server.h"
#include "net/transport.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Coro;
using rondo::create_server;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::get_running_loop;
using rondo::Protocol;
using rondo::run_in_executor;
using rondo::Server;
using rondo::sleep;
using rondo::Transport;

class P : public Protocol {
 public:
  static inline std::string mode;
  static inline bool has_received = false;

  void connection_made(Transport& t) override {
    t_ = &t;
    if (mode == "connection_made") {
      throw std::invalid_argument("in connection_made");
    }
  }
  void data_received(std::string_view data) override {
    has_received = true;
    print("data_received", Bytes(std::string(data)));
    if (mode == "data_received") {
      t_->write("written before the exception;");
      throw std::invalid_argument("in data_received");
    }
    t_->write("ok");
  }
  bool eof_received() override {
    if (mode == "eof_received") throw std::invalid_argument("in eof_received");
    return false;
  }
  void connection_lost(std::exception_ptr exc) override {
    print("connection_lost", python::repr(exc));
    if (mode == "connection_lost") {
      throw std::invalid_argument("in connection_lost");
    }
  }

 private:
  Transport* t_ = nullptr;
};

static std::shared_ptr<P> factory() {
  if (P::mode == "factory") throw std::invalid_argument("in the factory");
  return std::make_shared<P>();
}

static void handler(EventLoop&, const ExceptionContext& c) {
  const auto to_end = print.ending(P::mode == "factory" ? "; " : "\n");
  to_end("handler:", c.keys(), "|", c.message, "|", python::repr(c.exception));
}

static std::string client(std::uint16_t port) {
  const auto s = python::Socket::connect(port);
  std::string got;
  try {
    s.sendall("hello");
    got = s.recv(100);
    s.shutdown();
    while (true) {
      const std::string d = s.recv(100);
      if (d.empty()) break;
      got += d;
    }
    return "(" + python::repr(Bytes(got)) + ", 'EOF')";
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::connection_reset) return "reset";
    return "(" + python::repr(Bytes(got)) + ", 'then', '" +
           python::Error().type + "')";
  }
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  loop.set_exception_handler(handler);
  Server server = co_await create_server(factory, "127.0.0.1", 0);
  const std::uint16_t port = server.sockets()[0].getsockname().port();
  for (const std::string m :
       {"data_received", "eof_received", "connection_made", "connection_lost",
        "factory", "none"}) {
    print("--", m);
    P::mode = m;
    P::has_received = false;
    const std::string r = co_await run_in_executor(loop, nullptr, client, port);
    co_await sleep(0.02);
    if (m == "connection_made") {
      print("data_received was called:", P::has_received);
    }
    const bool is_dropped = m == "factory" || m == "connection_made";
    print("client:", is_dropped ? "dropped without data" : r);
  }
  server.close();
}

int main() { rondo::run(main_coroutine()); }
