// SPDX-License-Identifier: MIT
// shows: shield: cancelling the awaiter leaves the inner task alone; cancelling
//   the inner one cancels the outer future; an exception of the inner task
//   after the outer one was cancelled is reported to nobody who has read it
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "reactor/exception_context.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::get_running_loop;
using rondo::shield;
using rondo::sleep;
using rondo::Task;

static Coro<std::string> inner(std::string v) {
  try {
    co_await sleep(0.08);
    print("inner finished", v);
    if (v == "fail") throw std::invalid_argument("inner failed");
    co_return v;
  } catch (const CancelledError&) {
    print("inner cancelled", v);
    throw;
  }
}

static Coro<std::string> awaiter(Task<std::string> t) {
  try {
    co_return co_await shield(t);
  } catch (const CancelledError&) {
    print("awaiter cancelled; inner done:", t.done());
    throw;
  }
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.set_exception_handler([](EventLoop&, const ExceptionContext& c) {
    print("handler:", c.message, python::repr(c.exception));
  });
  auto t = create_task(inner("1"));
  auto a = create_task(awaiter(t));
  co_await sleep(0.02);
  a.cancel();
  co_await rondo::wait(python::set(a));
  print("a cancelled:", a.cancelled());
  print("inner result:", co_await t);

  t = create_task(inner("2"));
  a = create_task(awaiter(t));
  co_await sleep(0.02);
  t.cancel();
  co_await rondo::wait(python::set(a));
  print("a cancelled by its inner task:", a.cancelled(),
        "cancelling:", a.cancelling());

  t = create_task(inner("fail"));
  a = create_task(awaiter(t));
  co_await sleep(0.02);
  a.cancel();
  co_await rondo::wait(python::set(a, t));
  co_await sleep(0);
  print("exception of inner:", python::repr(t.exception()));

  auto d = create_future<std::string>(loop);
  d.set_result("done");
  print("shield of a done future is that future:", shield(d) == d);
  print("shield result:", co_await shield(inner("3")));
}

int main() { rondo::run(main_function()); }
