// SPDX-License-Identifier: MIT
// shows: the loop schedules callbacks (Handles) only. A Future does nothing by
//   itself: somebody must set it. A Task drives a coroutine and refuses
//   set_result. A coroutine object that is not wrapped is not known to the
//   loop at all
#include <type_traits>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/snapshot.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyFuture;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::Handle;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::Snapshot;

static Coro<int> coro() {
  print("coroutine runs");
  co_return 1;
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto f = create_future<int>(loop);
  auto c = coro();
  co_await sleep(0.01);
  print("bare future after 0.01 s done:", f.done(),
        "; bare coroutine has not run");
  auto t = create_task(std::move(c));
  try {
    t.set_result(5);
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  print("result of the task:", co_await t);
  print("Task is a Future:", std::is_base_of_v<AnyFuture, decltype(t)>,
        "; Future is a Task:", f.is_task());
  loop.call_soon([] {});
  using Held = decltype(Snapshot::ready)::value_type;
  print("what the ready queue holds:",
        std::is_same_v<Held, Handle> ? "{'Handle'}" : "{}");
}

int main() { rondo::run(main_function()); }
