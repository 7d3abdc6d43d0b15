// SPDX-License-Identifier: MIT
// shows: call_soon_threadsafe wakes a sleeping loop at once and keeps FIFO
//   order per thread; plain call_soon from a thread is refused;
//   run_coroutine_threadsafe: result, exception, timeout, cancel
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "futures/concurrent_future.h"
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_coroutine_threadsafe.h"
#include "futures/sleep.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::CancelledError;
using rondo::ConcurrentFuture;
using rondo::Coro;
using rondo::create_future;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::run_coroutine_threadsafe;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::TimeoutError;
using rondo::TimePoint;

static Coro<int> coro(std::optional<int> x) {
  co_await sleep(0.01);
  if (!x) throw std::out_of_range("none");
  co_return *x;
}

static Coro<> forever() {
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    print("forever: cancelled");
    throw;
  }
}

// run_coroutine_threadsafe(5, loop) is no program.
static_assert(rondo::TaskBody<rondo::Sleep<void>> && !rondo::TaskBody<int>);

static void thread(EventLoop& loop, const Future<std::string>& fut) {
  std::this_thread::sleep_for(100ms);
  for (int i = 0; i < 3; ++i) {
    loop.call_soon_threadsafe(call(print, "from the thread", i));
  }
  print(run_coroutine_threadsafe(loop, coro(5)).result());
  try {
    run_coroutine_threadsafe(loop, coro(std::nullopt)).result();
  } catch (const std::out_of_range&) {
    const python::Error e;
    print(e.type, e.text);
  }
  ConcurrentFuture<void> f = run_coroutine_threadsafe(loop, forever());
  try {
    f.result(0.05);
  } catch (const TimeoutError&) {
    print("TimeoutError; the coroutine still runs:", !f.done());
  }
  const bool r = f.cancel();
  std::this_thread::sleep_for(50ms);
  print("cancel():", r, "cancelled:", f.cancelled());
  loop.call_soon_threadsafe([&fut] { fut.set_result("end"); });
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  auto fut = create_future<std::string>(loop);
  const TimePoint t0 = loop.time();
  std::thread th(thread, std::ref(loop), std::cref(fut));
  loop.call_later(5, call(print, "must not run"));
  const std::string end = co_await fut;
  print(end, "woken without waiting for the timer:", loop.time() - t0 < 1s);
  th.join();

  // plain call_soon from another thread: refused, in every mode
  std::string seen;

  const auto rude = [&] {
    std::this_thread::sleep_for(50ms);
    try {
      loop.call_soon([] { print("must not run"); });
    } catch (const RuntimeError& e) {
      seen = e.what();
    }
  };
  th = std::thread(rude);
  co_await sleep(0.3);
  co_await sleep(0);
  th.join();
  print("plain call_soon: RuntimeError:", seen);
}

int main() { rondo::run(main_coroutine()); }
