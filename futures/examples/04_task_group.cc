// SPDX-License-Identifier: MIT
//
// A TaskGroup has tasks that end together. with(group, block) runs the block,
// which makes tasks of the group, and goes on when all of them have ended: no
// task outlives the lines that made it. When one fails, the others are
// cancelled; they may clean up, they are waited for, and then an ExceptionGroup
// is thrown, of what really failed.
//
// The block is a coroutine of its own, in place of Python's `async with`: a
// C++ destructor can neither wait nor change what is thrown. Here it is a
// lambda that captures by reference, called in a statement where it outlives
// the await.
//
// New against 03: a failure of one ends the others.
//
// Expected output:
//   start 1
//   start 2
//   end 1
//   end 2
//   10 20
//   slow: cancelled, cleans up
//   slow: has cleaned up
//   unhandled errors in a TaskGroup (1 sub-exception)
//     std::runtime_error('boom')

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/exception_group.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/task_group.h"

using rondo::Coro;
using rondo::Task;
using rondo::TaskGroup;

static Coro<int> test(int n) {
  std::printf("start %d\n", n);
  co_await rondo::sleep(0);
  std::printf("end %d\n", n);
  co_return n * 10;
}

static Coro<> slow() {
  std::exception_ptr cancelled;
  try {
    co_await rondo::sleep(3600);
  } catch (const rondo::CancelledError&) {
    std::puts("slow: cancelled, cleans up");
    cancelled = std::current_exception();
  }
  co_await rondo::sleep(0.05);  // no co_await in a catch: C++ forbids it
  std::puts("slow: has cleaned up");
  std::rethrow_exception(cancelled);
}

static Coro<> fail() {
  co_await rondo::sleep(0.05);
  throw std::runtime_error("boom");
}

static Coro<> main_coroutine() {
  Task<int> task1, task2;
  TaskGroup group;
  const auto block = [&]() -> Coro<> {
    task1 = group.create_task(test(1));
    task2 = group.create_task(test(2));
    co_return;
  };
  co_await with(group, block());
  std::printf("%d %d\n", task1.result(), task2.result());

  TaskGroup failing;
  const auto failing_block = [&]() -> Coro<> {
    failing.create_task(slow());
    failing.create_task(fail());
    co_return;
  };
  try {
    co_await with(failing, failing_block());
  } catch (const rondo::ExceptionGroup& errors) {
    std::puts(errors.what());
    for (const std::exception_ptr& error : errors.exceptions()) {
      std::printf("  %s\n", rondo::repr(error).c_str());
    }
  }
}

int main() { rondo::run(main_coroutine()); }
