// SPDX-License-Identifier: MIT
// shows: task.result() after run_until_complete
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::ensure_future;
using rondo::EventLoop;
using rondo::run_until_complete;

static double now() { return python::time(); }

static Coro<std::string> do_some_work(int x) {
  print("Waiting", x);
  co_return "Done after " + std::to_string(x) + "s";
}

int main() {
  const double start = now();

  auto coroutine = do_some_work(2);
  EventLoop loop;
  auto task = ensure_future(loop, std::move(coroutine));
  run_until_complete(loop, task);

  print("Task ret:", task.result());
  print("TIME:", now() - start);
}
