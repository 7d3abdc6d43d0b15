// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "futures/future.h"
#include "futures/internal/future_link.h"
#include "futures/operation.h"
#include "reactor/clock.h"
#include "reactor/context.h"
#include "reactor/thread_pool.h"

namespace rondo {

namespace detail {

/// A function and its arguments, to be called once: both are moved into the
/// call.
template <class F, class... Args>
class OneCall {
 public:
  /// What calling it gives.
  using Result = std::remove_cvref_t<std::invoke_result_t<F, Args...>>;

  template <class G, class... Values>
  explicit OneCall(std::in_place_t, G&& function, Values&&... arguments)
      : function_(std::forward<G>(function)),
        arguments_(std::forward<Values>(arguments)...) {}

  decltype(auto) operator()() {
    return std::apply(
        [this](Args&... arguments) -> decltype(auto) {
          return std::invoke(std::move(function_), std::move(arguments)...);
        },
        arguments_);
  }

 private:
  F function_;
  std::tuple<Args...> arguments_;
};

template <class F, class... Args>
auto one_call(F&& function, Args&&... arguments) {
  return OneCall<std::decay_t<F>, std::decay_t<Args>...>(
      std::in_place, std::forward<F>(function),
      std::forward<Args>(arguments)...);
}

template <class F, class... Args>
using CallResult =
    typename OneCall<std::decay_t<F>, std::decay_t<Args>...>::Result;

/// A call in a copy of the context that is current when it is made.
template <class Call>
class CallInContext {
 public:
  using Result = typename Call::Result;

  explicit CallInContext(Call call)
      : context_(copy_context()), call_(std::move(call)) {}
  decltype(auto) operator()() { return context_.run(call_); }

 private:
  Context context_;
  Call call_;
};

/// Where the thread leaves what the call gave.
template <class R>
class ExecutorLink : public FutureLink {
 public:
  using FutureLink::FutureLink;
  std::optional<R> value;
};
template <>
class ExecutorLink<void> : public FutureLink {
 public:
  using FutureLink::FutureLink;
};

/// The job's captures go, unless it has begun; and its result will find
/// nobody.
void take_call_back(FutureLink& link, ThreadPool::Ticket& ticket) noexcept;

/// The future of a call that a thread makes.
template <class R>
class ExecutorFuture final : public WithValue<FutureState, R> {
 public:
  using WithValue<FutureState, R>::WithValue;

  /// Takes a call back that no thread has begun. One that runs goes on.
  bool cancel(const std::exception_ptr& error) override {
    if (!this->cancel_pending(error)) return false;
    this->add_reference();  // the link's may be the last
    if (const auto held = link.lock()) take_call_back(*held, ticket);
    this->release();
    return true;
  }

