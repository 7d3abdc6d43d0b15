// SPDX-License-Identifier: MIT
// shows: get_extra_info keys of a TCP transport, defaults, values after close;
//   transport repr; unix sockets
#include <stdlib.h>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "net/create_connection.h"
#include "net/server.h"
#include "net/streams.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Address;
using rondo::Connection;
using rondo::Coro;
using rondo::create_connection;
using rondo::create_server;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::open_unix_connection;
using rondo::Protocol;
using rondo::Server;
using rondo::sleep;
using rondo::start_unix_server;
using rondo::StreamReader;
using rondo::Streams;
using rondo::StreamWriter;
using rondo::Transport;

class S : public Protocol {
 public:
  explicit S(Future<std::shared_ptr<Transport>> got) : got_(std::move(got)) {}
  void connection_made(Transport& t) override {
    got_.set_result(t.shared_from_this());
  }

 private:
  Future<std::shared_ptr<Transport>> got_;
};

static void just_close(StreamReader, StreamWriter w) { w.close(); }

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  const Future<std::shared_ptr<Transport>> got(loop);
  auto listening =
      create_server([got] { return std::make_shared<S>(got); }, "127.0.0.1", 0);
  Server server = co_await std::move(listening);
  const Address addr = server.sockets()[0].getsockname();
  auto connecting =
      create_connection([] { return std::make_shared<Protocol>(); }, addr);
  const Connection c = co_await std::move(connecting);
  const auto t = c.transport;
  const auto p = c.protocol;
  const auto st = co_await got;
  print("peername is the server address:",
        t->get_extra_info("peername") == to_string(addr));
  print("sockname matches the other side:",
        t->get_extra_info("sockname") == st->get_extra_info("peername"));
  print("socket:", "a descriptor",
        t->get_extra_info("socket") == std::to_string(t->fd()));
  print(t->get_extra_info("nothing"), t->get_extra_info("nothing", "default"),
        t->get_extra_info("sslcontext"));
  print("get_protocol", t->get_protocol() == p);
  print(to_string(*t));
  t->close();
  co_await sleep(0.01);
  print("after close:", t->get_extra_info("peername") == to_string(addr),
        to_string(*t));
  server.close();
  std::string d = "/tmp/p59_XXXXXX";
  if (::mkdtemp(d.data()) == nullptr) throw rondo::RuntimeError("no directory");
  const std::string path = d + "/s";
  Server u = co_await start_unix_server(just_close, path);
  const Streams s = co_await open_unix_connection(path);
  print(
      "unix peername is the path:", s.writer.get_extra_info("peername") == path,
      "sockname:", python::repr(s.writer.get_extra_info("sockname")));
  const std::string data = co_await s.reader.read();
  print(Bytes(data));
  s.writer.close();
  u.close();
  co_await u.wait_closed();
  print("the socket file stays after close (3.11):",
        std::filesystem::exists(path));
  std::filesystem::remove_all(d);
}

int main() { rondo::run(main_coroutine()); }
