// SPDX-License-Identifier: MIT
// shows: timers with exactly equal deadlines run in the order in which they
//   were made, whatever other timers wait. (asyncio leaves that order to its
//   heap: the original shows 0 2 1 3 for four of them. See README.md, "Where
//   we promise more".)
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::EventLoop;

static std::vector<int> order(int n, int later = 0) {
  EventLoop loop;
  std::vector<int> got;
  const auto when = loop.time();
  for (int i = 0; i < n; ++i) {
    loop.call_at(when, [&got, i] { got.push_back(i); });
  }
  for (int i = 0; i < later; ++i) {
    loop.call_at(when + 100s, [&got] { got.push_back(-1); });  // never
  }
  std::this_thread::sleep_for(1ms);
  loop.stop();  // one pass: everything due runs in it
  loop.run_forever();
  loop.close();
  return got;
}

/// Deadlines given as small integers; ties among them.
static std::vector<std::pair<int, int>> mixed(const std::vector<int>& whens) {
  EventLoop loop;
  std::vector<std::pair<int, int>> got;
  const auto t0 = loop.time() - 1s;
  for (int i = 0; const int w : whens) {
    loop.call_at(t0 + w * 1ms, [&got, w, i] { got.push_back({w, i}); });
    ++i;
  }
  loop.stop();
  loop.run_forever();
  loop.close();
  return got;
}

int main() {
  for (int n = 1; n <= 12; ++n) print(n, order(n));
  print("with one later timer in the heap");
  for (const int n : {2, 3, 4, 5, 8}) print(n, order(n, 1));
  print("with three later timers in the heap");
  for (const int n : {2, 3, 4, 5, 8}) print(n, order(n, 3));

  print("(deadline, number of registration)");
  print(mixed({2, 1, 2, 1, 2, 1}));
  print(mixed({3, 3, 1, 1, 2, 2, 3}));
  print(mixed({1, 1, 1, 0, 0, 0, 2, 2, 2}));
}
