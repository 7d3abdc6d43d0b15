// SPDX-License-Identifier: MIT
// shows: what run does after main: the batch in which main ended finishes (a
//   task created just before main returned still starts, one that it creates
//   does not), every task left is cancelled once and waited for, then the
//   default executor (its threads are waited for), then the loop
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::AnyFuture;
using rondo::call;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::run_in_executor;
using rondo::RuntimeError;
using rondo::sleep;

static Coro<> leftover(std::string name) {
  std::exception_ptr cancelled;  // there is no co_await in a handler
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    print(name, "cancelled");
    cancelled = std::current_exception();
  }
  if (cancelled) {
    co_await sleep(0.04);
    print(name, "cleaned up");
    std::rethrow_exception(cancelled);
  }
}

static Coro<> refuses() {
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    print("refuses: swallowed it, goes on");
  }
  co_await sleep(0.08);
  print("refuses: ended");
}

static Coro<> fails() {
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    throw std::invalid_argument("while being cancelled");
  }
}

static std::vector<AnyFuture> keep;

static void blocking() {
  std::this_thread::sleep_for(600ms);
  print("thread ended");
}

static Coro<> never() {
  print("must not run");
  co_return;
}

static Coro<> last() {
  print("a task created just before main returned starts all the same");
  keep.push_back(create_task(never()));
  co_return;
}

static Coro<std::string> main_coroutine() {
  EventLoop& loop = get_running_loop();
  keep.push_back(create_task(leftover("one")));
  co_await sleep(0);
  keep.push_back(create_task(refuses()));
  co_await sleep(0);
  keep.push_back(create_task(fails()));
  co_await sleep(0);

  keep.push_back(create_task(last()));
  run_in_executor(loop, nullptr, blocking);
  loop.call_later(
      0.02,
      call(
          print,
          "a timer that is due while the leftovers are cleaned up still runs"));
  loop.call_later(5, call(print, "must not run"));
  print("main returns");
  co_return "result of main";
}

/// keep[0].is_closed(): the loop itself is gone by then.
static bool loop_is_closed(const AnyFuture& future) {
  try {
    return future.get_loop().is_closed();
  } catch (const RuntimeError&) {
    return true;
  }
}

int main() {
  print(rondo::run(main_coroutine()));
  print("loop closed:", loop_is_closed(keep[0]));
  try {
    static_cast<void>(get_running_loop());
  } catch (const RuntimeError& e) {
    print("get_event_loop after asyncio.run: RuntimeError:", e.what());
  }
}
