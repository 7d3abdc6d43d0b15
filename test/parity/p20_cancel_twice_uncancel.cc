// SPDX-License-Identifier: MIT
// shows: two cancel() calls before the task runs give one CancelledError but a
//   count of 2; uncancel() lowers the count, never below 0, and does not undo a
//   cancellation already on its way (3.11)
#include <exception>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyTask;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::sleep;

static Coro<> t1() {
  std::exception_ptr error;
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    error = std::current_exception();
  }
  // A handler may not wait.
  AnyTask me = current_task();
  print("caught once, cancelling:", me.cancelling());
  co_await sleep(0);
  print("sleep(0) after it was not interrupted");
  // One after the other: C++ leaves the order of arguments open.
  const unsigned a = me.uncancel();
  const unsigned b = me.uncancel();
  const unsigned c = me.uncancel();
  print("uncancel:", a, b, c);
  std::rethrow_exception(error);
}

static Coro<> t2() {
  try {
    co_await sleep(10);
    print("t2 not interrupted");
  } catch (const CancelledError&) {
    print("t2 interrupted, cancelling:", current_task().cancelling());
  }
}

static Coro<> t3() {
  print("t3 body runs");
  co_return;
}

static Coro<std::string> t4() {
  AnyTask me = current_task();
  me.cancel();
  print("t4 cancelled itself; still runs until it suspends; cancelling:",
        me.cancelling());
  try {
    co_await sleep(0);
    print("not reached");
  } catch (const CancelledError&) {
    print("t4 CancelledError at its next suspension");
  }
  me.cancel();
  print("t4 cancels itself again and returns without suspending");
  co_return "value";
}

static Coro<> main_function() {
  auto a = create_task(t1());
  co_await sleep(0);
  const bool first = a.cancel();
  const bool second = a.cancel();
  print(first, second, "count", a.cancelling());
  co_await rondo::wait(python::set(a));
  print("a cancelled:", a.cancelled(), "count", a.cancelling());

  auto b = create_task(t2());
  co_await sleep(0);
  b.cancel();
  print("uncancel right after cancel:", b.uncancel());
  co_await rondo::wait(python::set(b));

  auto c = create_task(t3());
  c.cancel();
  print("uncancel before the first step:", c.uncancel());
  co_await rondo::wait(python::set(c));
  print("c cancelled:", c.cancelled());

  auto d = create_task(t4());
  co_await rondo::wait(python::set(d));
  print("d cancelled:", d.cancelled(), "count", d.cancelling());
}

int main() { rondo::run(main_function()); }
