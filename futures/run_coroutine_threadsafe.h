// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/concurrent_future.h"
#include "futures/future.h"
#include "futures/internal/future_link.h"
#include "futures/operation.h"
#include "futures/wrap_future.h"
#include "reactor/errors.h"
#include "reactor/remote_queue.h"

namespace rondo {

namespace detail {

/// The end of a ConcurrentFuture that a loop is to bring about. If it is
/// dropped before, whoever waits is told that the loop has closed.
template <class T>
class OwedResult {
 public:
  explicit OwedResult(ConcurrentFuture<T> future) noexcept
      : future_(std::move(future)), owed_(true) {}
  OwedResult(OwedResult&& other) noexcept
      : future_(other.future_), owed_(std::exchange(other.owed_, false)) {}
  OwedResult& operator=(OwedResult&&) = delete;
  ~OwedResult() {
    if (!owed_) return;
    try {
      fail(std::make_exception_ptr(RuntimeError("Event loop is closed")));
    } catch (...) {
      // It was cancelled at this very moment: whoever waits knows.
    }
  }

  /// asyncio's _set_concurrent_future_state().
  void copy(const Future<T>& source) {
    owed_ = false;
    if (source.cancelled()) future_.cancel();
    if (!future_.set_running_or_notify_cancel()) {
      if (!source.cancelled()) source.exception();  // nobody else will ask
      return;
    }
    if (std::exception_ptr error = source.exception()) {
      future_.set_exception(std::move(error));
    } else if constexpr (std::is_void_v<T>) {
      future_.set_result();
    } else {
      future_.set_result(source.take_result());
    }
  }
  /// No task could be made.
  void fail(std::exception_ptr error) {
    owed_ = false;
    if (future_.set_running_or_notify_cancel()) {
      future_.set_exception(std::move(error));
    }
  }
  const ConcurrentFuture<T>& future() const noexcept { return future_; }

 private:
  ConcurrentFuture<T> future_;
  bool owed_;
};

/// The task's done callback.
template <class T>
class CopyResult {
 public:
  explicit CopyResult(OwedResult<T> owed) noexcept : owed_(std::move(owed)) {}
  void operator()(const Future<T>& task) { owed_.copy(task); }
  /// As asyncio's.
  std::string description() const {
    return "_chain_future.<locals>._call_set_state()";
  }

 private:
  OwedResult<T> owed_;
};

/// On the loop: makes the task, and ties it to the future.
template <class Awaitable, class T>
void start_for_thread(EventLoop& loop, Awaitable& awaitable,
                      OwedResult<T>& owed) {
  try {
    const ConcurrentFuture<T> future = owed.future();
    Future<T> task = ensure_future(loop, std::move(awaitable));
    // A cancel of the future travels to the task...
    LinkAbroad link(std::make_shared<FutureLink>(*task.state()));
    // ...and what the task ends with, to the future.
    task.add_done_callback(CopyResult<T>(std::move(owed)));
    future.add_done_callback(
        [link = std::move(link)](const ConcurrentFuture<T>& ended) mutable {
          if (!ended.cancelled()) return;
          link.post([](FutureLink& home) {
            if (FutureState* state = home.take()) {
              const AnyFuture cancelled(*state);
              cancelled.cancel();
            }
          });
        });
  } catch (...) {
    owed.fail(std::current_exception());
    throw;
  }
}

/// What a task over `Awaitable` gives.
template <class Awaitable>
struct TaskResult {
  using type = typename Awaitable::value_type;
};
template <TaskBody Body>
struct TaskResult<Body> {
  using type = BodyResult<Body>;
};

/// What travels to the loop.
template <class Awaitable>
class StartForThread {
 public:
  using Result = typename TaskResult<Awaitable>::type;

  template <class A>
  StartForThread(A&& awaitable, const ConcurrentFuture<Result>& future)
      : awaitable_(std::forward<A>(awaitable)), owed_(future) {}
  void operator()() { start_for_thread(get_running_loop(), awaitable_, owed_); }

 private:
  Awaitable awaitable_;
  OwedResult<Result> owed_;
};

}  // namespace detail

/// Has `loop`, which runs on another thread, make a task of `awaitable`, and
/// gives this thread a future of its result, for which it may wait:
///
///     ConcurrentFuture<int> f = run_coroutine_threadsafe(loop, answer());
///     int n = f.result(5s);
///
/// `awaitable` is a coroutine, an operation (sleep(1)), or another TaskBody;
/// it is moved to the loop, first run there, and destroyed there. Cancelling
/// the future cancels the task.
///
/// If the loop is closed before the task is done, the future ends with
/// RuntimeError("Event loop is closed"); in asyncio it never would. Throws
/// that if the loop is closed already.
///
/// Threading: any thread, while the loop exists. On the loop's own thread, to
///   wait for the result would be to wait for ever.
///
/// Source: asyncio.run_coroutine_threadsafe of CPython 3.11, where the loop
/// comes last.
template <class Awaitable>
auto run_coroutine_threadsafe(EventLoop& loop, Awaitable&& awaitable) {
  using A = std::decay_t<Awaitable>;
  static_assert(!detail::kIsFuture<A>,
                "A coroutine object is required: a future belongs to the "
                "thread of its loop");
  using Start = detail::StartForThread<A>;
  const ConcurrentFuture<typename Start::Result> future;
  loop.call_soon_threadsafe(Start(std::forward<Awaitable>(awaitable), future));
  return future;
}

/// The same for a thread that may outlive the loop: `remote` is what
/// loop.remote_queue() gives.
template <class Awaitable>
auto run_coroutine_threadsafe(RemoteQueue& remote, Awaitable&& awaitable) {
  using A = std::decay_t<Awaitable>;
  static_assert(!detail::kIsFuture<A>,
                "A coroutine object is required: a future belongs to the "
                "thread of its loop");
  using Start = detail::StartForThread<A>;
  const ConcurrentFuture<typename Start::Result> future;
  if (!remote.post(Start(std::forward<Awaitable>(awaitable), future))) {
    throw RuntimeError("Event loop is closed");
  }
  return future;
}

}  // namespace rondo
