// SPDX-License-Identifier: MIT
// shows: the message of cancel(msg) arrives in CancelledError, through a chain
//   of tasks too; of two messages the first wins when the task waits for a
//   future (that future was cancelled with it), the last wins when the task has
//   not started; future.cancel(msg); gather
#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::args;
using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::gather;
using rondo::get_running_loop;
using rondo::sleep;

static Coro<> sleeper() {
  try {
    co_await sleep(10);
  } catch (const CancelledError& e) {
    print("inner", args(e));
    throw;
  }
}

static Coro<> outer() {
  try {
    co_await create_task(sleeper());
  } catch (const CancelledError& e) {
    print("outer", args(e));
    throw;
  }
}

static Coro<> main_function() {
  auto t = create_task(outer());
  co_await sleep(0);
  co_await sleep(0);
  t.cancel("the message");
  try {
    co_await t;
  } catch (const CancelledError& e) {
    print("main", args(e));
  }

  t = create_task(sleeper());
  co_await sleep(0);
  t.cancel("one");
  t.cancel("two");
  try {
    co_await t;
  } catch (const CancelledError& e) {
    print("main, two messages while waiting", args(e));
  }

  t = create_task(sleeper());
  t.cancel("one");
  t.cancel("two");
  try {
    co_await t;
  } catch (const CancelledError& e) {
    print("main, two messages before the start", args(e));
  }

  auto f = create_future<void>(get_running_loop());
  f.cancel("future message");
  try {
    co_await f;
  } catch (const CancelledError& e) {
    print("future", args(e));
  }

  auto g = gather(sleeper(), sleeper());
  co_await sleep(0);
  g.cancel("gather message");
  try {
    co_await g;
  } catch (const CancelledError& e) {
    print("gather", args(e));
  }
}

int main() { rondo::run(main_function()); }
