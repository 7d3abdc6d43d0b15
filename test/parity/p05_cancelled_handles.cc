// SPDX-License-Identifier: MIT
// shows: a cancelled handle is skipped wherever it waits; cancelling twice or
//   after the run is allowed; the text of handles
#include <chrono>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::EventLoop;
using rondo::Handle;
using rondo::TimePoint;

static void f(int x) { print("ran", x); }

int main() {
  EventLoop loop;
  Handle h5;

  Handle h1 = loop.call_soon(call(f, 1));
  Handle h2 = loop.call_soon(call(f, 2));
  Handle h3 = loop.call_later(0.04, call(f, 3));
  Handle h4 = loop.call_later(0.08, call(f, 4));
  loop.call_soon([&h5] {
    print("cancel a handle of the same batch");
    h5.cancel();
  });
  h5 = loop.call_soon(call(f, 5));
  print(h2);
  h2.cancel();
  h2.cancel();
  print("cancelled:", h1.cancelled(), h2.cancelled());
  print(h2);
  h3.cancel();
  // A plain Handle of a timer knows that it is one.
  print(h3);
  loop.call_later(0.2, [&loop] { loop.stop(); });
  loop.run_forever();
  h1.cancel();
  print("cancelled after it ran:", h1.cancelled());
  print("no exception from cancelling it after the run");
  const auto at = [](auto seconds) { return TimePoint(seconds); };
  auto a = loop.call_at(at(10s), call(f, 0));
  auto b = loop.call_at(at(20s), call(f, 0));
  print("handles compare by deadline:", a < b,
        a == loop.call_at(at(10s), call(f, 0)), a == b, a >= b);
  loop.close();
}
