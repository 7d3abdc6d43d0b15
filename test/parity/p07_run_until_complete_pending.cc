// SPDX-License-Identifier: MIT
// shows: run_until_complete returns as soon as its own future is done; other
//   tasks stay suspended and go on in the next run; callbacks of the future
//   added earlier run before it returns; a future that is already done costs
//   one pass; results and exceptions are passed on
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::run_until_complete;
using rondo::RuntimeError;
using rondo::sleep;

static Coro<> background() {
  for (int i = 0; i < 6; ++i) {
    print("background", i);
    co_await sleep(0);
  }
  print("background done");
}

static Coro<std::string> fore(int n) {
  for (int i = 0; i < n; ++i) {
    print("fore", i);
    co_await sleep(0);
  }
  co_return "result of fore(" + std::to_string(n) + ")";
}

static Coro<> boom() {
  throw std::invalid_argument("boom");
  co_return;
}

static Coro<> stopping() {
  get_running_loop().stop();
  co_await sleep(0.01);
}

// run_until_complete(loop, 42) is no program.
template <class T>
concept CanBeRun =
    requires(EventLoop& loop, T value) { run_until_complete(loop, value); };
static_assert(CanBeRun<Future<int>> && !CanBeRun<int>);

int main() {
  EventLoop loop;

  auto bg = create_task(loop, background());
  print(run_until_complete(loop, fore(2)));
  print("background pending:", !bg.done());
  auto t = create_task(loop, fore(1));
  t.add_done_callback(
      [](Future<std::string>) { print("user callback of fore(1)"); });
  print(run_until_complete(loop, t));
  auto fut = create_future<std::string>(loop);
  fut.set_result("done before");
  print(run_until_complete(loop, fut));

  try {
    run_until_complete(loop, boom());
  } catch (const std::invalid_argument& e) {
    print("ValueError:", e.what());
  }
  run_until_complete(loop, bg);

  auto s = create_task(loop, stopping());
  try {
    run_until_complete(loop, s);
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  run_until_complete(loop, s);
  loop.close();
}
