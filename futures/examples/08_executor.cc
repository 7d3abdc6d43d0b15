// SPDX-License-Identifier: MIT
//
// What blocks, or computes for long, stops the loop and all that lives on it.
// Give it to a thread: run_in_executor() returns a Future of the result, and
// the loop goes on meanwhile. to_thread() is the same for a coroutine: one
// await, in a thread of the loop's default executor.
//
// A thread cannot be stopped. Cancelling the future prevents a call that no
// thread has begun; one that runs goes on, and its result is dropped.
//
// New against 07: a thread pool.
//
// Expected output:
//   the loop goes on: tick 1
//   the loop goes on: tick 2
//   read in a thread: 31 bytes
//   failed in a thread: no such file
//   to_thread() gave 42
//   begun: cancelled 1, finished 1; queued: cancelled 1, run 0

#include <atomic>
#include <cstdio>
#include <functional>
#include <latch>
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"

using namespace rondo;

// Stands for read(2) of a slow disk: it blocks until somebody lets it go on.
static std::string read_file(std::latch& disk) {
  disk.wait();
  return "what was on the disk, in a file";
}

static std::string read_missing_file() {
  throw std::runtime_error("no such file");
}

static int compute(int n) { return n * 2; }

static Coro<void> read_two(ThreadPool& pool) {
  EventLoop& loop = get_running_loop();
  std::latch disk(1);
  Future<std::string> text =
      run_in_executor(loop, pool, read_file, std::ref(disk));
  for (int tick = 1; tick <= 2; ++tick) {
    std::printf("the loop goes on: tick %d\n", tick);
    co_await rondo::sleep(0.001);
  }
  disk.count_down();
  const std::string read = co_await text;
  std::printf("read in a thread: %zu bytes\n", read.size());
  try {
    co_await run_in_executor(loop, pool, read_missing_file);
  } catch (const std::runtime_error& error) {
    std::printf("failed in a thread: %s\n", error.what());
  }
}

static Coro<void> cancel_two() {
  EventLoop& loop = get_running_loop();
  ThreadPool one(1);
  std::latch began(1), go_on(1);
  std::atomic<int> finished = 0, ran = 0;
  const auto work = [&] {
    began.count_down();
    go_on.wait();
    ++finished;
  };
  const auto wait_in_line = [&] { ++ran; };
  const Future<void> begun = run_in_executor(loop, one, work);
  const Future<void> queued = run_in_executor(loop, one, wait_in_line);
  began.wait();
  const bool first = begun.cancel();
  const bool second = queued.cancel();
  go_on.count_down();
  one.shutdown();
  std::printf(
      "begun: cancelled %d, finished %d; queued: cancelled %d, run %d\n", first,
      finished.load(), second, ran.load());
  co_return;
}

static Coro<void> example() {
  ThreadPool pool(4);
  co_await read_two(pool);
  const int answer = co_await to_thread(compute, 21);
  std::printf("to_thread() gave %d\n", answer);
  co_await cancel_two();
}

// run() waits for the default executor's threads before it returns.
int main() { run(example()); }
