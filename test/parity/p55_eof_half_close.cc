// SPDX-License-Identifier: MIT
// shows: eof_received returning false makes the transport close itself;
//   returning true keeps the write side open (half-close) and reading is over;
//   write_eof; data written before the automatic close arrives
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "net/create_connection.h"
#include "net/server.h"
#include "net/streams.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Coro;
using rondo::create_connection;
using rondo::create_future;
using rondo::create_server;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::None;
using rondo::Protocol;
using rondo::run_in_executor;
using rondo::Server;
using rondo::start_server;
using rondo::StreamReader;
using rondo::StreamWriter;
using rondo::Transport;

static std::string client(std::uint16_t port) {
  const auto s = python::Socket::connect(port);
  s.sendall("question");
  s.shutdown();
  std::string data;
  while (true) {
    const std::string d = s.recv(1000);
    if (d.empty()) break;
    data += d;
  }
  return data;
}

/// None, False or True.
using Ret = std::optional<bool>;

class P : public Protocol {
 public:
  P(Ret ret, Future<void> lost) : ret_(ret), lost_(std::move(lost)) {}
  void connection_made(Transport& t) override { t_ = t.shared_from_this(); }
  void data_received(std::string_view data) override {
    print("data_received", Bytes(std::string(data)));
    t_->write("reply 1,");
  }
  bool eof_received() override {
    print("eof_received -> returns", ret_ ? python::repr(*ret_) : "None");
    t_->write("reply 2,");
    if (ret_.value_or(false)) {
      get_running_loop().call_later(0.05, [this] { late(); });
    }
    return ret_.value_or(false);
  }
  void late() {
    print("still open: is_closing", t_->is_closing());
    t_->write("reply 3");
    t_->close();
  }
  void connection_lost(std::exception_ptr exc) override {
    print("connection_lost", exc);
    lost_.set_result();
  }

 private:
  Ret ret_;
  Future<void> lost_;
  std::shared_ptr<Transport> t_;
};

class W : public Protocol {
 public:
  explicit W(Future<std::string> fut) : fut_(std::move(fut)) {}
  void connection_made(Transport& t) override {
    print("can_write_eof", t.can_write_eof());
    t.write("abc");
    t.write_eof();
    t.write_eof();
    try {
      t.write("more");
    } catch (const rondo::RuntimeError& e) {
      print("RuntimeError:", e.what());
    }
  }
  void data_received(std::string_view data) override { data_ += data; }
  void connection_lost(std::exception_ptr) override { fut_.set_result(data_); }

 private:
  Future<std::string> fut_;
  std::string data_;
};

static Coro<> upper(StreamReader r, StreamWriter w) {
  std::string data = co_await r.read();
  print("stream server read until EOF:", Bytes(data));
  for (char& c : data) c = static_cast<char>(c - 'a' + 'A');
  w.write(data);
  w.close();
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  for (const Ret ret : {Ret(), Ret(false), Ret(true)}) {
    const auto lost = create_future<void>(loop);
    auto listening = create_server(
        [ret, lost] { return std::make_shared<P>(ret, lost); }, "127.0.0.1", 0);
    Server server = co_await std::move(listening);
    const std::uint16_t port = server.sockets()[0].getsockname().port();
    const std::string data =
        co_await run_in_executor(loop, nullptr, client, port);
    co_await lost;
    print("client read", Bytes(data));
    server.close();
  }
  Server server = co_await start_server(upper, "127.0.0.1", 0);
  const auto fut = create_future<std::string>(loop);
  const std::uint16_t port = server.sockets()[0].getsockname().port();
  auto connecting = create_connection(
      [fut] { return std::make_shared<W>(fut); }, "127.0.0.1", port);
  co_await std::move(connecting);
  const std::string data = co_await fut;
  print("after write_eof the other direction still works:", Bytes(data));
  server.close();
}

int main() { rondo::run(main_coroutine()); }
