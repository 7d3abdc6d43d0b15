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

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/loop_observer.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::Coro;
using rondo::Duration;
using rondo::EventLoop;
using rondo::gather;
using rondo::get_running_loop;
using rondo::LoopObserver;
using rondo::sleep;

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
using Out = std::vector<Woken>;

static Spy spy;

static std::size_t passes_seen(const Out& out) {
  std::set<int> passes;
  for (const Woken& woken : out) passes.insert(woken.in_pass);
  return passes.size();
}

static Coro<> sleeper(Duration d, Out& out) {
  EventLoop& loop = get_running_loop();
  const auto t0 = loop.time();
  co_await sleep(d);
  out.push_back({spy.n, loop.time() - t0 >= d});
}

static Coro<> late(int i, Out& out) {
  // Pushes the next deadline 4 ms back.
  if (i > 0) std::this_thread::sleep_for(4ms);
  co_await sleeper(50ms, out);
}

static Coro<> main_function() {
  get_running_loop().add_observer(spy);

  // A machine that stalls for a millisecond may spoil a try, not all of them.
  int together = 0;
  int early = 0;
  for (int tried = 0; tried < 10 && together < 45; ++tried) {
    together = 0;
    for (int round = 0; round < 50; ++round) {
      Out out;
      co_await gather(sleeper(10ms, out), sleeper(10ms, out),
                      sleeper(10ms, out));
      together += passes_seen(out) == 1;
      early += static_cast<int>(std::count_if(
          out.begin(), out.end(), [](Woken w) { return !w.in_time; }));
    }
  }
  print(
      "three sleeps of 10 ms begun in one iteration end in one iteration, in "
      "45 of 50 rounds or more:",
      together >= 45);
  print("woken early:", early);

  std::size_t different = 0;
  for (int tried = 0; tried < 20 && different < 3; ++tried) {
    Out out;
    co_await gather(late(0, out), late(1, out), late(2, out));
    different = passes_seen(out);
  }
  print("deadlines 4 ms apart end in different iterations:", different);
}

int main() { rondo::run(main_function()); }
