// SPDX-License-Identifier: MIT
// shows: Event: set wakes all waiters, in FIFO order, even if cleared at once;
//   wait on a set event does not suspend. Condition: notify(n) FIFO,
//   notify_all, wait_for, the lock is held again after wait, also after
//   cancellation; misuse
#include <string>
#include <type_traits>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/condition.h"
#include "futures/sync/event.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Condition;
using rondo::Coro;
using rondo::create_task;
using rondo::Event;
using rondo::gather;
using rondo::LockGuard;
using rondo::None;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::Task;

/// (n, r): an integer or a text, and what wait() gave.
static std::string entry(const auto& n) {
  return "(" + python::repr(n) + ", " + python::repr(None()) + ")";
}
static std::string entry(int n, bool locked) {
  return "(" + python::repr(n) + ", " + python::repr(None()) + ", " +
         python::repr(locked) + ")";
}
/// A list of such entries.
static std::string list(const std::vector<std::string>& log) {
  std::string text;
  for (const auto& one : log) text += (text.empty() ? "" : ", ") + one;
  return "[" + text + "]";
}

static Coro<> main_coroutine() {
  Event ev;
  std::vector<std::string> log;

  const auto ew = [&](auto n) -> Coro<> {
    static_assert(std::is_void_v<decltype(ev.wait().result())>);
    co_await ev.wait();
    log.push_back(entry(n));
  };
  std::vector<Task<void>> ts;
  for (int i = 0; i < 3; ++i) ts.push_back(create_task(ew(i)));
  co_await sleep(0);
  print(ev);
  ev.set();
  ev.clear();
  co_await gather(ts);
  print("set then clear wakes all the same:", list(log), ev.is_set());
  ev.set();
  ev.set();
  Task<void> t = create_task(ew("other"));
  co_await ev.wait();
  print("wait on a set event:", None(),
        "; other task ran meanwhile:", log.size() > 3);
  co_await t;
  print(ev);

  Condition cond;
  log.clear();

  const auto cw = [&](int n) -> Coro<> {
    LockGuard guard = co_await cond.scoped();
    static_assert(std::is_void_v<decltype(cond.wait().result())>);
    co_await cond.wait();
    log.push_back(entry(n, cond.locked()));
  };
  ts.clear();
  for (int i = 0; i < 5; ++i) ts.push_back(create_task(cw(i)));
  co_await sleep(0);
  {
    LockGuard guard = co_await cond.scoped();
    cond.notify();
    print("notify does not release the lock; woken so far:", list(log));
  }
  co_await sleep(0.01);
  print("after notify():", list(log));
  {
    LockGuard guard = co_await cond.scoped();
    cond.notify(2);
  }
  co_await sleep(0.01);
  print("after notify(2):", list(log));
  ts[3].cancel();
  const std::vector cancelled{ts[3]};
  co_await rondo::wait(cancelled);
  print("cancelled waiter:", ts[3].cancelled(), "lock free:", !cond.locked());
  {
    LockGuard guard = co_await cond.scoped();
    cond.notify_all();
  }
  co_await ts[4];
  print("after notify_all():", list(log));

  int value = 0;

  const auto pred = [&]() -> Coro<> {
    LockGuard guard = co_await cond.scoped();
    const auto enough = [&] { return value >= 2 ? "truthy" : nullptr; };
    const char* r = co_await cond.wait_for(enough);
    print("wait_for returned", r);
  };
  t = create_task(pred());
  for (int i = 0; i < 3; ++i) {
    co_await sleep(0);
    LockGuard guard = co_await cond.scoped();
    value += 1;
    cond.notify_all();
  }
  co_await t;
  try {
    co_await cond.wait();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  try {
    cond.notify();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
}

int main() { rondo::run(main_coroutine()); }
