// SPDX-License-Identifier: MIT
// shows: TCP has no message borders: writes that wait in the kernel are
//   delivered in one data_received; one data_received carries at most 256 KiB;
//   pause_reading/resume_reading; a paused transport does not see EOF either
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"
#include "net/create_connection.h"
#include "net/internal/net_state.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::Bytes;
using python::print;
using rondo::Connection;
using rondo::Coro;
using rondo::create_connection;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::Protocol;
using rondo::run_in_executor;
using rondo::sleep;
using rondo::Transport;

/// Bytes, or 'EOF': a list in Python takes both.
class Chunk {
 public:
  explicit Chunk(std::string_view data)
      : size(data.size()), text_(python::repr(Bytes(std::string(data)))) {}
  static Chunk eof() {
    Chunk chunk("");
    chunk.text_ = "'EOF'";
    return chunk;
  }
  friend std::string to_string(const Chunk& chunk) { return chunk.text_; }
  std::size_t size;

 private:
  std::string text_;
};

class P : public Protocol {
 public:
  void connection_made(Transport&) override {
    lost = Future<std::exception_ptr>(get_running_loop());
  }
  void data_received(std::string_view data) override {
    chunks.emplace_back(data);
  }
  bool eof_received() override {
    chunks.push_back(Chunk::eof());
    return false;
  }
  void connection_lost(std::exception_ptr exc) override {
    lost.set_result(exc);
  }
  std::vector<Chunk> chunks;
  Future<std::exception_ptr> lost;
};

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  auto [a, b] = python::socketpair();
  auto connecting =
      create_connection([] { return std::make_shared<P>(); }, a.detach());
  const Connection c = co_await std::move(connecting);
  Transport& t = *c.transport;
  const auto p = std::static_pointer_cast<P>(c.protocol);
  b.sendall("one");
  b.sendall("two");
  co_await sleep(0.01);
  print("two sends before the loop looks:", p->chunks);
  p->chunks.clear();
  b.sendall("one");
  co_await sleep(0.01);
  b.sendall("two");
  co_await sleep(0.01);
  print("two sends with the loop running between:", p->chunks);
  p->chunks.clear();
  const auto sendall = [&peer = b] {
    peer.sendall(std::string(3'000'000, 'x'));
  };
  const Future<void> fut = run_in_executor(loop, nullptr, sendall);
  std::this_thread::sleep_for(50ms);
  co_await fut;
  co_await sleep(0.05);
  std::size_t total = 0;
  std::size_t largest = 0;
  for (const Chunk& chunk : p->chunks) {
    total += chunk.size;
    largest = std::max(largest, chunk.size);
  }
  print("total", total, "largest chunk <= 262144:", largest <= 262144,
        "max_size", std::size_t{rondo::detail::NetState::kReadBytes});
  p->chunks.clear();
  print("is_reading", t.is_reading());
  t.pause_reading();
  t.pause_reading();
  b.sendall("while paused");
  b.close();
  co_await sleep(0.02);
  print("paused:", p->chunks, "is_reading", t.is_reading());
  t.resume_reading();
  t.resume_reading();
  const std::exception_ptr exc = co_await p->lost;
  print("lost with", exc, p->chunks, "is_reading", t.is_reading());
}

int main() { rondo::run(main_coroutine()); }
