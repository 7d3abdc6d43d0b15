// SPDX-License-Identifier: MIT
// shows: a task or future that failed and is dropped without anyone reading
//   its exception is reported through the exception handler when its last
//   handle goes; result(), exception() or an await prevents it; adding a
//   callback does not
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "reactor/exception_context.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::Future;
using rondo::get_running_loop;
using rondo::sleep;
using rondo::Task;
using rondo::TaskOptions;

static Coro<> fail(int n) {
  throw std::invalid_argument(std::to_string(n));
  co_return;
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  Task<void> t = create_task(fail(1), TaskOptions().name("dropped"));
  co_await sleep(0);
  co_await sleep(0);
  print("task done:", t.done(), "- now dropped");
  t = Task<void>();
  auto f = create_future<void>(loop);
  f.set_exception(std::out_of_range("future"));
  print("future dropped");
  f = Future<void>();
  t = create_task(fail(2));
  std::vector<Task<void>> failing{t};
  co_await rondo::wait(failing);
  failing.clear();
  static_cast<void>(t.exception());
  print("exception() read");
  t = Task<void>();
  t = create_task(fail(3));
  t.add_done_callback([](Future<void>) {});
  co_await sleep(0.01);
  print("only a callback");
  t = Task<void>();
  loop.set_exception_handler([](EventLoop&, const ExceptionContext& c) {
    print("handler:", c.keys(), c.message, python::repr(c.exception));
  });
  t = create_task(fail(4));
  co_await sleep(0.01);
  t = Task<void>();
  print("end of main");
}

int main() { rondo::run(main_coroutine()); }
