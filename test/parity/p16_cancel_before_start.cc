// SPDX-License-Identifier: MIT
// shows: a task cancelled before its first step never runs its body (no try
//   block is entered) and ends as cancelled; cancel() returns True and done()
//   becomes true only after a pass
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::sleep;

static Coro<> body() {
  print("body runs: must not happen");
  struct Finally {
    ~Finally() { print("finally: must not happen"); }
  } const finally;
  co_await sleep(1);
}

static Coro<> main_function() {
  auto t = create_task(body());
  print("cancel():", t.cancel());
  print("done:", t.done(), "cancelled:", t.cancelled(),
        "cancelling:", t.cancelling());
  try {
    co_await t;
  } catch (const CancelledError& e) {
    print("CancelledError", python::args(e));
  }
  print("done:", t.done(), "cancelled:", t.cancelled());
  print("cancel() on a done task:", t.cancel(), "cancelling:", t.cancelling());
}

int main() { rondo::run(main_function()); }
