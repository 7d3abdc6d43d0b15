// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "futures/coro/frame.h"
#include "futures/future.h"
#include "futures/task_body.h"

// co_await on what can be awaited. An awaiter only asks and answers; all
// scheduling stays in Task.

namespace rondo {

template <class T>
class Coro;

namespace detail {

template <class T>
class Promise;

/// co_await future: parks the running task until `future` is done.
template <class FutureHandle>
class FutureAwaiter {
 public:
  FutureAwaiter(Frame& frame, FutureHandle future) noexcept
      : frame_(frame), future_(std::move(future)) {}

  bool await_ready() const noexcept { return future_.done(); }
  void await_suspend(std::coroutine_handle<>) const noexcept {
    frame_.stack->wait(*future_.state());
  }
  auto await_resume() {
    frame_.stack->resumption().check();
    if constexpr (requires { future_.take_result(); }) {
      return future_.take_result();
    } else {
      future_.state()->check_result();
    }
  }

 private:
  Frame& frame_;
  FutureHandle future_;
};

/// co_await coro: a call. Runs it in this task, as part of this step.
template <class T>
class CoroAwaiter : private ChildSlot {
 public:
  CoroAwaiter(Frame& frame, std::coroutine_handle<Promise<T>> handle) noexcept
      : ChildSlot(handle), frame_(frame) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    frame_.stack->push(promise(), *this);
  }
  T await_resume() {
    Promise<T>& ended = promise();
    if (ended.error != nullptr) {
      std::rethrow_exception(std::move(ended.error));
    }
    return ended.take();
  }

 private:
  Promise<T>& promise() const noexcept {
    return std::coroutine_handle<Promise<T>>::from_address(child.address())
        .promise();
  }

  Frame& frame_;
};

/// co_await operation: steps it in this task. One that need not wait does not
/// suspend. The operation is the caller's: a temporary lives in the frame until
/// the end of the co_await's full expression.
///
/// This is the one for an operation that waits once and has nothing left to do
/// then (Operation::kWaitsOnce): the wait over, it need not be stepped again.
template <class Operation>
class OnceAwaiter {
 public:
  OnceAwaiter(Frame& frame, Operation& operation) noexcept
      : frame_(frame), operation_(operation) {}

  bool await_ready() {
    Resumption& resumption = frame_.stack->resumption();
    // The analyzer does not see that the frame was started.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    resumption.next = operation_.step(resumption);
    return resumption.next.kind() == Step::Kind::kDone;
  }
  void await_suspend(std::coroutine_handle<>) const noexcept {
    frame_.stack->note_operation(&body_name<Operation>);
  }
  BodyResult<Operation> await_resume() {
    frame_.stack->resumption().check();
    return operation_.result();
  }

 private:
  Frame& frame_;
  Operation& operation_;
};

/// The one for any other operation.
template <class Operation>
class OperationAwaiter final : public AwaitedOperation {
 public:
  OperationAwaiter(Frame& frame, Operation& operation) noexcept
      : frame_(frame), operation_(operation) {}
  OperationAwaiter(const OperationAwaiter&) = delete;
  OperationAwaiter& operator=(const OperationAwaiter&) = delete;

  bool await_ready() {
    Resumption& resumption = frame_.stack->resumption();
    // The analyzer does not see that the frame was started.
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    resumption.next = operation_.step(resumption);
    return resumption.next.kind() == Step::Kind::kDone;
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    CoroStack& stack = *frame_.stack;
    stack.note_operation(&body_name<Operation>);
    stack.wait(*this);
  }
  BodyResult<Operation> await_resume() {
    frame_.stack->resumption().check();
    if (frame_.error != nullptr) {
      std::rethrow_exception(std::exchange(frame_.error, nullptr));
    }
    return operation_.result();
  }

 private:
  Step step(Resumption& resumption) override {
    try {
      return operation_.step(resumption);
    } catch (...) {
      frame_.error = std::current_exception();
      if (frame_.error == nullptr) throw;  // pthread_exit(3)
      return Step::done();
    }
  }

  Frame& frame_;
  Operation& operation_;
};

template <class T>
inline constexpr bool kIsCoro = false;
template <class T>
inline constexpr bool kIsCoro<Coro<T>> = true;

template <class T>
inline constexpr bool kAlwaysFalse = false;

template <class Awaitable>
auto make_awaiter(Frame& frame, Awaitable&& awaitable) {
  using Value = std::decay_t<Awaitable>;
  if constexpr (std::is_base_of_v<AnyFuture, Value>) {
    return FutureAwaiter<Value>(frame, std::forward<Awaitable>(awaitable));
  } else if constexpr (kIsCoro<Value>) {
    return CoroAwaiter<typename Value::value_type>(frame, awaitable.release());
  } else if constexpr (TaskBody<Value> && requires { Value::kWaitsOnce; }) {
    return OnceAwaiter<Value>(frame, awaitable);
  } else if constexpr (TaskBody<Value>) {
    return OperationAwaiter<Value>(frame, awaitable);
  } else {
    static_assert(kAlwaysFalse<Value>,
                  "co_await: this type cannot be awaited in a Coro; what can "
                  "is a Future, a Task, a Coro, or a TaskBody");
  }
}

}  // namespace detail
}  // namespace rondo
