// SPDX-License-Identifier: MIT
//
// "Which task is stuck, and where?" A task that waits knows the file and line
// of each co_await it stands at, and each future knows who waits for it. So a
// program can print what all its tasks are doing: format_pstree() as a tree,
// print_call_graph() for one task, from the inside outwards. It costs nothing
// until it is asked for. PrintTasksOnSignal does it when a signal comes.
//
// New against 11: looking at tasks that wait, instead of being one.
//
// Expected output:
//   └── (T) Task-1
//       └──  main_coroutine <any>12_call_graph.cc:<line>
//           └──  with <any>with.h:<line>
//               └──  TaskGroup.__aexit__
//                   ├── (T) first
//                   │   └──  play <any>12_call_graph.cc:<line>
//                   │       └──  write_log <any>12_call_graph.cc:<line>
//                   │           └──  sleep
//                   └── (T) second
//                       └──  play <any>12_call_graph.cc:<line>
//                           └──  write_log <any>12_call_graph.cc:<line>
//                               └──  Lock.scoped
//
//   * Task(name='second', id=<address>)
//     + Call stack:
//     |   in async Lock.scoped()
//     |   File '<any>12_call_graph.cc', line <line>, in async write_log()
//     |   File '<any>12_call_graph.cc', line <line>, in async play()
//     + Awaited by:
//       * Task(name='Task-1', id=<address>)
//         + Call stack:
//         |   in async TaskGroup.__aexit__()
//         |   File '<any>with.h', line <line>, in async with()
//         |   File '<any>', line <line>, in async main_coroutine()

#include <cstdio>

#include "futures/call_graph.h"
#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/ps.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/lock.h"
#include "futures/task_group.h"

using rondo::Coro;
using rondo::Lock;
using rondo::TaskOptions;

static Coro<> write_log(Lock& log) {
  const rondo::LockGuard guard = co_await log.scoped();
  co_await rondo::sleep(0.05);
}

static Coro<> play(Lock& log) { co_await write_log(log); }

static Coro<> album(rondo::TaskGroup& group, Lock& log) {
  group.create_task(play(log), TaskOptions().name("first"));
  group.create_task(play(log), TaskOptions().name("second"));
  co_return;
}

static void look() {
  std::puts(rondo::format_pstree(rondo::get_running_loop()).c_str());
  for (const rondo::AnyTask& task : rondo::all_tasks()) {
    if (task.get_name() == "second") rondo::print_call_graph(task);
  }
}

static Coro<> main_coroutine() {
  rondo::get_running_loop().call_later(0.02, look);
  Lock log;
  rondo::TaskGroup group;
  co_await with(group, album(group, log));
}

int main() { rondo::run(main_coroutine()); }
