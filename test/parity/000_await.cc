// SPDX-License-Identifier: MIT
// shows: awaiting two coroutines one after the other: 2 s in total
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;

using rondo::sleep;

static Coro<> say_hello() {
  print("hello", python::strftime("%X"));
  co_await sleep(1);
  print("hello", python::strftime("%X"));
}

static Coro<> say_world() {
  print("world", python::strftime("%X"));
  co_await sleep(1);
  print("world", python::strftime("%X"));
}

// The way in.
static Coro<> main_function() {
  co_await say_hello();  // starts it and waits for its end
  co_await say_world();  // begins when that has ended
}

int main() { rondo::run(main_function()); }
