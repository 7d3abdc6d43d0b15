// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/operation.h"
#include "futures/sync/internal/waiter.h"
#include "futures/sync/lock.h"

namespace rondo {

/// Waits, with a lock held, for others to say that something has changed.
///
///     LockGuard guard = co_await changed.scoped();
///     while (items.empty()) co_await changed.wait();
///
/// Threading: belongs to the loop of the first task that waits for it; see
///   Lock.
/// Lifetime: outlives those who hold its lock. Those who wait when it is
///   destroyed get RuntimeError("Condition was destroyed"), or the lock's.
/// Cost: wait() takes a future, and a second one if the lock is not free when
///   it is woken; both are recycled.
///
/// Source: asyncio.Condition of CPython 3.11, with 3.13's cure for
/// notifications and messages lost in a cancel (gh-112202, gh-111693).
class Condition {
 public:
  class Wait;
  template <class Predicate>
  class WaitFor;

  /// With a lock of its own.
  Condition() noexcept : lock_(own_lock_) {}
  /// With `lock`, which others may use too, and which outlives it.
  explicit Condition(Lock& lock) noexcept : lock_(lock) {}
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  ~Condition() = default;

  /// The lock's; see Lock.
  bool locked() const noexcept { return lock_.locked(); }
  /// The lock's; see Lock.
  Lock::Acquire acquire() noexcept { return lock_.acquire(); }
  /// The lock's; see Lock.
  Lock::Scoped scoped() noexcept { return lock_.scoped(); }
  /// The lock's; see Lock.
  void release() { lock_.release(); }

  /// Releases the lock, waits for notify(), and acquires the lock again. When
  /// it ends, with or without an error, the lock is held: a cancel is thrown
  /// only then, and those that come meanwhile with it. (Not if it is destroyed
  /// while it waits, nor if std::bad_alloc comes in the acquiring.)
  ///
  /// May end without a notify(): callers check what they wait for, or use
  /// wait_for(). A cancel loses no notification: somebody else gets it.
  ///
  /// Throws RuntimeError("cannot wait on un-acquired lock").
  Wait wait() noexcept;

  /// Waits until `predicate()` is true, and gives what it returned. It is
  /// called with the lock held: at once, and after each notification.
  template <std::invocable Predicate>
  WaitFor<std::decay_t<Predicate>> wait_for(Predicate&& predicate) {
    return WaitFor<std::decay_t<Predicate>>(*this,
                                            std::forward<Predicate>(predicate));
  }

  /// Wakes the first `count` that wait; they go on one after the other, as
  /// they get the lock. Throws RuntimeError("cannot notify on un-acquired
  /// lock").
  void notify(std::size_t count = 1);
  /// Wakes all that wait.
  void notify_all() { notify(waiters_.size()); }

  /// `<Condition object at 0x7f5c1e3a2b10 [locked, waiters:1]>`, as asyncio's
  /// repr.
  friend std::string to_string(const Condition& condition);

 private:
  friend class Barrier;

  void wake_up(std::size_t count);

  Lock own_lock_;
  Lock& lock_;
  detail::LoopBinding binding_;
  detail::WaiterList acquiring_{"Condition"};  // woken, and want the lock
  detail::WaiterList waiters_{"Condition"};
};

/// What Condition::wait() gives.
class [[nodiscard]] Condition::Wait : public Operation<Condition::Wait, void> {
 public:
  /// For Condition::wait().
  explicit Wait(Condition& condition) noexcept : condition_(&condition) {}
  Wait(Wait&&) noexcept = default;
  /// Leaves without the lock, and passes on a notification that it was given.
  ~Wait();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Condition.wait";

 private:
  Step begin(Resumption& resumption);
  Step acquire_again(Resumption& resumption);

  Condition* condition_;
  detail::Waiter waiter_;
  std::optional<Lock::Acquire> acquire_;  // when woken
  std::uint64_t hold_ = 0;                // what is to be acquired again
  std::exception_ptr error_;              // to be thrown when it has the lock
};

/// What Condition::wait_for() gives.
template <class Predicate>
class [[nodiscard]] Condition::WaitFor
    : public Operation<Condition::WaitFor<Predicate>,
                       std::decay_t<std::invoke_result_t<Predicate&>>> {
  using Value = std::decay_t<std::invoke_result_t<Predicate&>>;

 public:
  /// For Condition::wait_for().
  template <class P>
  WaitFor(Condition& condition, P&& predicate)
      : condition_(&condition), predicate_(std::forward<P>(predicate)) {}

  /// See TaskBody.
  Step step(Resumption& resumption) {
    if (!wait_.has_value()) {
      resumption.check();
    } else if (const Step step = wait_->step(resumption);
               step.kind() != Step::Kind::kDone) {
      return step;
    }
    value_.emplace(std::invoke(predicate_));
    if (static_cast<bool>(*value_)) return Step::done();
    wait_.emplace(*condition_);
    return wait_->step(resumption);
  }
  /// See TaskBody.
  Value result() { return std::move(*value_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "Condition.wait_for";

 private:
  Condition* condition_;
  Predicate predicate_;
  std::optional<Condition::Wait> wait_;
  std::optional<Value> value_;
};

inline Condition::Wait Condition::wait() noexcept { return Wait(*this); }

}  // namespace rondo
