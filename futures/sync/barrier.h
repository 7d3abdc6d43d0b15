// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "futures/operation.h"
#include "futures/sync/condition.h"
#include "futures/sync/internal/waiter.h"
#include "futures/sync/lock.h"
#include "reactor/errors.h"

namespace rondo {

/// A Barrier was broken by abort(), or its round by reset().
class BrokenBarrierError : public RuntimeError {
 public:
  using RuntimeError::RuntimeError;
};

/// Holds tasks up until so many have come, and then lets them all go; again
/// and again.
///
///     int index = co_await barrier.wait();
///     if (index == 0) print("all there");
///
///   filling  --the last one comes-->  draining  --all have gone--> filling
///   filling, draining  --reset()-->   resetting --all have gone--> filling
///   any      --abort()-->             broken    --reset()--------> filling
///
/// Who comes while it drains or resets waits until that is over.
///
/// Threading: belongs to the loop of the first task that waits for it; see
///   Lock.
/// Lifetime: those who wait when it is destroyed get RuntimeError("Barrier was
///   destroyed").
/// Cost: one or two futures for each that waits; recycled.
///
/// Source: asyncio.Barrier of CPython 3.11. An index is given once in each
/// round, even after a cancel (gh-155233).
class Barrier {
 public:
  class Wait;
  class Reset;
  class Abort;

  /// For `parties` tasks. Throws std::invalid_argument("parties must be > 0").
  explicit Barrier(int parties);
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  ~Barrier() = default;

  /// Waits until parties() tasks wait. Gives this one's index, from 0 to
  /// parties() - 1, each once in a round: the lowest that is free when it
  /// comes.
  ///
  /// Throws BrokenBarrierError if the barrier is broken, or is aborted or
  /// reset while it waits. A cancel loses its place: the others wait for one
  /// more to come. If the round is complete already, they are not held up.
  Wait wait() noexcept;
  /// Puts it back to its first state. Those who wait get BrokenBarrierError.
  /// Waits for those who come or go at that moment.
  Reset reset() noexcept;
  /// Breaks it: those who wait, and all who come until a reset(), get
  /// BrokenBarrierError.
  Abort abort() noexcept;

  /// How many tasks it takes.
  int parties() const noexcept { return parties_; }
  /// How many have come so far in this round; 0 unless it is filling.
  int n_waiting() const noexcept {
    return state_ == State::kFilling ? count_ : 0;
  }
  /// Whether it is broken.
  bool broken() const noexcept { return state_ == State::kBroken; }

  /// `<Barrier object at 0x7f5c1e3a2b10 [filling, waiters:1/3]>`, as asyncio's
  /// repr.
  friend std::string to_string(const Barrier& barrier);

 private:
  enum class State : unsigned char { kFilling, kDraining, kResetting, kBroken };
  // A wait() that has begun; index is -1 while it is not among the parties.
  struct Visitor : detail::Waiter {
    int index = -1;
  };

  bool going() const noexcept {
    return state_ == State::kDraining || state_ == State::kResetting;
  }
  int lowest_free_index() const noexcept;
  void leave(Visitor& visitor);
  void do_reset();
  void do_abort();

  const int parties_;
  State state_ = State::kFilling;
  bool has_gaps_ = false;  // somebody left while it was filling
  int count_ = 0;
  Condition changed_;  // notified of every change of state_
  detail::WaiterList visitors_{"Barrier"};
};

/// What Barrier::wait() gives.
class [[nodiscard]] Barrier::Wait : public Operation<Barrier::Wait, int> {
 public:
  /// For Barrier::wait().
  explicit Wait(Barrier& barrier) noexcept : barrier_(&barrier) {}
  /// Before the first step only.
  Wait(Wait&& other) noexcept : barrier_(other.barrier_) {}
  /// Leaves as after a cancel.
  ~Wait();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  int result() noexcept { return index_; }
  /// asyncio's name of it.
  static constexpr const char* kName = "Barrier.wait";

 private:
  enum class Phase : unsigned char { kEntering, kHeldUp, kWaiting };

  Step go_on(Resumption& resumption);
  void come();

  Barrier* barrier_;
  Visitor visitor_;
  Phase phase_ = Phase::kEntering;
  int index_ = -1;
  std::uint64_t hold_ = 0;  // of the lock
  std::optional<Lock::Acquire> acquire_;
  std::optional<Condition::Wait> wait_;
};

/// What Barrier::reset() gives.
class [[nodiscard]] Barrier::Reset : public Operation<Barrier::Reset, void> {
 public:
  /// For Barrier::reset().
  explicit Reset(Barrier& barrier) noexcept
      : barrier_(&barrier), acquire_(barrier.changed_.scoped()) {}

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Barrier.reset";

 private:
  Barrier* barrier_;
  Lock::Scoped acquire_;
};

/// What Barrier::abort() gives.
class [[nodiscard]] Barrier::Abort : public Operation<Barrier::Abort, void> {
 public:
  /// For Barrier::abort().
  explicit Abort(Barrier& barrier) noexcept
      : barrier_(&barrier), acquire_(barrier.changed_.scoped()) {}

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Barrier.abort";

 private:
  Barrier* barrier_;
  Lock::Scoped acquire_;
};

inline Barrier::Wait Barrier::wait() noexcept { return Wait(*this); }

inline Barrier::Reset Barrier::reset() noexcept { return Reset(*this); }

inline Barrier::Abort Barrier::abort() noexcept { return Abort(*this); }

}  // namespace rondo
