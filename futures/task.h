// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/future.h"
#include "futures/internal/task_state.h"
#include "futures/task_body.h"
#include "reactor/context.h"

namespace rondo {

/// How create_task() makes a task.
class TaskOptions {
 public:
  TaskOptions() = default;
  /// A name instead of `Task-7`.
  TaskOptions& name(std::string text) {
    name_ = std::move(text);
    return *this;
  }
  /// Runs the first step inside create_task(), as 3.12's eager tasks: one that
  /// does not wait is done when that returns.
  TaskOptions& eager_start(bool eager = true) {
    eager_start_ = eager;
    return *this;
  }
  /// Values of the context variables to begin with, instead of the maker's.
  TaskOptions& context(Context values) {
    context_ = std::move(values);
    return *this;
  }
  /// See name(). Empty: none.
  const std::string& name() const noexcept { return name_; }
  /// See eager_start().
  bool eager_start() const noexcept { return eager_start_; }
  /// See context().
  const std::optional<Context>& context() const noexcept { return context_; }

 private:
  std::string name_;
  std::optional<Context> context_;
  bool eager_start_ = false;
};

namespace detail {

/// What a task can do that a future cannot; Base is AnyFuture or Future<T>.
template <class Base>
class TaskMethods : public Base {
 public:
  using Base::Base;

  /// `Task-7`, or what set_name() said.
  std::string get_name() const { return task().name(); }
  /// Renames it.
  void set_name(std::string name) const { task().set_name(std::move(name)); }
  /// How many cancel() calls are not taken back by uncancel().
  unsigned cancelling() const noexcept { return task().cancelling(); }
  /// Takes one cancel() back from the count; returns how many are left. A
  /// CancelledError on its way comes nevertheless, as in 3.11 and 3.12.
  unsigned uncancel() const noexcept { return task().uncancel(); }
  /// What it waits for, or no future.
  AnyFuture get_awaited() const noexcept {
    FutureState* awaited = task().awaited();
    if (awaited == nullptr) return AnyFuture();
    awaited->add_reference();
    return AnyFuture(*awaited);
  }

 protected:
  TaskState& task() const noexcept {
    return *static_cast<TaskState*>(this->state_);
  }
};

}  // namespace detail

/// A Task of whatever type. See Task.
class AnyTask : public detail::TaskMethods<AnyFuture> {
 public:
  using TaskMethods::TaskMethods;
  /// Means no task.
  AnyTask() noexcept = default;

  /// Where it stands, outermost frame first; empty for a body that is no
  /// coroutine, and for a task that is done.
  std::vector<StackFrame> get_stack() const;
  /// The same as text, as asyncio's print_stack() prints it.
  std::string format_stack() const;
};

/// A TaskBody that runs on a loop, and the Future of what it gives.
///
/// The body's first step runs in the next pass, not inside create_task(). The
/// loop owns the task until it is done: dropping this value loses no work.
///
///     step():   runs the body until it waits for a future
///     wakeup(): is that future's done callback, and calls step() again
///
/// cancel() is a request: the body is thrown a CancelledError where it waits,
/// in a later pass, after what it waits for was cancelled too. It may clean
/// up, and it may refuse. If a request comes while it runs, or before its
/// first step, it is thrown at the next wait, or in place of the first step.
///
/// If the loop is closed before the task is done, its body is destroyed, the
/// exception handler is told "Task was destroyed but it is pending!", and the
/// task stays pending.
///
/// Source: asyncio.Task of CPython 3.11.
template <class T>
class Task : public detail::TaskMethods<Future<T>> {
 public:
  using detail::TaskMethods<Future<T>>::TaskMethods;
  /// Means no task.
  Task() noexcept = default;

  /// The same task without its type.
  operator AnyTask() const noexcept {  // NOLINT: a task is one
    this->state_->add_reference();
    return AnyTask(*this->state_);
  }
  /// See AnyTask.
  std::vector<StackFrame> get_stack() const {
    return AnyTask(*this).get_stack();
  }
  /// See AnyTask.
  std::string format_stack() const { return AnyTask(*this).format_stack(); }
};

namespace detail {

/// uncancel() for who made the cancel(): at zero, one that is not delivered yet
/// is taken back too, as 3.13's uncancel() does (gh-117407).
unsigned take_back_cancel(const AnyTask& task) noexcept;

/// Starts a task as `options` say.
void start_task(TaskState& task, const TaskOptions& options);

}  // namespace detail

/// Makes a task that runs `body`. Its first step runs in the next pass of
/// `loop`, behind what is queued already. Throws RuntimeError if the loop is
/// closed. One allocation, recycled.
template <class B>
  requires TaskBody<std::decay_t<B>>
auto create_task(EventLoop& loop, B&& body,
                 const TaskOptions& options = TaskOptions()) {
  using Body = std::decay_t<B>;
  auto* state = new detail::BodyTask<Body>(detail::LoopState::of(loop),
                                           detail::next_task_number(),
                                           std::forward<B>(body));
  Task<BodyResult<Body>> task(*state);
  detail::start_task(*state, options);
  return task;
}

/// The same on the running loop.
template <class B>
  requires TaskBody<std::decay_t<B>>
auto create_task(B&& body, const TaskOptions& options = TaskOptions()) {
  return create_task(get_running_loop(), std::forward<B>(body), options);
}

/// The task whose body is running on `loop` now, or none: in a plain callback.
AnyTask current_task(EventLoop& loop);
/// The same on the running loop.
AnyTask current_task();

/// All tasks of `loop` that are not done, oldest first.
std::vector<AnyTask> all_tasks(EventLoop& loop);
/// The same on the running loop.
std::vector<AnyTask> all_tasks();

}  // namespace rondo
