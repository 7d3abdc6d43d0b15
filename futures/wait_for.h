// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "futures/internal/child_callback.h"
#include "futures/operation.h"
#include "futures/timeout.h"

namespace rondo {

namespace detail {

/// asyncio's _cancel_and_wait: cancels `future` and waits for its end, but
/// not by awaiting it, so that a second cancel of who waits gets through.
class CancelAndWait : private ChildOwner {
 public:
  explicit CancelAndWait(AnyFuture future) noexcept
      : future_(std::move(future)) {}
  ~CancelAndWait() override { stop(); }
  CancelAndWait(const CancelAndWait&) = delete;
  CancelAndWait& operator=(const CancelAndWait&) = delete;

  Step step(Resumption& resumption);

 private:
  void on_child_done(FutureState&) override {
    if (!waiter_.done()) waiter_.set_result();
  }
  FutureState* awaiter() const noexcept override { return task_; }
  const char* callback_name() const noexcept override {
    return "_release_waiter";
  }
  void stop() noexcept;

  AnyFuture future_;
  Handle callback_;
  Future<void> waiter_;
  FutureState* task_ = nullptr;
};

}  // namespace detail

/// What wait_for() gives: an operation. A is a Future, or an operation that it
/// runs inside the same task.
template <class A>
class [[nodiscard]] WaitFor : public Operation<WaitFor<A>, AwaitResult<A>> {
  using T = AwaitResult<A>;

 public:
  /// For wait_for().
  WaitFor(A awaitable, Duration delay)
      : awaitable_(std::move(awaitable)), delay_(delay) {}
  WaitFor(WaitFor&&) = default;

  /// See TaskBody.
  Step step(Resumption& resumption) {
    if (cancelling_) return wait_for_cancelled(resumption);
    if (!limit_) {
      resumption.check();
      if (delay_ <= Duration::zero()) {
        future_ = ensure_future(resumption.loop(), std::move(awaitable_));
        if (future_.done()) return Step::done();
        cancelling_ = std::make_unique<detail::CancelAndWait>(future_);
        return wait_for_cancelled(resumption);
      }
      limit_.emplace(delay_ == Duration::max()
                         ? std::optional<TimePoint>()
                         : saturating_add(resumption.loop().time(), delay_));
      limit_->enter();
    }
    return step_awaitable(resumption);
  }
  /// See TaskBody.
  T result() {
    if (cancelling_ && future_.state()->is_failed() &&
        is_cancelled_error(future_.state()->failure())) {
      throw TimeoutError();
    }
    if constexpr (detail::kIsFuture<A>) {
      return std::move(future_ ? future_ : awaitable_).take_result();
    } else {
      if (future_) return std::move(future_).take_result();
      return awaitable_.result();
    }
  }
  /// asyncio's name of it.
  static constexpr const char* kName = "wait_for";

 private:
  Step wait_for_cancelled(Resumption& resumption) {
    return cancelling_->step(resumption);
  }

  /// `async with timeout(delay): return await awaitable`.
  Step step_awaitable(Resumption& resumption) {
    std::exception_ptr error;
    try {
      if constexpr (detail::kIsFuture<A>) {
        if (!begun_ && !awaitable_.done()) {
          begun_ = true;
          return Step::wait(awaitable_);
        }
        resumption.check();
        awaitable_.state()->check_result();
      } else {
        const Step step = awaitable_.step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
      }
    } catch (...) {
      error = std::current_exception();
    }
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): step() made it
    error = limit_->exit(std::move(error));
    if (error != nullptr) std::rethrow_exception(std::move(error));
    return Step::done();
  }

  A awaitable_;
  const Duration delay_;
  bool begun_ = false;
  Future<T> future_;                                   // delay <= 0
  std::unique_ptr<detail::CancelAndWait> cancelling_;  // delay <= 0
  std::optional<Timeout> limit_;                       // delay > 0
};

/// Waits for `awaitable`, but not longer than `delay`: then cancels it, waits
/// for its end, and throws TimeoutError. If it ends with a result all the
/// same, or with another exception, that is what this gives. With a delay of
/// zero or less it is cancelled at once, unless it is a future that is done.
///
/// An operation runs inside the task that awaits this. Cancelling the wait
/// cancels `awaitable`, and is never hidden: neither by a result nor by the
/// timeout.
///
/// Source: asyncio.wait_for of CPython 3.12, which is built on timeout().
template <class A>
  requires(detail::kIsFuture<std::decay_t<A>> || TaskBody<std::decay_t<A>>)
WaitFor<std::decay_t<A>> wait_for(A&& awaitable, Delay delay) {
  return WaitFor<std::decay_t<A>>(std::forward<A>(awaitable), delay.value());
}

}  // namespace rondo
