// SPDX-License-Identifier: MIT
// shows: close() flushes what was written before. A write after close() is
//   dropped silently if the buffer was empty when close() was called, but is
//   STILL SENT if it was not (3.11). On a lost connection the fifth write and
//   each further one log a warning (the close counts as one of LOG_THRESHOLD =
//   5). Wrong argument types; empty writes; after the peer is gone
#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "net/create_connection.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using python::Socket;
using rondo::Connection;
using rondo::Coro;
using rondo::create_connection;
using rondo::Future;
using rondo::get_running_loop;
using rondo::Protocol;
using rondo::sleep;
using rondo::Transport;

class P : public Protocol {
 public:
  void connection_made(Transport&) override {
    lost = Future<void>(get_running_loop());
  }
  void connection_lost(std::exception_ptr exc) override {
    print("connection_lost",
          exc == nullptr ? "None" : python::error_of(exc).text);
    lost.set_result();
  }
  Future<void> lost;
};

static Coro<std::string> read_all(const Socket& sock) {
  std::string data;
  while (true) {
    const std::string d = co_await python::sock_recv(sock, 65536);
    if (d.empty()) co_return data;
    data += d;
  }
}

class Pair {
 public:
  Pair(const Connection& c, Socket socket)
      : t(c.transport),
        p(std::static_pointer_cast<P>(c.protocol)),
        b(std::move(socket)) {}
  std::shared_ptr<Transport> t;
  std::shared_ptr<P> p;
  Socket b;
};

static Coro<Pair> pair() {
  auto [a, b] = python::socketpair();
  b.setblocking(false);
  auto connecting =
      create_connection([] { return std::make_shared<P>(); }, a.detach());
  const Connection c = co_await std::move(connecting);
  co_return Pair(c, std::move(b));
}

// A text is as good as bytes; the others are no program.
template <class T>
concept CanBeWritten = requires(Transport& t, T data) { t.write(data); };
static_assert(CanBeWritten<const char*> && !CanBeWritten<int> &&
              !CanBeWritten<rondo::None> &&
              !CanBeWritten<std::vector<std::string>>);

static Coro<> main_coroutine() {
  {
    Pair it = co_await pair();
    Transport& t = *it.t;
    t.write("");
    t.write(std::string("1"));
    t.write(std::string_view("2"));
    const std::vector<std::string_view> pieces{"3", "4"};
    t.writelines(pieces);
    const std::string big(3'000'000, 'x');
    t.write(big);
    print("buffered:", t.get_write_buffer_size() > 0);
    t.close();
    t.write("written after close");
    print("is_closing", t.is_closing(),
          "connection_lost called:", it.p->lost.done());
    const std::string data = co_await read_all(it.b);
    print("peer got", Bytes(data.substr(0, 4)),
          "all of the big write:", std::count(data.begin(), data.end(), 'x'),
          "and then", Bytes(data.substr(4 + big.size())));
    co_await it.p->lost;
  }
  {
    Pair it = co_await pair();
    it.t->close();
    co_await it.p->lost;
    for (int i = 1; i < 8; ++i) {
      print("write", i);
      it.t->write("data");
    }
    it.b.setblocking(true);
    print("peer got", Bytes(it.b.recv(100)));
  }
  {
    Pair it = co_await pair();
    it.b.close();
    co_await sleep(0.01);  // EOF is seen: the transport closes itself
    co_await it.p->lost;
    print("after EOF is_closing", it.t->is_closing());
  }
  Pair it = co_await pair();
  it.t->pause_reading();
  it.b.close();
  it.t->write("data");
  co_await it.p->lost;
  it.t->abort();
  it.t->close();
  print("close and abort after the end do nothing");
}

int main() { rondo::run(main_coroutine()); }
