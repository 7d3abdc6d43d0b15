// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "futures/operation.h"
#include "reactor/clock.h"

namespace rondo {

/// What sleep() gives.
///
/// A cancel loses nothing: the timer is taken back. One timer and one future,
/// recycled; no allocation in steady state.
template <class T>
class [[nodiscard]] Sleep : public Operation<Sleep<T>, T> {
 public:
  /// For sleep().
  template <class... Result>
  explicit Sleep(Delay delay, Result&&... result)
      : delay_(delay.value()), result_{std::forward<Result>(result)...} {}
  Sleep(Sleep&&) = default;
  ~Sleep() {
    if (timer_) timer_.cancel();
  }

  /// See TaskBody.
  Step step(Resumption& resumption) {
    resumption.check();
    if (begun_) return Step::done();
    begun_ = true;
    if (delay_ <= Duration::zero()) return Step::yield();
    return wait(resumption.loop());
  }
  /// See TaskBody.
  T result() {
    if constexpr (!std::is_void_v<T>) return std::move(result_.value);
  }
  /// asyncio's name of it.
  static constexpr const char* kName = "sleep";
  /// It waits once and has nothing left to do then, so that a coroutine need
  /// not ask it again.
  static constexpr bool kWaitsOnce = true;

 private:
  // asyncio's futures._set_result_unless_cancelled.
  class Wake {
   public:
    explicit Wake(Future<void> f) noexcept : future_(std::move(f)) {}
    void operator()() const {
      if (!future_.done()) future_.set_result();
    }
    std::string description() const {
      return "_set_result_unless_cancelled(" + to_string(future_) + ")";
    }

   private:
    Future<void> future_;
  };
  // Not inline: a yield is then a few instructions.
  [[gnu::noinline]] Step wait(EventLoop& loop) {
    Future<void> awake(loop);
    timer_ = loop.call_later(delay_, Wake(awake));
    return Step::wait(awake);
  }

  struct Nothing {};
  struct Value {
    T value;
  };

  Duration delay_;
  TimerHandle timer_;
  bool begun_ = false;
  [[no_unique_address]] std::conditional_t<std::is_void_v<T>, Nothing, Value>
      result_;
};

/// Waits for `delay`: seconds, or any duration. Zero and less is one pass of
/// the loop without a timer: it lets the others run.
///
/// A template, so that sleep(1) after `using namespace rondo` is not sleep(3)
/// of <unistd.h>.
template <class D>
  requires std::convertible_to<D, Delay>
Sleep<void> sleep(D delay) {
  return Sleep<void>(delay);
}

/// The same, and gives `result`.
template <class D, class T>
  requires std::convertible_to<D, Delay>
Sleep<std::decay_t<T>> sleep(D delay, T&& result) {
  return Sleep<std::decay_t<T>>(delay, std::forward<T>(result));
}

}  // namespace rondo
