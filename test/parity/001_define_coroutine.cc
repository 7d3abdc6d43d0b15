// SPDX-License-Identifier: MIT
// shows: run_until_complete on a coroutine
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
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
  run_until_complete(loop, std::move(coroutine));

  print("TIME: ", now() - start);
}
