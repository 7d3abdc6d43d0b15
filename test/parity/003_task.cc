// SPDX-License-Identifier: MIT
// shows: create_task and co_await
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::sleep;

static Coro<> my_coroutine() {
  print("Coroutine started");
  co_await sleep(1);
  print("Coroutine finished");
}

static Coro<> main_function() {
  auto task = create_task(my_coroutine());
  co_await task;
}

int main() { rondo::run(main_function()); }
