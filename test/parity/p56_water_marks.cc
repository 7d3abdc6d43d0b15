// SPDX-License-Identifier: MIT
// shows: write buffer limits: defaults 64 KiB high and 16 KiB low;
//   pause_writing is called when the buffer becomes larger than high (not
//   equal), inside write(); resume_writing when it has sunk to low or less;
//   each once; rules of set_write_buffer_limits
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "net/create_connection.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using python::print;
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
  void connection_made(Transport& transport) override {
    t = &transport;
    resumed = Future<void>(get_running_loop());
  }
  void pause_writing() override {
    print("pause_writing; size", t->get_write_buffer_size() - base);
  }
  void resume_writing() override {
    const std::size_t n = t->get_write_buffer_size();
    print("resume_writing; size is at most the low mark:",
          n <= t->get_write_buffer_limits().low);
    resumed.set_result();
  }
  Transport* t = nullptr;
  std::size_t base = 0;
  Future<void> resumed;
};

static std::pair<std::size_t, std::size_t> limits(const Transport& t) {
  const rondo::WriteBufferLimits l = t.get_write_buffer_limits();
  return {l.low, l.high};
}

using Mark = std::optional<std::size_t>;
/// The keyword arguments of set_write_buffer_limits().
using Marks = std::pair<Mark, Mark>;

static std::string kw(const Marks& marks) {
  std::string text;
  if (marks.first) text += "'high': " + std::to_string(*marks.first);
  if (marks.first && marks.second) text += ", ";
  if (marks.second) text += "'low': " + std::to_string(*marks.second);
  return "{" + text + "}";
}

static Coro<> main_coroutine() {
  auto [a, b] = python::socketpair();
  b.setblocking(false);
  auto connecting =
      create_connection([] { return std::make_shared<P>(); }, a.detach());
  const Connection c = co_await std::move(connecting);
  Transport& t = *c.transport;
  const auto p = std::static_pointer_cast<P>(c.protocol);
  print("limits (low, high):", limits(t));
  p->base = 0;
  t.set_write_buffer_limits(1'000'000'000);
  print("high=10**9:", limits(t));
  std::size_t total = 0;
  while (t.get_write_buffer_size() == 0) {  // fill the kernel's buffer
    t.write(std::string(4096, 'x'));
    total += 4096;
  }
  const std::size_t n = t.get_write_buffer_size();
  t.set_write_buffer_limits();
  print("back to the default:", limits(t));
  t.write(std::string(65536 - n, 'y'));
  print("size is exactly the high mark:", t.get_write_buffer_size(),
        "no pause");
  t.write("z");
  print("one more byte written");
  t.write(std::string(1000, 'z'));
  print("no second pause_writing; size", t.get_write_buffer_size());
  total += 65536 - n + 1001;
  std::size_t got = 0;
  while (got < total) {
    const std::string data = co_await python::sock_recv(b, 3000);
    got += data.size();
    co_await sleep(0);
  }
  co_await p->resumed;
  print("all received:", got == total, "; buffer", t.get_write_buffer_size());
  for (const Marks& m :
       {Marks(1000, std::nullopt), Marks(std::nullopt, 1000),
        Marks(0, std::nullopt), Marks(10, 10), Marks(std::nullopt, 0)}) {
    t.set_write_buffer_limits(m.first, m.second);
    print(kw(m), "-> (low, high)", limits(t));
  }
  for (const Marks& m : {Marks(1, 2)}) {  // -1 is no size
    try {
      t.set_write_buffer_limits(m.first, m.second);
    } catch (const std::invalid_argument&) {
      print(kw(m), python::Error());
    }
  }
  t.close();
  b.close();
}

int main() { rondo::run(main_coroutine()); }
