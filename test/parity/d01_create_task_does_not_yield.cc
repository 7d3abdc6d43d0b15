// SPDX-License-Identifier: MIT
// shows: create_task puts the first step of the new task in the ready queue
//   and returns; the current coroutine goes on until it suspends by itself
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::sleep;

static Coro<> child() {
  print("child runs");
  co_return;
}

static Coro<> main_function() {
  auto t = create_task(child());
  print("after create_task: child has not run");
  for (int i = 0; i < 3; ++i) print("main still runs", i);
  co_await sleep(0);
  print("after the first suspension of main: child done:", t.done());
}

int main() { rondo::run(main_function()); }
