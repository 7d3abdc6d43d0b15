// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "futures/operation.h"
#include "futures/sync/internal/waiter.h"

namespace rondo {

class SemaphoreGuard;

/// Lets so many tasks through at a time.
///
///     Semaphore connections(3);
///     SemaphoreGuard guard = co_await connections.scoped();  // async with
///
/// Fair: tasks get a turn in the order in which they asked. release() gives it
/// to the first in line at once, so that nobody can overtake.
///
/// Threading: belongs to the loop of the first task that waits for it; see
///   Lock.
/// Lifetime: outlives its guards. Those who wait when it is destroyed get
///   RuntimeError("Semaphore was destroyed").
/// Cost: as Lock.
///
/// Source: asyncio.Semaphore of CPython 3.11, with 3.13's cure for wake-ups
/// lost in a cancel (gh-111693).
class Semaphore {
 public:
  class Acquire;
  class Scoped;

  /// Lets `value` tasks through. Throws std::invalid_argument("Semaphore
  /// initial value must be >= 0").
  explicit Semaphore(std::int64_t value = 1)
      : Semaphore(value, std::numeric_limits<std::int64_t>::max()) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore() = default;

  /// Whether acquire() would wait: nothing is left, or others are before.
  bool locked() const noexcept {
    return value_ == 0 || !waiters_.all_cancelled();
  }

  /// Waits until it is this task's turn, and takes one; at once if there is
  /// one and nobody waits.
  ///
  /// A cancel loses the place in line, and no turn: the next one gets it.
  Acquire acquire() noexcept;
  /// The same, and gives a SemaphoreGuard that gives it back.
  Scoped scoped() noexcept;

  /// Gives one back, and wakes the first who waits. Of a BoundedSemaphore,
  /// throws std::invalid_argument("BoundedSemaphore released too many times").
  void release();

  /// `<Semaphore object at 0x7f5c1e3a2b10 [unlocked, value:2]>`, as asyncio's
  /// repr.
  friend std::string to_string(const Semaphore& semaphore);

 protected:
  /// One that release() lets grow to `bound`.
  Semaphore(std::int64_t value, std::int64_t bound);

 private:
  bool bounded() const noexcept {
    return bound_ != std::numeric_limits<std::int64_t>::max();
  }
  const char* name() const noexcept {
    return bounded() ? "BoundedSemaphore" : "Semaphore";
  }
  bool wake_up_next();

  std::int64_t value_;
  const std::int64_t bound_;
  detail::LoopBinding binding_;
  detail::WaiterList waiters_{"Semaphore"};
};

/// A Semaphore that does not grow beyond its first value: a release() too many
/// is an error.
class BoundedSemaphore : public Semaphore {
 public:
  /// As Semaphore's.
  explicit BoundedSemaphore(std::int64_t value = 1) : Semaphore(value, value) {}
};

/// What Semaphore::acquire() gives.
class [[nodiscard]] Semaphore::Acquire
    : public Operation<Semaphore::Acquire, void> {
 public:
  /// For Semaphore::acquire().
  explicit Acquire(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
  Acquire(Acquire&&) noexcept = default;
  /// Leaves the line, and passes on a turn that it was given.
  ~Acquire();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Semaphore.acquire";

 private:
  void leave();

  Semaphore* semaphore_;
  detail::Waiter waiter_;
};

/// Holds one turn of a Semaphore, and gives it back when it is destroyed.
/// Movable.
class [[nodiscard]] SemaphoreGuard {
 public:
  /// Holds nothing.
  SemaphoreGuard() noexcept = default;
  /// One that holds a turn of `semaphore`, which the caller has acquired.
  static SemaphoreGuard adopt(Semaphore& semaphore) noexcept {
    return SemaphoreGuard(semaphore);
  }
  /// Takes over what `other` holds.
  SemaphoreGuard(SemaphoreGuard&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
  /// The same; gives back what it held before.
  SemaphoreGuard& operator=(SemaphoreGuard&& other) noexcept {
    SemaphoreGuard taken(std::move(other));
    std::swap(semaphore_, taken.semaphore_);
    return *this;
  }
  /// A BoundedSemaphore that was given back by other means is left alone.
  ~SemaphoreGuard() {
    detail::pass_on_safely([this] { release(); });
  }

  /// Gives it back now. Throws what Semaphore::release() throws.
  void release() {
    if (semaphore_ != nullptr) std::exchange(semaphore_, nullptr)->release();
  }
  /// Whether it holds a turn.
  explicit operator bool() const noexcept { return semaphore_ != nullptr; }

 private:
  explicit SemaphoreGuard(Semaphore& semaphore) noexcept
      : semaphore_(&semaphore) {}

  Semaphore* semaphore_ = nullptr;
};

/// What Semaphore::scoped() gives.
class [[nodiscard]] Semaphore::Scoped
    : public Operation<Semaphore::Scoped, SemaphoreGuard> {
 public:
  /// For Semaphore::scoped().
  explicit Scoped(Semaphore& semaphore) noexcept
      : semaphore_(&semaphore), acquire_(semaphore) {}

  /// See TaskBody.
  Step step(Resumption& resumption) {
    const Step step = acquire_.step(resumption);
    if (step.kind() == Step::Kind::kDone) {
      guard_ = SemaphoreGuard::adopt(*semaphore_);
    }
    return step;
  }
  /// See TaskBody.
  SemaphoreGuard result() noexcept { return std::move(guard_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "Semaphore.scoped";

 private:
  Semaphore* semaphore_;
  Semaphore::Acquire acquire_;
  SemaphoreGuard guard_;
};

inline Semaphore::Acquire Semaphore::acquire() noexcept {
  return Acquire(*this);
}

inline Semaphore::Scoped Semaphore::scoped() noexcept { return Scoped(*this); }

}  // namespace rondo
