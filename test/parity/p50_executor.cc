// SPDX-License-Identifier: MIT
// shows: run_in_executor: result, exception, the loop goes on meanwhile; order
//   with one thread; cancel of a running call only cancels the future (the
//   thread goes on, its result is dropped); cancel of a queued call prevents
//   it; to_thread; threads of the default executor
#include <pthread.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"
#include "reactor/context.h"
#include "reactor/thread_pool.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::ContextVar;
using rondo::Coro;
using rondo::create_task;
using rondo::Delay;
using rondo::EventLoop;
using rondo::Future;
using rondo::gather;
using rondo::get_running_loop;
using rondo::run_in_executor;
using rondo::RuntimeError;
using rondo::shutdown_default_executor;
using rondo::sleep;
using rondo::Task;
using rondo::ThreadPool;
using rondo::TimePoint;
using rondo::to_thread;

static ContextVar<std::string> v("v", "unset");

static void time_sleep(double d) {
  std::this_thread::sleep_for(Delay(d).value());
}

static int work(int n, double d) {
  time_sleep(d);
  print("thread work", n);
  return n * 10;
}

static void fail() { throw std::invalid_argument("from the thread"); }

static std::string v_get() { return v.get(); }

static std::string thread_name() {
  char name[16];
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  int ticks = 0;

  const auto ticker = [&]() -> Coro<> {
    while (true) {
      co_await sleep(0.01);
      ticks += 1;
    }
  };
  Task<void> t = create_task(ticker());
  print(co_await run_in_executor(loop, nullptr, work, 1, 0.1));
  print("the loop went on meanwhile:", ticks >= 5);
  t.cancel();
  try {
    co_await run_in_executor(loop, nullptr, fail);
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
  ThreadPool one(1);
  std::vector<Future<int>> calls;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(run_in_executor(loop, one, work, i, 0.05 - i * 0.01));
  }
  print(co_await gather(calls));

  Future<int> a = run_in_executor(loop, one, work, 7, 0.1);
  Future<int> b = run_in_executor(loop, one, work, 8, 0.1);
  co_await sleep(0.03);
  const bool running = a.cancel();
  const bool queued = b.cancel();
  print("cancel the running one:", running, "cancel the queued one:", queued);
  try {
    co_await a;
  } catch (const CancelledError&) {
    print("a: CancelledError before its thread ended");
  }
  co_await sleep(0.15);
  print("cancelled:", a.cancelled(), b.cancelled());

  const TimePoint t0 = loop.time();
  ThreadPool many(4);
  std::vector<Future<void>> sleeps;
  for (int i = 0; i < 4; ++i) {
    sleeps.push_back(run_in_executor(loop, many, time_sleep, 0.2));
  }
  co_await gather(sleeps);
  print("four calls of 0.2 s in four threads take less than 0.6 s:",
        loop.time() - t0 < Delay(0.6).value());
  v.set("context of the task");
  const std::string seen = co_await run_in_executor(loop, nullptr, v_get);
  const std::string seen_by_to_thread = co_await to_thread(v_get);
  print("run_in_executor sees", seen, "; to_thread sees", seen_by_to_thread);
  const std::string name = co_await run_in_executor(loop, nullptr, thread_name);
  print("thread name starts with asyncio-:", name.starts_with("asyncio-"));
  many.shutdown();
  try {
    co_await run_in_executor(loop, many, work, 1, 0.1);
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  co_await shutdown_default_executor(loop);
  try {
    run_in_executor(loop, nullptr, work, 1, 0.1);
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
}

int main() { rondo::run(main_coroutine()); }
