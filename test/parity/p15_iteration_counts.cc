// SPDX-License-Identifier: MIT
// shows: how many passes of the loop each operation costs the awaiting task (a
//   callback that schedules itself counts them)
#include <cstdio>
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/sync/event.h"
#include "futures/sync/lock.h"
#include "futures/sync/queue.h"
#include "futures/sync/semaphore.h"
#include "futures/wait.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::Duration;
using rondo::Event;
using rondo::EventLoop;
using rondo::Future;
using rondo::gather;
using rondo::get_running_loop;
using rondo::Lock;
using rondo::Queue;
using rondo::Semaphore;
using rondo::shield;
using rondo::sleep;
using rondo::TaskGroup;
using rondo::timeout;
using rondo::wait_for;
using rondo::with;

static int n = 0;

static void tick() {
  n += 1;
  get_running_loop().call_soon(tick);
}

template <class Make>
static Coro<> measure(std::string label, Make make) {
  co_await sleep(0);
  const int start = n;
  try {
    co_await make();
  } catch (...) {
    label += " (" + python::Error().type + ")";
  }
  std::printf("%2d  %s\n", n - start, label.c_str());
}

static Coro<> nothing() { co_return; }

static Coro<> zero(int k) {
  for (int i = 0; i < k; ++i) co_await sleep(0);
}

static Coro<> fail() {
  throw std::invalid_argument("");
  co_return;
}

static Future<void> fut_set_soon() {
  EventLoop& loop = get_running_loop();
  auto f = create_future<void>(loop);
  loop.call_soon([f] { f.set_result(); });
  return f;
}

static Future<void> done() {
  auto f = create_future<void>(get_running_loop());
  f.set_result();
  return f;
}

static Coro<> tg(int k, Coro<> (*body)()) {
  TaskGroup g;
  const auto block = [&]() -> Coro<> {
    for (int i = 0; i < k; ++i) g.create_task(body());
    co_return;
  };
  co_await with(g, block());
}

static Coro<> lock_free() {
  Lock lk;
  auto guard = co_await lk.scoped();
}

static Coro<> lock_contended() {
  Lock lk;
  co_await lk.acquire();
  get_running_loop().call_soon([&lk] { lk.release(); });
  auto guard = co_await lk.scoped();
}

static Coro<> sem_free() {
  Semaphore sem(1);
  auto guard = co_await sem.scoped();
}

static Coro<> queue_ready() {
  Queue<int> q;
  co_await q.put(1);
  co_await q.get();
}

static Coro<> queue_wait() {
  Queue<int> q;
  get_running_loop().call_soon([&q] { q.put_nowait(1); });
  co_await q.get();
}

static Coro<> event_wait() {
  Event e;
  get_running_loop().call_soon([&e] { e.set(); });
  co_await e.wait();
}

static Coro<> timeout_block() { co_await with(timeout(10), nothing()); }

static Coro<> cancel_task() {
  auto t = create_task(zero(100));
  co_await sleep(0);
  t.cancel();
  co_await t;
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.call_soon(tick);
  co_await sleep(0);

  co_await measure("await a coroutine that does nothing", nothing);
  co_await measure("sleep(0)", [] { return sleep(0); });
  co_await measure("await a done future", done);
  co_await measure("await a future set by call_soon", fut_set_soon);
  co_await measure("await create_task(nothing)",
                   [] { return create_task(nothing()); });
  co_await measure("await create_task(one sleep(0))",
                   [] { return create_task(zero(1)); });
  co_await measure("await create_task(fail)",
                   [] { return create_task(fail()); });
  co_await measure("gather()", [] { return gather(); });
  co_await measure("gather(nothing, nothing)",
                   [] { return gather(nothing(), nothing()); });
  co_await measure("gather(fail)", [] { return gather(fail()); });
  co_await measure("gather(done future)", [] { return gather(done()); });
  co_await measure("shield(nothing)", [] { return shield(nothing()); });
  co_await measure("wait({task})", [] {
    return rondo::wait(python::set(create_task(nothing())));
  });
  co_await measure("wait({done future})",
                   [] { return rondo::wait(python::set(done())); });
  co_await measure("wait_for(nothing, None)",
                   [] { return wait_for(nothing(), Duration::max()); });
  co_await measure("wait_for(nothing, 10)",
                   [] { return wait_for(nothing(), 10); });
  co_await measure("wait_for(done future, 10)",
                   [] { return wait_for(done(), 10); });
  co_await measure("wait_for(nothing, 0)",
                   [] { return wait_for(nothing(), 0); });
  co_await measure("TaskGroup, no task", [] { return tg(0, nothing); });
  co_await measure("TaskGroup, two tasks", [] { return tg(2, nothing); });
  co_await measure("TaskGroup, failing task", [] { return tg(1, fail); });
  co_await measure("timeout(10) around nothing", timeout_block);
  co_await measure("Lock, free", lock_free);
  co_await measure("Lock, released by call_soon", lock_contended);
  co_await measure("Semaphore, free", sem_free);
  co_await measure("Queue put and get, not blocking", queue_ready);
  co_await measure("Queue get, put by call_soon", queue_wait);
  co_await measure("Event wait, set by call_soon", event_wait);
  co_await measure("cancel a task in sleep(0), await it", cancel_task);
}

int main() { rondo::run(main_function()); }