  /// The job's, and its completion's: the value is nobody else's.
  std::weak_ptr<ExecutorLink<R>> link;
  ThreadPool::Ticket ticket;
};

/// On the loop, when the thread is done: asyncio's _copy_future_state().
template <class R>
void settle_call(ExecutorLink<R>& link, std::exception_ptr error) {
  FutureState* state = link.take();
  if (state == nullptr) return;  // cancelled, or the loop has closed
  const Future<R> future(*state);
  if (future.done()) return;  // somebody else had an answer
  if (error == nullptr) {
    try {
      if constexpr (std::is_void_v<R>) {
        future.set_result();
      } else {
        // It is done, so it is there.  NOLINTNEXTLINE(bugprone-unchecked-*)
        future.set_result(std::move(*link.value));
      }
      return;
    } catch (...) {
      error = std::current_exception();
    }
  }
  future.set_exception(std::move(error));
}

/// The loop's default executor, made if it is not there yet. Throws
/// RuntimeError after shutdown_default_executor().
ThreadPool& default_executor(EventLoop& loop);

template <class Call>
Future<typename Call::Result> submit_call(EventLoop& loop, ThreadPool& pool,
                                          Call call) {
  using R = typename Call::Result;
  static_assert(!std::is_base_of_v<AnyFuture, R>,
                "run_in_executor: a future belongs to the thread of its loop "
                "and cannot come from another one");
  auto* state = new ExecutorFuture<R>(LoopState::of(loop));
  Future<R> future(*state);
  auto link = std::make_shared<ExecutorLink<R>>(*state);
  state->link = link;
  try {
    state->ticket = pool.submit(
        loop,
        [link, call = std::move(call)]() mutable {
          if constexpr (std::is_void_v<R>) {
            static_cast<void>(call());
          } else {
            link->value.emplace(call());
          }
        },
        [link](std::exception_ptr error) {
          settle_call(*link, std::move(error));
        });
  } catch (...) {
    link->drop();
    throw;
  }
  return future;
}

}  // namespace detail

/// Calls `function(arguments...)` on a thread of `pool`, and gives a future of
/// its result. With nullptr, the pool is the loop's default executor: of up
/// to min(32, processors + 4) threads, made when it is first used.
///
///     Future<std::string> text = run_in_executor(loop, nullptr, read_file, p);
///
/// Function and arguments are copied or moved to the thread, and into the
/// call; for a reference use std::ref, and see that it lives long enough. What
/// the function throws is the future's exception.
///
/// Cancelling the future prevents a call that no thread has begun. One that
/// runs goes on, and its result is dropped: then all that is cancelled is the
/// wait. If the loop closes before, the future stays pending, and what the
/// call gives is destroyed on its thread.
///
/// Throws RuntimeError if the loop is closed, or the pool, or the default
/// executor is shut down; what ThreadPool::submit() throws if there is no
/// thread to be had. Context variables stay behind: see to_thread().
///
/// Source: asyncio.loop.run_in_executor of CPython 3.11.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
Future<detail::CallResult<F, Args...>> run_in_executor(EventLoop& loop,
                                                       ThreadPool* pool,
                                                       F&& function,
                                                       Args&&... arguments) {
  detail::LoopAccess::check_usable(loop);
  return detail::submit_call(
      loop, pool != nullptr ? *pool : detail::default_executor(loop),
      detail::one_call(std::forward<F>(function),
                       std::forward<Args>(arguments)...));
}

/// The same with a pool that is there.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
Future<detail::CallResult<F, Args...>> run_in_executor(EventLoop& loop,
                                                       ThreadPool& pool,
                                                       F&& function,
                                                       Args&&... arguments) {
  return run_in_executor(loop, &pool, std::forward<F>(function),
                         std::forward<Args>(arguments)...);
}

/// The same on the running loop.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
Future<detail::CallResult<F, Args...>> run_in_executor(ThreadPool* pool,
                                                       F&& function,
                                                       Args&&... arguments) {
  return run_in_executor(get_running_loop(), pool, std::forward<F>(function),
                         std::forward<Args>(arguments)...);
}

/// What to_thread() gives.
///
/// A cancel is as that of run_in_executor()'s future: nothing is lost but the
/// result of a call that runs already.
template <class F, class... Args>
class [[nodiscard]] ToThread
    : public Operation<ToThread<F, Args...>,
                       typename detail::OneCall<F, Args...>::Result> {
  using Call = detail::OneCall<F, Args...>;
  using R = typename Call::Result;

 public:
  /// For to_thread().
  template <class G, class... Values>
  explicit ToThread(std::in_place_t, G&& function, Values&&... arguments)
      : call_(std::in_place, std::forward<G>(function),
              std::forward<Values>(arguments)...) {}
  ToThread(ToThread&&) = default;
  ~ToThread() {
    if (future_ && !future_.done()) future_.cancel();
  }

  /// See TaskBody.
  Step step(Resumption& resumption) {
    resumption.check();
    if (future_) return Step::done();
    EventLoop& loop = resumption.loop();
    future_ = detail::submit_call(loop, detail::default_executor(loop),
                                  detail::CallInContext(std::move(call_)));
    return Step::wait(future_);
  }
  /// See TaskBody.
  R result() { return future_.take_result(); }
  /// asyncio's name of it.
  static constexpr const char* kName = "to_thread";

 private:
  Call call_;
  Future<R> future_;
};

/// Calls `function(arguments...)` on a thread of the running loop's default
/// executor, in a copy of the context of the task that awaits it, and gives
/// its result.
///
///     std::string text = co_await to_thread(read_file, path);
///
/// See run_in_executor() for what is copied, thrown and cancelled.
///
/// Source: asyncio.to_thread of CPython 3.11.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>, std::decay_t<Args>...>
ToThread<std::decay_t<F>, std::decay_t<Args>...> to_thread(
    F&& function, Args&&... arguments) {
  return ToThread<std::decay_t<F>, std::decay_t<Args>...>(
      std::in_place, std::forward<F>(function),
      std::forward<Args>(arguments)...);
}

/// Makes `pool` the executor that nullptr stands for. The one before, if any,
/// is dropped: it finishes what it has. Throws std::invalid_argument for null.
///
/// Source: asyncio.loop.set_default_executor.
void set_default_executor(EventLoop& loop, std::shared_ptr<ThreadPool> pool);

/// What shutdown_default_executor() gives.
///
/// A cancel ends the wait only: the threads end by themselves.
class [[nodiscard]] ShutdownDefaultExecutor
    : public Operation<ShutdownDefaultExecutor, void> {
 public:
  /// For shutdown_default_executor().
  ShutdownDefaultExecutor(EventLoop& loop, Duration timeout) noexcept
      : loop_(&loop), timeout_(timeout) {}
  ShutdownDefaultExecutor(ShutdownDefaultExecutor&&) = default;
  ~ShutdownDefaultExecutor();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "shutdown_default_executor";

 private:
  EventLoop* loop_;
  Duration timeout_;
  std::unique_ptr<ThreadPool> joiner_;  // one thread, which waits for others
  Future<bool> ended_;
};

/// Refuses further calls to the loop's default executor, and waits, with the
/// loop running on, until its threads have done what they have and ended. If
/// they have not within `timeout`, of real time, that is logged, and they go
/// on by themselves. Throws std::system_error if there is no thread to be had
/// that could wait.
///
/// run() does this at its end.
///
/// Source: asyncio.loop.shutdown_default_executor of CPython 3.11; the timeout
/// is 3.12's.
ShutdownDefaultExecutor shutdown_default_executor(
    EventLoop& loop, Duration timeout = Duration::max());
/// The same on the running loop.
ShutdownDefaultExecutor shutdown_default_executor();

}  // namespace rondo
