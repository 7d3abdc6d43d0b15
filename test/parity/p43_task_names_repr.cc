// SPDX-License-Identifier: MIT
// shows: automatic task names (a counter per process: Task-1, Task-2, ...; the
//   clean-up of run takes numbers too), set_name, repr of tasks and futures in
//   every state
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::current_task;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::sleep;
using rondo::Task;
using rondo::TaskOptions;

static Coro<std::string> work(Future<std::string> f) { co_return co_await f; }

static Coro<> fail() {
  throw std::invalid_argument("bad");
  co_return;
}

static void cb(Future<std::string>) {}

static void cb2(Future<std::string>) {}

static void cb3(Future<std::string>) {}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  print("main is", current_task().get_name());
  auto f = create_future<std::string>(loop);
  Task<std::string> t = create_task(work(f));
  print(t);
  co_await sleep(0);
  print(t);
  print(f);
  Task<std::string> u = create_task(work(f), TaskOptions().name("named"));
  co_await sleep(0);
  print(f);
  u.set_name("17");
  print(python::repr(u.get_name()));
  u.cancel();
  print(u);
  const std::vector both{u, t};
  co_await rondo::wait(both);
  print(u);
  print(f);
  Task<void> x = create_task(fail());
  const std::vector failing{x};
  co_await rondo::wait(failing);
  print(x);
  static_cast<void>(x.exception());
  Task<std::string> v = create_task(sleep(0, std::string("value")));
  v.add_done_callback(cb);
  print(v);
  co_await v;
  print(v);
  Future<std::string> g;
  for (int i = 0; i < 4; ++i) {
    g = create_future<std::string>(loop);
    const std::vector callbacks{cb, cb2, cb3};
    for (int c = 0; c < i; ++c) g.add_done_callback(callbacks[c]);
    if (i == 3) g.add_done_callback(cb);
    print(g);
  }
  g.set_result(std::string(100, 'r'));
  print(g);
  auto h = create_future<std::string>(loop);
  h.set_exception(std::out_of_range("k"));
  print(h);
  static_cast<void>(h.exception());
  print("counter goes on:", create_task(sleep(0)).get_name());
}

static Coro<> again() {
  print("in a second loop of the same process:", current_task().get_name());
  co_return;
}

int main() {
  rondo::run(main_coroutine());
  rondo::run(again());
}
