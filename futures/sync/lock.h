// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "futures/operation.h"
#include "futures/sync/internal/waiter.h"

namespace rondo {

class Condition;
class LockGuard;

/// Lets one task at a time through: a mutex for tasks of one loop, not for
/// threads.
///
///     LockGuard guard = co_await lock.scoped();   // async with lock:
///     co_await sleep(1);                          // the others wait
///
/// Fair: tasks get it in the order in which they asked. release() does not
/// hand it over: it wakes the first in line, which takes it when it runs, in
/// the next pass. Whoever asks in between waits behind.
///
/// Threading: belongs to the loop of the first task that waits for it; a task
///   of another loop that has to wait throws RuntimeError("... is bound to a
///   different event loop").
/// Lifetime: outlives those who hold it. Those who wait for it when it is
///   destroyed get RuntimeError("Lock was destroyed").
/// Cost: taking a free lock and releasing it allocate nothing, ever; waiting
///   takes a future, which is recycled.
///
/// Source: asyncio.Lock of CPython 3.11.
class Lock {
 public:
  class Acquire;
  class Scoped;

  /// Unlocked.
  Lock() noexcept = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() = default;

  /// Whether somebody has it. Not while the one that release() woke has not
  /// run yet, and nevertheless acquire() would wait then.
  bool locked() const noexcept { return locked_; }

  /// Waits until it is this task's turn, and takes it; at once if it is free
  /// and nobody waits.
  ///
  /// A cancel loses the place in line, and no wake-up: the next one gets it.
  Acquire acquire() noexcept;
  /// The same, and gives a LockGuard that releases it.
  Scoped scoped() noexcept;

  /// Gives it back, no matter who holds it, and wakes the first who waits.
  /// Throws RuntimeError("Lock is not acquired.").
  void release();

  /// `<Lock object at 0x7f5c1e3a2b10 [locked, waiters:2]>`, as asyncio's repr.
  friend std::string to_string(const Lock& lock);

 private:
  friend class Barrier;
  friend class Condition;
  friend class LockGuard;

  void take() noexcept {
    locked_ = true;
    hold_ = ++holds_;
  }
  void wake_up_first();
  void release_if_held(std::uint64_t hold) noexcept;

  bool locked_ = false;
  // Which taking of the lock this is. Condition::wait() gives it up and takes
  // the same hold again; so a guard knows whether it has the lock.
  std::uint64_t hold_ = 0;
  std::uint64_t holds_ = 0;
  detail::LoopBinding binding_;
  detail::WaiterList waiters_{"Lock"};
};

/// What Lock::acquire() gives.
class [[nodiscard]] Lock::Acquire : public Operation<Lock::Acquire, void> {
 public:
  /// For Lock::acquire().
  explicit Acquire(Lock& lock) noexcept : lock_(&lock) {}
  Acquire(Acquire&&) noexcept = default;
  /// Leaves the line, and passes on a wake-up that it was given.
  ~Acquire();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Lock.acquire";

 private:
  Lock* lock_;
  detail::Waiter waiter_;
};

/// Holds a Lock, and releases it when it is destroyed. Movable.
///
/// Knows whether it still holds it: if the lock was released by other means,
/// even if somebody else has it now, or if Condition::wait() was destroyed
/// before it had the lock again, then it leaves the lock alone.
class [[nodiscard]] LockGuard {
 public:
  /// Holds nothing.
  LockGuard() noexcept = default;
  /// One that holds `lock`, which the caller has acquired.
  static LockGuard adopt(Lock& lock) noexcept { return LockGuard(lock); }
  /// Takes over what `other` holds.
  LockGuard(LockGuard&& other) noexcept
      : lock_(std::exchange(other.lock_, nullptr)), hold_(other.hold_) {}
  /// The same; releases what it held before.
  LockGuard& operator=(LockGuard&& other) noexcept {
    LockGuard taken(std::move(other));
    std::swap(lock_, taken.lock_);
    std::swap(hold_, taken.hold_);
    return *this;
  }
  ~LockGuard() {
    if (lock_ != nullptr) lock_->release_if_held(hold_);
  }

  /// Releases it now. Throws what Lock::release() throws.
  void release() {
    if (lock_ != nullptr) std::exchange(lock_, nullptr)->release();
  }
  /// Whether it guards a lock: not after release(), or when moved from.
  explicit operator bool() const noexcept { return lock_ != nullptr; }

 private:
  explicit LockGuard(Lock& lock) noexcept : lock_(&lock), hold_(lock.hold_) {}

  Lock* lock_ = nullptr;
  std::uint64_t hold_ = 0;
};

/// What Lock::scoped() gives.
class [[nodiscard]] Lock::Scoped : public Operation<Lock::Scoped, LockGuard> {
 public:
  /// For Lock::scoped().
  explicit Scoped(Lock& lock) noexcept : lock_(&lock), acquire_(lock) {}

  /// See TaskBody.
  Step step(Resumption& resumption) {
    const Step step = acquire_.step(resumption);
    if (step.kind() == Step::Kind::kDone) {
      guard_ = LockGuard::adopt(*lock_);
    }
    return step;
  }
  /// See TaskBody.
  LockGuard result() noexcept { return std::move(guard_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "Lock.scoped";

 private:
  Lock* lock_;
  Lock::Acquire acquire_;
  LockGuard guard_;
};

inline Lock::Acquire Lock::acquire() noexcept { return Acquire(*this); }

inline Lock::Scoped Lock::scoped() noexcept { return Scoped(*this); }

}  // namespace rondo
