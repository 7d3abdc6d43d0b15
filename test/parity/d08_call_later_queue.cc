// SPDX-License-Identifier: MIT
// shows: call_later puts the function into the heap of timers; it moves to the
//   ready queue in the pass in which it is due
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "reactor/snapshot.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::EventLoop;

int main() {
  EventLoop loop;
  const auto ready = [&] { return loop.snapshot().ready.size(); };
  const auto scheduled = [&] { return loop.snapshot().timers.size(); };
  const auto stop = [&] { loop.stop(); };

  loop.call_soon(call(print, "soon"));
  print("after call_soon:  _ready", ready(), "_scheduled", scheduled());
  loop.call_later(0.05, call(print, "later"));
  print("after call_later: _ready", ready(), "_scheduled", scheduled());
  loop.stop();
  loop.run_forever();
  print("after one iteration: _ready", ready(), "_scheduled", scheduled());
  loop.call_later(0.1, stop);
  loop.run_forever();
  print("at the end: _ready", ready(), "_scheduled", scheduled());
  loop.close();
}
