// SPDX-License-Identifier: MIT
// shows: a task copies the context at its creation: changes in the task stay
//   there; an awaited coroutine shares the context; callbacks run in the
//   context of their registration; current_task and all_tasks
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/context.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::all_tasks;
using rondo::Context;
using rondo::ContextVar;
using rondo::copy_context;
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

static ContextVar<std::string> v("v", "default");

using Seen = std::pair<std::string, std::string>;

static Coro<Seen> setter(std::string x) {
  const std::string before = v.get();
  v.set(x);
  co_await sleep(0);
  co_return Seen(before, v.get());
}

/// sorted(t.get_name() for t in tasks).
static std::vector<std::string> names(
    const std::vector<rondo::AnyTask>& tasks) {
  std::vector<std::string> sorted;
  for (const auto& t : tasks) sorted.push_back(t.get_name());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  v.set("main");
  Task<Seen> t = create_task(setter("task"));
  v.set("main 2");
  Seen seen = co_await t;
  print(seen, v.get());
  seen = co_await setter("awaited");
  print(seen, v.get());
  loop.call_soon([] { print("callback sees", v.get()); });
  v.set("main 3");
  loop.call_soon([] { v.set("set in a callback"); });
  co_await sleep(0);
  print(v.get());
  auto f = create_future<void>(loop);
  f.add_done_callback(
      [](Future<void>) { print("done callback sees", v.get()); });
  v.set("main 4");
  f.set_result();
  co_await sleep(0);
  Context ctx = copy_context();
  ctx.run([] { v.set("own context"); });
  co_await create_task(sleep(0), TaskOptions().context(ctx));
  seen = co_await create_task(setter("changed"), TaskOptions().context(ctx));
  print(seen, ctx.run([] { return v.get(); }), v.get());
  print("current:", current_task().get_name(), "all:", names(all_tasks()));
  loop.call_soon(
      [] { print("current_task in a callback:", to_string(current_task())); });
  Task<void> child = create_task(sleep(0), TaskOptions().name("child"));
  print("all:", all_tasks().size());
  co_await child;
  print("all after it is done:", all_tasks().size());
}

int main() { rondo::run(main_coroutine()); }
