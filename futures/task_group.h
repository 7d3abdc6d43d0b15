// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/exception_group.h"
#include "futures/internal/child_callback.h"
#include "futures/operation.h"

namespace rondo {

/// Tasks that end together: asyncio's `async with TaskGroup() as group:`.
///
///     TaskGroup group;
///     co_await with(group, block(group));   // which calls create_task()
///
/// Without coroutines: enter(), create_task()..., and exit() as an operation.
///
/// When one of them fails, the others are cancelled, the block too, and all
/// are waited for; exit() then throws an ExceptionGroup of what failed, in the
/// order in which it happened. A cancel from outside cancels them all, and
/// comes out as CancelledError unless something failed.
///
/// Lifetime: until exit() is done it stays where it is. Destroying it before
/// cancels its tasks and waits for none.
///
/// Source: asyncio.TaskGroup of CPython 3.15, which keeps the parent's count of
/// cancels right (gh-116720, gh-155433) and has cancel() (gh-155418).
class TaskGroup : private detail::ChildOwner {
 public:
  /// A group that nobody has entered.
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() override;

  /// The block begins, in the current task, which is the group's parent.
  /// Throws RuntimeError outside of a task, or the second time.
  void enter();

  /// Makes a task of the group. Throws RuntimeError if the group was not
  /// entered, has ended or is shutting down; then `awaitable` is dropped
  /// without a report.
  template <class Awaitable>
  auto create_task(Awaitable&& awaitable,
                   const TaskOptions& options = TaskOptions()) {
    try {
      check_open();
    } catch (...) {
      if constexpr (requires { awaitable.close(); }) awaitable.close();
      throw;
    }
    auto task = rondo::create_task(parent_.get_loop(),
                                   std::forward<Awaitable>(awaitable), options);
    add(task);
    return task;
  }

  /// Cancels its tasks and the block. That is no error: exit() throws nothing
  /// of it. No effect once it is shutting down or has ended.
  void cancel();

  class Exit;
  /// The block has ended, with `error` or with null. An operation: waits for
  /// all tasks, then throws what is to be thrown.
  Exit exit(std::exception_ptr error = nullptr);

  /// `<TaskGroup tasks=2 entered>`, as asyncio's repr.
  friend std::string to_string(const TaskGroup& group);

 private:
  struct Child {
    AnyTask task;
    Handle callback;
  };

  void check_open() const;
  void add(AnyTask task);
  void abort();
  void sweep();
  void on_child_done(detail::FutureState& child) override;
  detail::FutureState* awaiter() const noexcept override;
  const char* callback_name() const noexcept override {
    return "TaskGroup._on_task_done";
  }

  AnyTask parent_;
  std::vector<Child> children_;  // oldest first; some may be done
  std::size_t unfinished_ = 0;
  std::vector<std::exception_ptr> errors_;
  std::exception_ptr base_error_;
  Future<void> on_completed_;
  bool entered_ = false;
  bool exiting_ = false;
  bool aborting_ = false;
  bool parent_cancel_requested_ = false;
};

/// What TaskGroup::exit() gives: an operation. A cancel loses nothing: the
/// group's tasks are cancelled too, and waited for.
class [[nodiscard]] TaskGroup::Exit : public Operation<TaskGroup::Exit, void> {
 public:
  /// For TaskGroup::exit().
  Exit(TaskGroup& group, std::exception_ptr error) noexcept
      // NOLINTNEXTLINE(bugprone-throw-keyword-missing): thrown by end()
      : group_(group), error_(std::move(error)) {}
  Exit(Exit&&) noexcept = default;

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() const noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "TaskGroup.__aexit__";

 private:
  void begin();
  Step end();

  TaskGroup& group_;
  std::exception_ptr error_;      // of the block
  std::exception_ptr propagate_;  // a CancelledError to throw
  std::exception_ptr pending_;    // the last that came while it waited
  bool begun_ = false;
};

inline TaskGroup::Exit TaskGroup::exit(std::exception_ptr error) {
  return Exit(*this, std::move(error));
}

}  // namespace rondo
