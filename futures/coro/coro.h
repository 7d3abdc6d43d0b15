// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <exception>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/coro/awaiters.h"
#include "futures/coro/frame.h"
#include "futures/task.h"
#include "reactor/errors.h"

namespace rondo {

namespace detail {

template <class T>
class Promise;

}  // namespace detail

/// A coroutine: asyncio's `async def`. It is lazy: calling the function runs
/// nothing.
///
///     Coro<int> answer() {
///       co_await sleep(1);
///       co_return 42;
///     }
///
///     int n = run(answer());                    // at the top of a program
///     int n = co_await answer();                // like a call, in this task
///     Task<int> t = create_task(answer());      // beside this one
///
/// What can be awaited in it: a Future or a Task, another Coro, and the
/// library's operations (sleep(), Lock::acquire()...). Awaiting a Coro, or a
/// future that is done, does not go through the loop.
///
/// **g++ 12 destroys twice what is written inside a co_await expression as a
/// capturing lambda, a braced aggregate, or a `?:` of class values.** Give it a
/// statement of its own: `auto c = f(...); co_await c;`
///
/// Destroying one that never started logs "coroutine 'answer' was never
/// awaited". One allocation, of its frame, recycled.
template <class T = void>
class [[nodiscard]] Coro {
 public:
  /// For the compiler.
  using promise_type = detail::Promise<T>;
  /// What awaiting it gives.
  using value_type = T;

  /// Leaves `other` without a coroutine.
  Coro(Coro&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  /// Drops its own coroutine, and takes that of `other`.
  Coro& operator=(Coro&& other) noexcept {
    Coro taken(std::move(other));
    std::swap(handle_, taken.handle_);
    return *this;
  }
  ~Coro() {
    if (handle_ == nullptr) return;
    detail::report_never_awaited(handle_.promise().where);
    handle_.destroy();
  }

  /// Gives it up unstarted, without the report. Python's close().
  void close() noexcept {
    if (handle_ != nullptr) std::exchange(handle_, nullptr).destroy();
  }
  /// Whether it has not been awaited, made a task or closed yet.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  /// `<coroutine object say_hello at 0x7f...>`, as Python's repr.
  friend std::string to_string(const Coro& coro) {
    if (coro.handle_ == nullptr) return "<coroutine object, awaited>";
    return "<coroutine object " +
           detail::coroutine_name(coro.handle_.promise().where) + " at " +
           detail::address_text(coro.handle_.address()) + ">";
  }

  /// For the library: who takes it starts it. Throws RuntimeError("cannot
  /// reuse already awaited coroutine").
  std::coroutine_handle<promise_type> release() {
    if (handle_ == nullptr) {
      throw RuntimeError("cannot reuse already awaited coroutine");
    }
    return std::exchange(handle_, nullptr);
  }

 private:
  friend promise_type;
  explicit Coro(std::coroutine_handle<promise_type> handle) noexcept
      : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

/// What a promise gives the compiler, whatever the result's type.
class PromiseBase : public Frame {
 public:
  using Frame::Frame;

  std::suspend_always initial_suspend() const noexcept { return {}; }

  /// Back to the trampoline, which goes on with who awaits.
  class FinalAwaiter : public std::suspend_always {
   public:
    explicit FinalAwaiter(CoroStack& stack) noexcept : stack_(stack) {}
    void await_suspend(std::coroutine_handle<>) const noexcept { stack_.pop(); }

   private:
    CoroStack& stack_;
  };
  FinalAwaiter final_suspend() const noexcept { return FinalAwaiter(*stack); }

  void unhandled_exception() {
    error = std::current_exception();
    if (error == nullptr) throw;  // pthread_exit(3), which nobody may catch
  }

  /// A number for the line: an object, such as a std::source_location, would
  /// lie in the frame for each co_await in it.
  template <class Awaitable>
  auto await_transform(Awaitable&& awaitable,
                       unsigned at_line = __builtin_LINE()) {
    line = at_line;
    return make_awaiter(*this, std::forward<Awaitable>(awaitable));
  }
};

template <class T>
class Promise final : public PromiseBase {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): the compiler calls it
  Promise(std::source_location at = std::source_location::current()) noexcept
      : PromiseBase(at) {}
  ~Promise() {
    if (has_value_) value_.~T();
  }
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;

  Coro<T> get_return_object() noexcept {
    return Coro<T>(std::coroutine_handle<Promise>::from_promise(*this));
  }
  template <class V = T>
    requires std::constructible_from<T, V>
  void return_value(V&& value) {
    ::new (static_cast<void*>(&value_)) T(std::forward<V>(value));
    has_value_ = true;
  }
  T take() { return std::move(value_); }

 private:
  union {
    T value_;
  };
  bool has_value_ = false;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): the compiler calls it
  Promise(std::source_location at = std::source_location::current()) noexcept
      : PromiseBase(at) {}

  Coro<void> get_return_object() noexcept {
    return Coro<void>(std::coroutine_handle<Promise>::from_promise(*this));
  }
  void return_void() const noexcept {}
  void take() const noexcept {}
};

/// A task over a coroutine.
template <class T>
class CoroTask final : public WithValue<TaskState, T> {
  using Base = WithValue<TaskState, T>;

 public:
  /// Takes the coroutine. Leaves it if this throws.
  CoroTask(LoopState& home, std::uint64_t number, Coro<T>& coro)
      : Base(home, number) {
    const auto root = coro.release();
    where_ = root.promise().where;
    ::new (static_cast<void*>(&frames_)) CoroStack(root, root.promise());
    this->has_body_ = true;
  }
  ~CoroTask() override { CoroTask::drop_body(); }

  std::string body_description() const override {
    return coroutine_description(where_, this->done(),
                                 this->has_body_ ? &frames_ : nullptr);
  }
  std::vector<StackFrame> stack() const override {
    return this->has_body_ ? frames_.frames() : std::vector<StackFrame>();
  }
  std::string operation_name() const override {
    const bool waits = this->has_body_ && this->home_.current_task != this;
    return waits ? frames_.operation_name() : std::string();
  }

 private:
  Step advance(Resumption& resumption) override {
    return frames_.run(resumption);
  }
  void store_result() override {
    auto root = std::coroutine_handle<Promise<T>>::from_address(
        frames_.root().address());
    if constexpr (std::is_void_v<T>) {
      root.promise().take();
    } else {
      ::new (static_cast<void*>(&this->value)) T(root.promise().take());
    }
  }
  void drop_body() noexcept override {
    if (!this->has_body_) return;
    this->has_body_ = false;
    frames_.~CoroStack();
  }

  std::source_location where_;
  union {
    CoroStack frames_;
  };
};

/// Starts a task over a coroutine, with `options`.
template <class T>
Task<T> make_coro_task(EventLoop& loop, Coro<T>& coro,
                       const TaskOptions& options) {
  auto* state = new CoroTask<T>(LoopState::of(loop), next_task_number(), coro);
  Task<T> task(*state);
  start_task(*state, options);
  return task;
}

}  // namespace detail

/// Makes a task that runs `coro`, beginning in the next pass of `loop`. See
/// create_task() for bodies. Throws RuntimeError if the loop is closed.
template <class T>
Task<T> create_task(EventLoop& loop, Coro<T> coro,
                    const TaskOptions& options = TaskOptions()) {
  return detail::make_coro_task(loop, coro, options);
}

/// The same on the running loop.
template <class T>
Task<T> create_task(Coro<T> coro, const TaskOptions& options = TaskOptions()) {
  return detail::make_coro_task(get_running_loop(), coro, options);
}

}  // namespace rondo
