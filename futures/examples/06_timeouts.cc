// SPDX-License-Identifier: MIT
//
// Few operations have a timeout of their own: wait_for() gives one to anything
// that can be awaited, and timeout() to a part of a task. When the time is
// over, what runs inside is cancelled, and waited for while it cleans up; then
// the CancelledError that comes out of it becomes a TimeoutError.
//
// A cancel from outside is never taken for the timeout's own, nor hidden by it.
//
// New against 05: it is a timer that cancels.
//
// Expected output:
//   sleeper: cancelled, cleans up
//   wait_for: TimeoutError
//   in time: 42
//   moved on, so 350 ms fit into 300
//   the outer deadline was first: inner expired: 0, outer expired: 1
//   cancelled from outside: CancelledError('stop')

#include <chrono>
#include <cstdio>
#include <exception>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/timeout.h"
#include "futures/wait_for.h"

using rondo::Coro;
using rondo::Timeout;
using rondo::timeout;
using rondo::with;

static Coro<> sleeper() {
  try {
    co_await rondo::sleep(3600);
    std::puts("hello asyncio");
  } catch (const rondo::CancelledError&) {
    std::puts("sleeper: cancelled, cleans up");
    throw;
  }
}

static Coro<int> answer() {
  co_await rondo::sleep(0.01);
  co_return 42;
}

static Coro<> test_wait_for() {
  try {
    co_await wait_for(sleeper(), 0.05);
  } catch (const rondo::TimeoutError&) {
    std::puts("wait_for: TimeoutError");
  }
  const int in_time = co_await wait_for(answer(), 5);
  std::printf("in time: %d\n", in_time);
}

static Coro<> move_on(Timeout& limit) {
  co_await rondo::sleep(0.02);
  limit.reschedule(rondo::get_running_loop().time() + std::chrono::seconds(5));
  co_await rondo::sleep(0.33);
  std::puts("moved on, so 350 ms fit into 300");
}

static Coro<> forever() { co_await rondo::sleep(3600); }

static Coro<> nested(Timeout& inner) { co_await with(inner, forever()); }

static Coro<> test_timeout() {
  Timeout limit = timeout(0.3);
  co_await with(limit, move_on(limit));

  Timeout outer = timeout(0.05);
  Timeout inner = timeout(5);
  try {
    co_await with(outer, nested(inner));
  } catch (const rondo::TimeoutError&) {
    std::printf(
        "the outer deadline was first: inner expired: %d, outer expired: %d\n",
        inner.expired(), outer.expired());
  }
}

static Coro<> main_coroutine() {
  co_await test_wait_for();
  co_await test_timeout();

  const rondo::Task<void> task = create_task(wait_for(rondo::sleep(60), 5));
  co_await rondo::sleep(0);
  task.cancel("stop");
  try {
    co_await task;
  } catch (...) {
    std::printf("cancelled from outside: %s\n",
                rondo::repr(std::current_exception()).c_str());
  }
}

int main() { rondo::run(main_coroutine()); }
