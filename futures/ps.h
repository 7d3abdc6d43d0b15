// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdio>
#include <string>

#include "reactor/event_loop.h"

// What all tasks of a loop are doing, as text. What `python -m asyncio ps` and
// `pstree` do from outside of the process is done here from inside: when it is
// called for, or when a signal comes.

namespace rondo {

/// A line for each task of `loop` and each task that waits for it: the thread,
/// the task's address and name, where it stands, innermost first, and the same
/// of who waits. 180 columns and more; nothing is cut.
///
///     tid        task id              task name            coroutine stack ...
///     --------------------------------------------------------------------...
///     1935500    0x7fc930c18050       Task-1               TaskGroup.__aexit__
///     1935500    0x7fc930c18230       play                 sleep -> play   ...
///
/// Threading: on the loop's thread; from a callback, a task, or while the loop
///   does not run. Runs nothing of the user's.
///
/// Source: asyncio.tools.display_awaited_by_tasks_table of CPython 3.14.
std::string format_ps(EventLoop& loop);

/// The tasks of `loop` as a tree, from those for whom nobody waits down to
/// those that wait for no task; between them their coroutines:
///
///     └── (T) Task-1
///         └──  main example.cc:12
///             └──  TaskGroup.__aexit__
///                 ├── (T) Sundowning
///                 │   └──  play example.cc:7
///                 │       └──  sleep
///                 └── (T) TMBTE (shown above)
///
/// A task for whom several wait is under each of them; what it waits for, only
/// under the first. The lines are indented up to kTreeIndentMax levels.
///
/// Tasks that wait for each other in a circle make no tree. What is returned
/// then is a line that says so, and a line for each circle: `cycle: Task-2 →
/// Task-3 → Task-2`.
///
/// Threading: as format_ps().
///
/// Source: asyncio.tools.display_awaited_by_tasks_tree of CPython 3.14.
std::string format_pstree(EventLoop& loop);

/// How many levels the tree is indented. See kCallGraphIndentMax.
inline constexpr std::size_t kTreeIndentMax = 50;

/// While it lives, a signal has format_ps() and format_pstree() of a loop
/// printed:
///
///     PrintTasksOnSignal on_signal(loop);   // then: kill -USR1 1935500
///
/// They are printed by a callback, so a loop that hangs in one says nothing. A
/// failure to write is ignored.
///
/// The loop outlives it, though it may be closed. asyncio has no such thing:
/// it looks into the process from outside.
class PrintTasksOnSignal {
 public:
  /// Handles `signal_number`; `file` outlives this. Throws what
  /// EventLoop::add_signal_handler() throws.
  explicit PrintTasksOnSignal(EventLoop& loop, int signal_number = SIGUSR1,
                              std::FILE* file = stderr);
  PrintTasksOnSignal(const PrintTasksOnSignal&) = delete;
  PrintTasksOnSignal& operator=(const PrintTasksOnSignal&) = delete;
  /// Removes the signal's handler.
  ~PrintTasksOnSignal();

 private:
  EventLoop& loop_;
  const int signal_number_;
};

}  // namespace rondo
