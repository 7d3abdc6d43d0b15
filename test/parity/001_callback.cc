// SPDX-License-Identifier: MIT
// shows: add_done_callback on a task made with ensure_future before the loop
//   runs
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::ensure_future;
using rondo::EventLoop;
using rondo::Future;
using rondo::run_until_complete;

static double now() { return python::time(); }

static Coro<std::string> do_some_work(int x) {
  print("Waiting: ", x);
  co_return "Done after " + std::to_string(x) + "s";
}

static void callback(Future<std::string> future) {
  print("Callback: ", future.result());
}

int main() {
  const double start = now();

  auto coroutine = do_some_work(2);
  EventLoop loop;
  auto task = ensure_future(loop, std::move(coroutine));
  task.add_done_callback(callback);
  run_until_complete(loop, task);

  print("TIME: ", now() - start);
}
