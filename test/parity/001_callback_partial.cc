// SPDX-License-Identifier: MIT
// shows: a done callback with an extra argument through partial
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::ensure_future;
using rondo::EventLoop;
using rondo::Future;
using rondo::partial;
using rondo::run_until_complete;

static double now() { return python::time(); }

static Coro<std::string> do_some_work(int x) {
  print("Waiting: ", x);
  co_return "Done after " + std::to_string(x) + "s";
}

static void callback(int t, Future<std::string> future) {
  print("Callback:", t, future.result());
}

int main() {
  const double start = now();

  auto coroutine = do_some_work(2);
  EventLoop loop;
  auto task = ensure_future(loop, std::move(coroutine));
  task.add_done_callback(partial(callback, 2));
  run_until_complete(loop, task);

  print("TIME: ", now() - start);
}
