// SPDX-License-Identifier: MIT
// shows: the loop does not poll every so often: it sleeps in epoll exactly
//   until the next timer or I/O event (timeout 0 while callbacks are ready,
//   none when there is nothing to wait for)
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::Duration;
using rondo::EventLoop;
using rondo::LoopObserver;

/// The original puts itself in the selector's place.
class Spy : public LoopObserver {
 public:
  void on_poll_begin(EventLoop&, Duration timeout) override {
    calls.push_back(timeout);
  }
  std::vector<Duration> calls;
};

static EventLoop loop;
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

static void main_function() {
  by_callbacks::sleep(loop, 0.5, [] { by_callbacks::finish(loop); });
}

static void idle(std::thread& timer) {
  timer = std::thread([] {
    std::this_thread::sleep_for(300ms);
    // Sets a future's result; its waiter goes on in the next pass.
    loop.call_soon_threadsafe(
        [] { loop.call_soon([] { by_callbacks::finish(loop); }); });
  });
}

/// sleep(0) is the next pass.
static void busy(int times) {
  if (times == 0) return by_callbacks::finish(loop);
  loop.call_soon([times] { busy(times - 1); });
}

static void long_timer() {
  auto h = loop.call_later(1'000'000, print);
  auto t = loop.call_later(0.05, [] {});
  t.cancel();
  by_callbacks::sleep(loop, 0.1, [h]() mutable {
    h.cancel();
    by_callbacks::finish(loop);
  });
}

int main() {
  loop.add_observer(spy);
  by_callbacks::run(loop, main_function);
  print("calls of select for one sleep(0.5):", spy.calls.size());
  print(list(true));
  spy.calls.clear();

  std::thread timer;
  by_callbacks::run(loop, [&timer] { idle(timer); });
  timer.join();
  print("waiting 0.3 s for a thread:", list(false));
  spy.calls.clear();

  by_callbacks::run(loop, [] { busy(3); });
  print("three times sleep(0):", list(false));
  spy.calls.clear();

  by_callbacks::run(loop, long_timer);
  print("a cancelled timer at the head of the heap does not wake the loop:",
        list(true));
  loop.close();
}
