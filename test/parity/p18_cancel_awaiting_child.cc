// SPDX-License-Identifier: MIT
// shows: cancelling a task that awaits another task cancels that child; the
//   innermost one sees it first and the cancellation travels outwards, one pass
//   per task; a child that returns a value all the same makes the parent go on
//   as if nothing had happened
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::get_running_loop;
using rondo::Handle;
using rondo::sleep;

static int n = 0;
static Handle next_tick;

static void tick() {
  n += 1;
  next_tick = get_running_loop().call_soon(tick);
}

static void break_tick() { next_tick.cancel(); }

static Coro<std::string> child(std::string name, bool swallow) {
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    print(n, name, "child cancelled");
    if (!swallow) throw;
  }
  co_return "child value";
}

static Coro<std::string> parent(std::string name, bool swallow) {
  auto t = create_task(child(name, swallow));
  std::string v;
  try {
    v = co_await t;
  } catch (const CancelledError&) {
    print(n, name, "parent cancelled; child cancelled:", t.cancelled());
    throw;
  }
  print(n, name, "parent goes on with", v,
        "; cancelling:", current_task().cancelling());
  co_return "parent value";
}

static Coro<> main_function() {
  for (const bool swallow : {false, true}) {
    auto p = create_task(parent("swallow=" + python::repr(swallow), swallow));
    co_await sleep(0.01);
    n = 0;
    next_tick = get_running_loop().call_soon(tick);
    p.cancel();
    try {
      // As Python does it, n is read before the wait.
      const int before = n;
      print(before, "result", co_await p);
    } catch (const CancelledError&) {
      print(n, "main: p cancelled:", p.cancelled());
    }
    co_await sleep(0);
    break_tick();
  }
}

int main() { rondo::run(main_function()); }
