// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/exception_group.h"
#include "futures/internal/child_callback.h"
#include "futures/operation.h"
#include "reactor/callback.h"
#include "reactor/clock.h"

namespace rondo {

/// Begins one attempt of a race(): `[&] { return create_task(connect(a)); }`.
/// What it throws counts as the attempt's failure, but for SystemExit and
/// KeyboardInterrupt.
template <class T>
using Attempt = UniqueFunction<Future<T>()>;

namespace detail {

/// race() whatever the attempts' type.
class RaceBase : public ChildOwner {
 public:
  RaceBase(std::size_t attempts, std::optional<Duration> stagger) noexcept
      : attempts_(attempts), stagger_(stagger) {}
  RaceBase(RaceBase&& other) noexcept = default;  // before the first step
  ~RaceBase() override;

  void on_child_done(FutureState& child) override;
  FutureState* awaiter() const noexcept override { return task_; }
  const char* callback_name() const noexcept override {
    return "race.<locals>._on_completion";
  }

 protected:
  Step step_race(Resumption& resumption);
  /// Begins attempt `index`.
  virtual AnyFuture begin_attempt(std::size_t index) = 0;
  const AnyFuture& winner() const noexcept { return winner_; }

 private:
  struct WakesAtTheEnd;

  void begin_next();
  void add_child(const AnyFuture& attempt);
  void arm_next();
  void cancel_all();
  void wake_if_over() noexcept;

  std::size_t attempts_;
  std::optional<Duration> stagger_;
  struct Child {
    AnyFuture future;
    Handle callback;
  };
  std::vector<Child> children_;
  std::vector<std::exception_ptr> errors_;
  std::size_t begun_ = 0;
  std::size_t running_ = 0;
  AnyFuture winner_;
  std::exception_ptr cancelled_;
  TimerHandle timer_;
  Future<void> waiter_;
  TaskState* task_ = nullptr;
};

}  // namespace detail

/// What race() gives: an operation.
template <class T>
class [[nodiscard]] Race : public Operation<Race<T>, T>,
                           private detail::RaceBase {
 public:
  /// For race().
  Race(std::vector<Attempt<T>> attempts, std::optional<Duration> stagger)
      : RaceBase(attempts.size(), stagger), attempts_(std::move(attempts)) {}
  Race(Race&&) noexcept = default;

  /// See TaskBody.
  Step step(Resumption& resumption) { return step_race(resumption); }
  /// See TaskBody.
  T result() {
    winner().state()->add_reference();
    return Future<T>(*winner().state()).take_result();
  }
  /// Its name in a repr.
  static constexpr const char* kName = "race";

 private:
  AnyFuture begin_attempt(std::size_t index) override {
    return attempts_[index]();
  }

  std::vector<Attempt<T>> attempts_;
};

/// Tries one after the other, the next one as soon as `stagger` has passed or
/// an attempt has failed; gives the result of the first that succeeds, after
/// the others were cancelled and have ended. Throws an ExceptionGroup of their
/// exceptions, in the order in which they failed, if none does;
/// std::invalid_argument if there are no attempts.
///
/// A cancel cancels all attempts, and waits for them.
///
/// Source: asyncio.staggered.staggered_race; what is behind happy eyeballs
/// (RFC 8305).
template <class T>
Race<T> race(std::vector<Attempt<T>> attempts, Delay stagger) {
  return Race<T>(std::move(attempts), stagger.value());
}
/// The same with all attempts begun at once.
template <class T>
Race<T> race(std::vector<Attempt<T>> attempts) {
  return Race<T>(std::move(attempts), Duration::zero());
}

}  // namespace rondo
