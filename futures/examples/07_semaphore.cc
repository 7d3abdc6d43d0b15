// SPDX-License-Identifier: MIT
//
// A Semaphore(3) lets three of five through at a time. It is for the tasks of
// one loop, not for threads: who has to wait is suspended, and nothing blocks.
// Turns are given in the order in which they were asked for.
//
// scoped() gives a guard that gives the turn back when it is destroyed, in
// place of Python's `async with semaphore:`.
//
// The seconds are virtual: a Runner takes any loop, and this one's clock jumps
// when there is nothing left to do. So the program takes no time, and the order
// is the same in each run.
//
// New against 06: tasks that wait for each other's leave.
//
// Expected output:
//   0 s: hello from 0
//   0 s: hello from 1
//   0 s: hello from 2
//   1 s: world from 0
//   1 s: world from 1
//   1 s: world from 2
//   1 s: hello from 3
//   1 s: hello from 4
//   2 s: world from 3
//   2 s: world from 4

#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/semaphore.h"
#include "reactor/testing/virtual_time.h"

using rondo::Coro;
using rondo::Semaphore;

static void say(const char* word, int n) {
  const auto now = rondo::get_running_loop().time().time_since_epoch();
  std::printf("%d s: %s from %d\n",
              static_cast<int>(now / std::chrono::seconds(1)), word, n);
}

static Coro<> test(Semaphore& semaphore, int n) {
  const rondo::SemaphoreGuard turn = co_await semaphore.scoped();
  say("hello", n);
  co_await rondo::sleep(1);
  say("world", n);
}

static Coro<> main_coroutine() {
  Semaphore semaphore(3);
  std::vector<Coro<>> tests;
  for (int n = 0; n < 5; ++n) tests.push_back(test(semaphore, n));
  co_await gather(std::move(tests));
}

int main() {
  rondo::Runner runner(std::make_unique<rondo::VirtualTimeLoop>());
  runner.run(main_coroutine());
}
