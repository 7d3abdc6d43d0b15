// SPDX-License-Identifier: MIT
// shows: create_task on a loop: the text of a task before and after it ran
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::run_until_complete;

static double now() { return python::time(); }

static Coro<> do_some_work(int x) {
  print("Waiting: ", x);
  co_return;
}

int main() {
  const double start = now();

  auto coroutine = do_some_work(2);
  EventLoop loop;
  // auto task = ensure_future(loop, std::move(coroutine));
  auto task = create_task(loop, std::move(coroutine));
  print(task);
  run_until_complete(loop, task);
  print(task);
  print("TIME: ", now() - start);
}
