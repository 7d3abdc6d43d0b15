// SPDX-License-Identifier: MIT
// shows: stop() lets the current batch finish, and the loop stops at the end
//   of that pass; what the batch scheduled stays for the next run_forever;
//   stop() before run_forever runs exactly one pass; timers that are due take
//   part in that pass
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::EventLoop;

static EventLoop loop;

static void p(const char* x) { print(x); }

static void stopper() {
  print("stop called");
  loop.call_soon(call(p, "scheduled by the stopper before stop()"));
  loop.stop();
  loop.call_soon(call(p, "scheduled by the stopper after stop()"));
  loop.stop();
}

int main() {
  const auto stop = [] { loop.stop(); };

  loop.call_soon(call(p, "before"));
  loop.call_soon(stopper);
  loop.call_soon(call(p, "after stop, same batch"));
  loop.run_forever();
  print("-- first run_forever returned, running:", loop.is_running(),
        "closed:", loop.is_closed());
  loop.call_soon(stop);
  loop.run_forever();
  print("-- second run_forever returned");

  loop.stop();
  loop.call_soon(call(p, "one iteration runs although stop() came first"));
  loop.call_soon([] { loop.call_soon(call(p, "this one is left for later")); });
  loop.call_later(0, call(p, "a due timer runs in that iteration too"));
  loop.call_later(0.05, call(p, "a later timer does not"));
  loop.run_forever();
  print("-- third run_forever returned");
  loop.stop();
  loop.run_forever();
  print("-- fourth run_forever returned");
  loop.close();
}
