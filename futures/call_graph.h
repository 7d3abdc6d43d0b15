// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "futures/future.h"

// Who waits for a future, and who for him, up to those for whom nobody waits:
// the stack trace of a program that consists of tasks.

namespace rondo {

/// One line of a call stack.
///
/// Source: asyncio.FrameCallGraphEntry of CPython 3.14, which has the frame
/// itself.
struct FrameCallGraphEntry {
  /// Of `function` in `path`, at `number`.
  FrameCallGraphEntry(std::string function, std::string path, unsigned number,
                      bool async)
      : name(std::move(function)),
        file(std::move(path)),
        line(number),
        is_async(async) {}
  /// The function's name, without its namespace: `main`, `Lock.acquire`.
  std::string name;
  /// Its source file. Empty for an operation, and for a hand-written body.
  std::string file;
  /// The line of its co_await; 0 where there is no file.
  unsigned line;
  /// Whether it is a coroutine, an operation or a task's body; else it is the
  /// plain function that captured the graph.
  bool is_async;
};

/// A future with those who wait for it.
///
/// Movable. Each future's awaiters are in the graph once: its size is that of
/// the program, whatever shape the waiting has, and a circle ends. (CPython
/// gives them again each time, and does not end.)
///
/// Source: asyncio.FutureCallGraph of CPython 3.14.
struct FutureCallGraph {
  /// What the awaiters of a future that comes again are replaced with.
  enum class Again : unsigned char {
    kNo,     ///< It comes for the first time, or nobody waits for it.
    kAbove,  ///< They are elsewhere in the graph, where it comes first.
    kCycle   ///< They lead back to where it came from: a deadlock.
  };

  /// Of a future for which nobody waits.
  explicit FutureCallGraph(AnyFuture of) : future(std::move(of)) {}
  /// Leaves the other without awaiters.
  FutureCallGraph(FutureCallGraph&&) noexcept = default;
  /// Drops what it had.
  FutureCallGraph& operator=(FutureCallGraph&&) noexcept = default;
  /// However deep it is, the stack does not grow.
  ~FutureCallGraph();

  /// The future, or task.
  AnyFuture future;
  /// Where a task stands, innermost first.
  std::vector<FrameCallGraphEntry> call_stack;
  /// Who waits for it, in the order in which they came to.
  std::vector<FutureCallGraph> awaited_by;
  /// Why `awaited_by` is empty although somebody waits for it.
  Again again = Again::kNo;
};

/// The graph as text: what format_call_graph() gives.
std::string to_string(const FutureCallGraph& graph);

/// Who waits for `future`.
///
/// Of each call stack at most |limit| entries are kept: of the outermost if it
/// is positive, of the innermost if it is negative. `where` is the innermost
/// entry if `future` is the current task; a function that is called for the
/// sake of others hands on its caller's (that is Python's `depth`).
///
/// Threading: on the thread of the future's loop. Nothing is kept for this
///   while the program runs; the capture looks at each callback of each future
///   on the way.
///
/// Source: asyncio.capture_call_graph of CPython 3.14.
FutureCallGraph capture_call_graph(
    const AnyFuture& future, std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());
/// The same of the current task of the running loop; nothing outside of one.
/// Throws RuntimeError if no loop runs.
std::optional<FutureCallGraph> capture_call_graph(
    std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());

/// The graph as text, without a newline at the end:
///
///     * Task(name='test', id=0x1039f0fe0)
///       + Call stack:
///       |   File 't2.cc', line 4, in async test()
///       + Awaited by:
///         * Task(name='Task-1', id=0x103a5e060)
///           + Call stack:
///           |   in async TaskGroup.__aexit__()
///           |   File 't2.cc', line 7, in async main()
///
/// It is indented up to kCallGraphIndentMax levels. Where awaiters stand
/// further up already, it says `+ Awaited by: (shown above)`, or `(cycle)`.
///
/// Source: asyncio.format_call_graph of CPython 3.14.
std::string format_call_graph(
    const AnyFuture& future, std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());
/// The same of the current task; empty outside of one. Throws RuntimeError if
/// no loop runs.
std::string format_call_graph(
    std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());

/// How many levels the text is indented: a chain of 100,000 tasks would be
/// gigabytes of spaces otherwise.
inline constexpr std::size_t kCallGraphIndentMax = 50;

/// Writes the text and a newline to `file`.
///
/// Source: asyncio.print_call_graph of CPython 3.14.
void print_call_graph(
    const AnyFuture& future, std::FILE* file = stdout,
    std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());
/// The same of the current task; only a newline outside of one. Throws
/// RuntimeError if no loop runs.
void print_call_graph(
    std::FILE* file = stdout, std::optional<int> limit = std::nullopt,
    std::source_location where = std::source_location::current());

namespace detail {

/// Where `task` stands, innermost first: its coroutines, and in front of them
/// the operation in which they wait.
std::vector<FrameCallGraphEntry> call_stack(const TaskState& task);
/// `0x1039f0fe0`: where the future is. Python's id().
std::string future_id(const FutureState& future);

}  // namespace detail
}  // namespace rondo
