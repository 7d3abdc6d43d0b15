// SPDX-License-Identifier: MIT
// shows: the loop does not poll every so often: it sleeps in epoll exactly
//   until the next timer or I/O event (timeout 0 while callbacks are ready,
//   none when there is nothing to wait for)
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/loop_observer.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::Duration;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::LoopObserver;
using rondo::run_until_complete;
using rondo::sleep;

/// The original puts itself in the selector's place.
class Spy : public LoopObserver {
 public:
  void on_poll_begin(EventLoop&, Duration timeout) override {
    calls.push_back(timeout);
  }
  std::vector<Duration> calls;
};

static Spy spy;

/// A list of timeouts: those that are a time in quotes if `quoted`.
static std::string list(bool quoted) {
  std::string text;
  for (const Duration t : spy.calls) {
    text += text.empty() ? "[" : ", ";
    if (t == Duration::zero()) {
      text += "0";
    } else if (t == Duration::max()) {
      text += "None";
    } else {
      const std::string time = "<" + python::tenths(t) + ">";
      text += quoted ? "'" + time + "'" : time;
    }
  }
  return text + "]";
}

static Coro<> main_function() { co_await sleep(0.5); }

static Coro<> idle(std::thread& timer) {
  EventLoop& loop = get_running_loop();
  auto f = create_future<void>(loop);
  // By reference: only the loop's thread may copy and drop handles of futures.
  timer = std::thread([&loop, &f] {
    std::this_thread::sleep_for(300ms);
    loop.call_soon_threadsafe([&f] { f.set_result(); });
  });
  co_await f;
}

static Coro<> busy() {
  for (int i = 0; i < 3; ++i) co_await sleep(0);
}

static Coro<> long_timer(Future<void> f) {
  EventLoop& loop = get_running_loop();
  auto h = loop.call_later(1'000'000, print);
  auto t = loop.call_later(0.05, [] {});
  t.cancel();
  loop.call_later(0.1, [f] { f.set_result(); });
  co_await f;
  h.cancel();
}

int main() {
  EventLoop loop;
  loop.add_observer(spy);
  run_until_complete(loop, main_function());
  print("calls of select for one sleep(0.5):", spy.calls.size());
  print(list(true));
  spy.calls.clear();

  std::thread timer;
  run_until_complete(loop, idle(timer));
  timer.join();
  print("waiting 0.3 s for a thread:", list(false));
  spy.calls.clear();

  run_until_complete(loop, busy());
  print("three times sleep(0):", list(false));
  spy.calls.clear();

  auto f = create_future<void>(loop);
  run_until_complete(loop, long_timer(f));
  print("a cancelled timer at the head of the heap does not wake the loop:",
        list(true));
  loop.close();
}
