// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "futures/task.h"
#include "reactor/testing/virtual_time.h"

// Cancels a task at each moment at which it can be cancelled, and ends the
// loop at each moment at which it can end. For everything that waits.

namespace rondo::test {

/// A little world in which one task, the victim, is cancelled. A test derives
/// from it: the constructor makes tasks on `loop`, and expect_sound() says
/// what must hold in the end, whenever the cancel came.
///
///     struct TwoWant : World {
///       TwoWant() {
///         victim = create_task(loop, lock.acquire());
///         create_task(loop, Script(*this)
///                               .await([this] { return lock.acquire(); })
///                               .then([this] { lock.release(); }));
///       }
///       void expect_sound() override { EXPECT_FALSE(lock.locked()); }
///       Lock lock;
///     };
///     TEST(Lock, LosesNoWakeUpInACancel) {
///       EXPECT_GE(cancel_everywhere<TwoWant>(), 2);
///       EXPECT_GE(destroy_everywhere<TwoWant>(), 2);
///     }
///
/// What always holds, and is looked at without being asked: all tasks end, no
/// exception is reported, each Alive and each block of memory is given back.
class World {
 public:
  World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;

  /// Fails the test unless all is as it has to be, when nothing happens any
  /// more. Not called when the loop was ended early.
  virtual void expect_sound() = 0;

  /// The victim may be cancelled here: the harness calls it between passes,
  /// and a Script at the end of each step, so that a cancel comes between two
  /// callbacks of the same pass too. Other bodies may call it as well.
  void moment();

  /// Something to keep in a body: counts whether all are destroyed.
  class Alive {
   public:
    explicit Alive(World& world) : count_(world.alive_) { ++*count_; }
    Alive(const Alive& other) noexcept : count_(other.count_) { ++*count_; }
    Alive& operator=(const Alive& other) noexcept {
      ++*other.count_;
      --*count_;
      count_ = other.count_;
      return *this;
    }
    ~Alive() { --*count_; }

   private:
    std::shared_ptr<int> count_;
  };

 private:
  friend class Attempt;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::set<int> cancels_;  // at which moments
  int moments_ = 0;
  int effects_ = 0;  // how many cancels found the victim pending
  std::vector<std::string> reports_;

 public:
  /// Everything happens here.
  VirtualTimeLoop loop;
  /// To be set by the constructor.
  AnyTask victim;
  /// Tasks may be left that wait for what never comes.
  bool may_leave_tasks = false;
  /// Exceptions may be reported to the loop's handler.
  bool may_report = false;
};

using MakeWorld = std::function<std::unique_ptr<World>()>;

/// Runs the world again and again, cancelling the victim at its first moment,
/// its second, ... until it is done before that moment comes. Returns how many
/// moments there were.
int cancel_everywhere(const MakeWorld& make);

/// The same for each pair of moments: cancels a second time while the victim
/// deals with the first. Returns how many pairs there were.
int cancel_twice_everywhere(const MakeWorld& make);

/// Runs the world again and again, and closes the loop before its first pass,
/// its second, ...; each time undisturbed, and once more for each moment at
/// which the victim is cancelled before. Returns how many times.
int destroy_everywhere(const MakeWorld& make);

/// The same for a World that is made without arguments.
template <class W>
int cancel_everywhere() {
  return cancel_everywhere([] { return std::make_unique<W>(); });
}
template <class W>
int cancel_twice_everywhere() {
  return cancel_twice_everywhere([] { return std::make_unique<W>(); });
}
template <class W>
int destroy_everywhere() {
  return destroy_everywhere([] { return std::make_unique<W>(); });
}

}  // namespace rondo::test
