// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <exception>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"

namespace rondo {

class AnyFuture;
class AnyTask;

namespace detail {
class FutureState;
class TaskState;
}  // namespace detail

/// How a step of a TaskBody ended.
class Step {
 public:
  /// The body has come to its end; result() has what it gives.
  static Step done() noexcept { return Step(Kind::kDone, nullptr); }
  /// Run me again in the next pass: asyncio's sleep(0).
  static Step yield() noexcept { return Step(Kind::kYield, nullptr); }
  /// Run me again when `future` is done. The task keeps it from the end of
  /// this step until then; so it is not a temporary.
  static Step wait(const AnyFuture& future) noexcept;
  static Step wait(AnyFuture&& future) = delete;

  /// What the library looks at.
  enum class Kind : unsigned char { kDone, kYield, kWait, kFailed };
  /// For the library.
  Kind kind() const noexcept { return kind_; }
  /// For the library: what kWait waits for.
  detail::FutureState* future() const noexcept { return future_; }
  /// For the library: the body has failed with what Resumption::error() holds.
  static Step failed() noexcept { return Step(Kind::kFailed, nullptr); }
  /// For the library.
  static Step wait_state(detail::FutureState& future) noexcept {
    return Step(Kind::kWait, &future);
  }

 private:
  Step(Kind kind, detail::FutureState* future) noexcept
      : kind_(kind), future_(future) {}

  Kind kind_;
  detail::FutureState* future_;
};

/// What a TaskBody is told when it is run: by which task, and what its wait
/// has ended with.
class Resumption {
 public:
  /// For the library.
  Resumption(detail::TaskState& task, std::exception_ptr error) noexcept
      // NOLINTNEXTLINE(bugprone-throw-keyword-missing): thrown by check()
      : task_(task), error_(std::move(error)) {}
  Resumption(const Resumption&) = delete;
  Resumption& operator=(const Resumption&) = delete;

  /// Throws what is to be thrown where the body waits: CancelledError if its
  /// task was cancelled, or the exception of the future it waited for. To be
  /// called first, or the cancellation is swallowed.
  void check() {
    if (error_ != nullptr) rethrow();
  }
  /// The same as data: null if the wait went well.
  const std::exception_ptr& error() const noexcept { return error_; }
  /// The same, handed over: the body means to deal with it.
  std::exception_ptr take_error() noexcept {
    return std::exchange(error_, nullptr);
  }

  /// The loop that runs this.
  EventLoop& loop() const noexcept;
  /// The task that runs this.
  AnyTask task() const noexcept;
  /// For the library.
  detail::TaskState& task_state() const noexcept { return task_; }
  /// For the library: what a coroutine that suspends waits for; done: nothing.
  Step next = Step::done();
  /// For the library: what is to be thrown.
  void set_error(std::exception_ptr error) noexcept {
    error_ = std::move(error);
  }

 private:
  [[noreturn]] void rethrow();

  detail::TaskState& task_;
  std::exception_ptr error_;
};

/// What a Task drives: something with a step() that runs until it is done or
/// names what it waits for, and a result() that is then asked for once.
///
///     class Countdown {                        // 3, 2, 1 in three passes
///      public:
///       explicit Countdown(int from) : left_(from) {}
///       Step step(Resumption& resumption) {
///         resumption.check();
///         if (left_ == 0) return Step::done();
///         std::printf("%d\n", left_--);
///         return Step::yield();
///       }
///       void result() {}
///      private:
///       int left_;
///     };
///     Task<void> task = create_task(loop, Countdown(3));
///
/// What either throws is what the task fails with. A body is not stepped
/// again after it was done or threw; it is destroyed then. It may also be
/// destroyed while it waits, when its loop ends; so its destructor may not
/// throw. A coroutine is another body.
template <class B>
concept TaskBody = std::is_nothrow_destructible_v<B> &&
                   requires(B& body, Resumption& resumption) {
                     { body.step(resumption) } -> std::same_as<Step>;
                     body.result();
                   };

/// What a task over body B gives.
template <TaskBody B>
using BodyResult = decltype(std::declval<B&>().result());

/// Where a suspended task stands: a line of Task::get_stack().
struct StackFrame {
  /// Takes all three.
  StackFrame(std::string function, std::string path, unsigned number)
      : name(std::move(function)), file(std::move(path)), line(number) {}
  /// The coroutine's name.
  std::string name;
  /// Its source file.
  std::string file;
  /// The line of the co_await.
  unsigned line;
};

}  // namespace rondo
