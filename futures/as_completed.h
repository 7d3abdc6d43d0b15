// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/internal/child_callback.h"
#include "futures/internal/range.h"
#include "futures/operation.h"
#include "futures/sync/queue.h"
#include "reactor/clock.h"

namespace rondo {

namespace detail {

/// as_completed() whatever the futures' type.
class AsCompletedBase : public ChildOwner {
 public:
  AsCompletedBase() = default;
  AsCompletedBase(const AsCompletedBase&) = delete;
  AsCompletedBase& operator=(const AsCompletedBase&) = delete;
  ~AsCompletedBase() override;

  void on_child_done(FutureState& child) override;
  FutureState* awaiter() const noexcept override { return task_.state(); }
  const char* callback_name() const noexcept override {
    return "as_completed.<locals>._on_completion";
  }

 protected:
  /// One more, unless it is there already.
  void add(const AnyFuture& future);
  /// All are there.
  void begin(EventLoop& loop, std::optional<Duration> timeout);

  Queue<AnyFuture> done_;      // no future: the time is over
  std::size_t not_asked_ = 0;  // for how many next() was not called yet
  AnyFuture task_;             // who waits

 private:
  struct Child {
    AnyFuture future;
    Handle callback;
  };
  void on_timeout();

  std::vector<Child> todo_;
  std::size_t todo_count_ = 0;
  TimerHandle timer_;
};

}  // namespace detail

/// Futures in the order in which they are done. What as_completed() gives.
///
///     auto completed = as_completed(std::move(downloads), 30s);
///     while (completed.has_next()) {
///       Page page = co_await completed.next();
///     }
///
/// Lifetime: outlives its next() operations, and stays where it is. Destroying
/// it changes nothing for the futures.
template <class T>
class AsCompleted : private detail::AsCompletedBase {
 public:
  class Next;

  /// For as_completed().
  template <class R>
  AsCompleted(EventLoop& loop, R&& awaitables,
              std::optional<Duration> timeout) {
    for (auto&& awaitable : awaitables) {
      if constexpr (std::is_lvalue_reference_v<R>) {
        add(ensure_future(loop, awaitable));
      } else {
        add(ensure_future(loop, std::move(awaitable)));
      }
    }
    begin(loop, timeout);
  }

  /// Whether next() was not yet called for each future.
  bool has_next() const noexcept { return not_asked_ > 0; }
  /// The result of the next one that is done; throws its exception, or
  /// TimeoutError once the time is over. An operation; a cancel loses nothing,
  /// but counts as asked for: the result waits for one more next().
  Next next() noexcept {
    if (not_asked_ > 0) --not_asked_;
    return Next(*this);
  }
};

/// What AsCompleted::next() gives.
template <class T>
class [[nodiscard]] AsCompleted<T>::Next
    : public Operation<typename AsCompleted<T>::Next, T> {
 public:
  /// For AsCompleted::next().
  explicit Next(AsCompleted& owner) noexcept
      : owner_(owner), get_(owner.done_.get()) {}
  Next(Next&&) = default;
  ~Next() { stop(); }

  /// See TaskBody.
  Step step(Resumption& resumption) {
    owner_.task_ = resumption.task();
    waits_ = true;
    const Step step = get_.step(resumption);
    if (step.kind() == Step::Kind::kDone) stop();
    return step;
  }
  /// See TaskBody.
  T result() {
    const AnyFuture future = get_.result();
    if (!future) throw TimeoutError();
    future.state()->add_reference();
    return Future<T>(*future.state()).take_result();
  }
  /// asyncio's name of it.
  static constexpr const char* kName = "as_completed.<locals>._wait_for_one";

 private:
  void stop() noexcept {
    if (std::exchange(waits_, false)) owner_.task_ = AnyFuture();
  }

  AsCompleted& owner_;
  Queue<AnyFuture>::Get get_;
  bool waits_ = false;
};

/// Runs all of `awaitables`, a range, beside each other; what is not a future
/// is made a task. Gives them in the order in which they are done. When the
/// timeout is over, nothing is cancelled.
///
/// Source: asyncio.as_completed of CPython 3.11.
template <detail::Range Awaitables>
AsCompleted<AwaitResult<detail::RangeValue<Awaitables>>> as_completed(
    Awaitables&& awaitables) {
  return AsCompleted<AwaitResult<detail::RangeValue<Awaitables>>>(
      get_running_loop(), std::forward<Awaitables>(awaitables), std::nullopt);
}
/// The same with a timeout for all of them.
template <detail::Range Awaitables>
AsCompleted<AwaitResult<detail::RangeValue<Awaitables>>> as_completed(
    Awaitables&& awaitables, Delay timeout) {
  return AsCompleted<AwaitResult<detail::RangeValue<Awaitables>>>(
      get_running_loop(), std::forward<Awaitables>(awaitables),
      timeout.value());
}

}  // namespace rondo
