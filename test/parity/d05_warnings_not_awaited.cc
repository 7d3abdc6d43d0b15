// SPDX-License-Identifier: MIT
// shows: the warning (see stderr) is for coroutines that never started. A
//   coroutine wrapped in a task needs no co_await; one that was closed gives
//   no warning. (The original starts work(2) by hand, with send(None), and
//   drops it; here only a task starts a coroutine.)
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::sleep;

static Coro<> work(int n) {
  co_await sleep(0);
  print("work", n, "ends");
}

static Coro<> main_function() {
  create_task(work(1));  // never awaited, runs all the same
  co_await sleep(0.01);
  work(3).close();             // closed before it started
  static_cast<void>(work(4));  // dropped before: the only warning
}

int main() { rondo::run(main_function()); }
