// SPDX-License-Identifier: MIT
// shows: the timeout of epoll is rounded UP to a whole millisecond. Callbacks
//   that set a timer of the same delay in one pass have deadlines a few
//   microseconds apart; when it is a whole number of milliseconds the loop
//   wakes behind the last of them and all run in ONE pass. A loop with a finer
//   clock would wake for the first one alone and show another order. Deadlines
//   more than a millisecond apart run in different passes; nothing runs early
#include <algorithm>
#include <chrono>
#include <set>
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
  void on_poll_begin(EventLoop&, Duration) override { n += 1; }
  int n = 0;
};

struct Woken {
  int in_pass;
  bool in_time;
};

static EventLoop loop;
static Spy spy;
static std::vector<Woken> out;

static int passes_seen() {
  std::set<int> passes;
  for (const Woken& woken : out) passes.insert(woken.in_pass);
  return static_cast<int>(passes.size());
}

/// gather(): `then` runs when the third of them has ended.
static void sleeper(Duration d, void (*then)()) {
  const auto t0 = loop.time();
  by_callbacks::sleep(loop, d, [t0, d, then] {
    out.push_back({spy.n, loop.time() - t0 >= d});
    if (out.size() == 3) loop.call_soon(then);
  });
}

static void late(int i) {
  // Pushes the next deadline 4 ms back.
  if (i > 0) std::this_thread::sleep_for(4ms);
  sleeper(50ms, [] {
    print("deadlines 4 ms apart end in different iterations:", passes_seen());
    by_callbacks::finish(loop);
  });
}

static int rounds = 0;
static int together = 0;
static int early = 0;

static void next_round() {
  if (rounds++ < 50) {
    out.clear();
    for (int i = 0; i < 3; ++i) {
      loop.call_soon([] {
        sleeper(10ms, [] {
          together += passes_seen() == 1;
          early += static_cast<int>(std::count_if(
              out.begin(), out.end(), [](Woken w) { return !w.in_time; }));
          next_round();
        });
      });
    }
    return;
  }
  print(
      "three sleeps of 10 ms begun in one iteration end in one iteration, in "
      "45 of 50 rounds or more:",
      together >= 45);
  print("woken early:", early);
  out.clear();
  for (int i = 0; i < 3; ++i) loop.call_soon([i] { late(i); });
}

int main() {
  loop.add_observer(spy);
  by_callbacks::run(loop, next_round);
}
