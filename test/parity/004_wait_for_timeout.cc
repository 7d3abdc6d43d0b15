// SPDX-License-Identifier: MIT
// shows: wait_for times out after 2 s and cancels the inner coroutine: its
//   print never happens
#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::TimeoutError;
using rondo::wait_for;

static Coro<> sleep(int second) {
  co_await rondo::sleep(second);
  print("hello asyncio");
}

static Coro<> test_timeout(int second) {
  try {
    co_await wait_for(sleep(second), 2);
  } catch (const TimeoutError&) {
    print("asyncio.TimeoutError");
  }
}

// Tries the timeout.
static Coro<> main_function() { co_await test_timeout(5); }

int main() { rondo::run(main_function()); }
