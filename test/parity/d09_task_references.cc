// SPDX-License-Identifier: MIT
// shows: a task needs no variable, neither in a TaskGroup nor without: the loop
//   owns it until it is done. asyncio collects a bare task whose future is
//   itself unreachable; here that one waits until run() cancels it. Where the
//   original calls gc.collect(), there is nothing to call
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::all_tasks;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::get_running_loop;
using rondo::sleep;
using rondo::TaskGroup;
using rondo::TaskOptions;
using rondo::with;

using Log = std::vector<std::string>;

static Coro<> waits_for_nobody() {
  auto f = create_future<void>(get_running_loop());
  try {
    co_await f;
  } catch (...) {
    print("bare task: finally runs when run() cancels it");
    throw;
  }
}

static Coro<> sleeps(Log& log) {
  co_await sleep(0.02);
  log.push_back("ended");
}

static Coro<> main_function() {
  Log log;
  TaskGroup tg;
  const auto block = [&]() -> Coro<> {
    tg.create_task(sleeps(log));
    co_return;
  };
  co_await with(tg, block());
  print("in a TaskGroup without a variable:", log);
  log.clear();
  create_task(sleeps(log));
  co_await sleep(0.05);
  print("bare task in sleep (its timer keeps it alive):", log);
  create_task(waits_for_nobody(), TaskOptions().name("forgotten"));
  co_await sleep(0);
  print("collecting");
  print("tasks left:", all_tasks().size());
}

int main() { rondo::run(main_function()); }
