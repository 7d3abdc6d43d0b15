// SPDX-License-Identifier: MIT
// shows: run_until_complete on a main coroutine that awaits another, then
//   loop.close()
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::EventLoop;
using rondo::run_until_complete;
using rondo::sleep;

static Coro<> my_coroutine() {
  print("Coroutine started");
  co_await sleep(1);
  print("Coroutine finished");
}

static Coro<> main_function() { co_await my_coroutine(); }

int main() {
  // The loop.
  EventLoop loop;
  // Runs the main coroutine.
  run_until_complete(loop, main_function());
  // Closes the loop.
  loop.close();
}
