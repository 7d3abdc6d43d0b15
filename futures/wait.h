// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/internal/child_callback.h"
#include "futures/internal/range.h"
#include "futures/operation.h"
#include "reactor/clock.h"

namespace rondo {

/// When wait() is over.
enum class ReturnWhen : std::uint8_t {
  kAllCompleted,    ///< All are done.
  kFirstCompleted,  ///< One is done.
  kFirstException,  ///< One has failed (not: was cancelled), or all are done.
};

/// How long to wait(), and for what.
class WaitOptions {
 public:
  WaitOptions() = default;
  /// Gives up after that; the futures go on.
  WaitOptions& timeout(Delay delay) {
    timeout_ = delay.value();
    return *this;
  }
  /// kAllCompleted unless set.
  WaitOptions& return_when(ReturnWhen when) noexcept {
    return_when_ = when;
    return *this;
  }
  /// See timeout(Delay).
  const std::optional<Duration>& timeout() const noexcept { return timeout_; }
  /// See return_when(ReturnWhen).
  ReturnWhen return_when() const noexcept { return return_when_; }

 private:
  std::optional<Duration> timeout_;
  ReturnWhen return_when_ = ReturnWhen::kAllCompleted;
};

/// What wait() gives: the futures, each in one of the two, in the order given.
template <class F>
class WaitResult {
 public:
  /// Neither done nor pending ones.
  WaitResult() = default;
  /// Those that are done.
  std::vector<F> done;
  /// The others.
  std::vector<F> pending;
};

namespace detail {

/// wait() whatever the futures' type.
class WaitBase : public ChildOwner {
 public:
  explicit WaitBase(const WaitOptions& options) noexcept : options_(options) {}
  WaitBase(WaitBase&& other) noexcept = default;  // before the first step
  ~WaitBase() override { stop(); }

  void on_child_done(FutureState& child) override;
  FutureState* awaiter() const noexcept override { return task_; }
  const char* callback_name() const noexcept override {
    return "_wait.<locals>._on_completion";
  }

 protected:
  /// The first of two steps. `futures` has each future once.
  Step begin(Resumption& resumption, const std::vector<AnyFuture>& futures);
  /// Takes the callbacks and the timer back.
  void stop() noexcept;

 private:
  struct Child {
    AnyFuture future;
    Handle callback;
  };
  WaitOptions options_;
  std::vector<Child> children_;
  std::size_t left_ = 0;
  Future<void> waiter_;
  TimerHandle timer_;
  FutureState* task_ = nullptr;
};

}  // namespace detail

/// What wait() gives: an operation.
template <class F>
class [[nodiscard]] Wait : public Operation<Wait<F>, WaitResult<F>>,
                           private detail::WaitBase {
 public:
  /// For wait().
  Wait(std::vector<F> futures, const WaitOptions& options)
      : WaitBase(options), futures_(std::move(futures)) {}
  Wait(Wait&&) noexcept = default;

  /// See TaskBody.
  Step step(Resumption& resumption) {
    if (!begun_) {
      resumption.check();
      begun_ = true;
      return begin(resumption, {futures_.begin(), futures_.end()});
    }
    stop();
    resumption.check();
    return Step::done();
  }
  /// See TaskBody.
  WaitResult<F> result() {
    WaitResult<F> result;
    for (F& future : futures_) {
      auto& list = future.done() ? result.done : result.pending;
      bool again = false;  // a set in asyncio
      for (const F& other : list) again |= other == future;
      if (!again) list.push_back(std::move(future));
    }
    return result;
  }
  /// asyncio's name of it.
  static constexpr const char* kName = "wait";

 private:
  std::vector<F> futures_;
  bool begun_ = false;
};

/// Waits until the first, or all, of `futures` are done, or the timeout is
/// over. Throws nothing of theirs and cancels none; a cancel of the wait
/// changes nothing for them. Throws std::invalid_argument if there are none.
///
/// `futures` is a range of Futures or Tasks of one type, or of AnyFuture.
///
/// Source: asyncio.wait of CPython 3.11.
template <detail::Range Awaitables>
  requires detail::kIsFuture<detail::RangeValue<Awaitables>>
Wait<detail::RangeValue<Awaitables>> wait(
    const Awaitables& futures, const WaitOptions& options = WaitOptions()) {
  using F = detail::RangeValue<Awaitables>;
  return Wait<F>(std::vector<F>(std::begin(futures), std::end(futures)),
                 options);
}
/// The same without a timeout.
template <detail::Range Awaitables>
  requires detail::kIsFuture<detail::RangeValue<Awaitables>>
Wait<detail::RangeValue<Awaitables>> wait(const Awaitables& futures,
                                          ReturnWhen return_when) {
  return rondo::wait(futures, WaitOptions().return_when(return_when));
}

}  // namespace rondo
