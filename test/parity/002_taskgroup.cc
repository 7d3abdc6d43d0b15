// SPDX-License-Identifier: MIT
// shows: TaskGroup waits for all its tasks
#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/task_group.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::sleep;
using rondo::Task;
using rondo::TaskGroup;
using rondo::with;

static Coro<int> test(int n) {
  print("start", n);
  co_await sleep(0);
  print("end", n);
  co_return n * 10;
}

static Coro<> main_function() {
  Task<int> task1, task2;
  TaskGroup group;  // its end waits for all its tasks
  const auto block = [&]() -> Coro<> {
    task1 = group.create_task(test(1));  // makes a task of a coroutine
    task2 = group.create_task(test(2));
    co_return;
  };
  co_await with(group, block());
  print(task1.result(), task2.result());
}

int main() { rondo::run(main_function()); }
