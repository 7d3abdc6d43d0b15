// SPDX-License-Identifier: MIT
// shows: two tasks run concurrently: 1 s in total
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
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
  auto task_say_hello = create_task(say_hello());  // starts it, waits not
  auto task_say_world = create_task(say_world());

  co_await task_say_hello;
  co_await task_say_world;
}

int main() { rondo::run(main_function()); }
