// SPDX-License-Identifier: MIT
// shows: create_task only queues the first step: the creator goes on until it
//   suspends; tasks start in the order of creation, behind callbacks queued
//   before them; ensure_future and gather likewise
#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::Coro;
using rondo::create_task;
using rondo::ensure_future;
using rondo::EventLoop;
using rondo::gather;
using rondo::get_running_loop;

static Coro<> t(const char* name) {
  print("start", name);
  co_return;
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.call_soon(call(print, "call_soon before"));
  auto a = create_task(t("a"));
  loop.call_soon(call(print, "call_soon between"));
  auto b = ensure_future(t("b"));
  auto g = gather(t("g1"), t("g2"));
  auto c = create_task(loop, t("c"));
  loop.call_soon(call(print, "call_soon after"));
  print("main still runs; nothing has started");
  co_await c;
  print("main resumed after awaiting c; a, b done:", a.done(), b.done(),
        "gather done:", g.done());
  print(co_await g);
}

int main() { rondo::run(main_function()); }
