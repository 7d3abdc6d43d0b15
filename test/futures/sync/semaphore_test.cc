// SPDX-License-Identifier: MIT
#include "futures/sync/semaphore.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "futures/sleep.h"
#include "test/futures/bodies.h"
#include "test/futures/sync/sync_world.h"
#include "test/support/passes.h"
#include "test/support/script.h"

namespace rondo {
namespace {

using test::end_of;
using test::Script;
using test::SyncWorld;
using test::thrown_by;

struct SemaphoreWorld : SyncWorld {
  explicit SemaphoreWorld(int value = 0) : semaphore(value) {}
  Task<void> waiter(const std::string& name) {
    return create_task(loop, Script(*this)
                                 .await([this] { return semaphore.acquire(); })
                                 .then([this, name] { order += name; }));
  }
  std::vector<Task<void>> waiters(const char* names) {
    std::vector<Task<void>> tasks;
    for (; *names != '\0'; ++names) {
      tasks.push_back(waiter(std::string(1, *names)));
    }
    run_one_pass(loop);
    return tasks;
  }
  Semaphore semaphore;
};

TEST(Semaphore, LetsSoManyThroughAtATime) {
  SemaphoreWorld world(2);
  for (const std::string name : {"a", "b", "c"}) {
    create_task(world.loop,
                Script(world)
                    .await([&] { return world.semaphore.acquire(); })
                    .then([&world, name] { world.order += "+" + name; })
                    .await([] { return sleep(1); })
                    .then([&world, name] {
                      world.order += "-" + name;
                      world.semaphore.release();
                    }));
  }
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "+a+b-a-b+c-c");
}

TEST(Semaphore, IsTakenAtOnceIfFree) {
  SemaphoreWorld world(1);
  EXPECT_FALSE(world.semaphore.locked());
  EXPECT_TRUE(world.semaphore.acquire().start(world.loop).done());
  EXPECT_TRUE(world.semaphore.locked());
}

TEST(Semaphore, GivesATurnToTheFirstThatWasNotCancelled) {
  SemaphoreWorld world;
  auto tasks = world.waiters("abcd");
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [locked, waiters:4]>");
  tasks[1].cancel();
  world.semaphore.release();
  EXPECT_TRUE(world.semaphore.locked());
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [locked, waiters:4]>");
  world.semaphore.release();
  run_passes(world.loop, 2);
  EXPECT_EQ(world.order, "ac");
  world.semaphore.release();
  tasks[3].cancel();
  world.loop.run_until_idle();
  EXPECT_EQ(end_of(tasks[3]), "CancelledError()");
  EXPECT_FALSE(world.semaphore.locked()) << "its turn is not lost";
}

TEST(Semaphore, LetsNobodyOvertakeTheWoken) {
  SemaphoreWorld world;
  world.waiter("waiter");
  run_one_pass(world.loop);
  world.semaphore.release();
  EXPECT_TRUE(world.semaphore.locked());
  EXPECT_FALSE(world.semaphore.acquire().start(world.loop).done());
  run_one_pass(world.loop);
  EXPECT_EQ(world.order, "waiter");
  world.semaphore.release();
  world.loop.run_until_idle();
}

TEST(Semaphore, GrowsUnlessBounded) {
  SemaphoreWorld world(1);
  world.semaphore.release();
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [unlocked, value:2]>");
  BoundedSemaphore bounded(1);
  EXPECT_EQ(world.text(bounded),
            "<BoundedSemaphore object at 0x* [unlocked, value:1]>");
  EXPECT_EQ(
      thrown_by([&] { bounded.release(); }),
      "std::invalid_argument('BoundedSemaphore released too many times')");
  EXPECT_TRUE(bounded.acquire().start(world.loop).done());
  bounded.release();
}

TEST(Semaphore, DoesNotBeginBelowZero) {
  EXPECT_THROW(Semaphore(-1), std::invalid_argument);
  EXPECT_THROW(BoundedSemaphore(-1), std::invalid_argument);
}

// gh-90155, and gh-111693: a turn that comes back while others wait.
TEST(Semaphore, WakesTheNextWhenTheWokenIsCancelled) {
  SemaphoreWorld world;
  auto tasks = world.waiters("abc");
  world.semaphore.release();
  tasks[0].cancel();
  run_passes(world.loop, 3);
  EXPECT_EQ(world.order, "b");
  world.semaphore.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "bc");
}

// gh-111693: 3.11.2 wakes nobody here, as the cancelled one was not woken.
TEST(Semaphore, WakesTheNextWhenThereIsATurnAndTheFirstIsCancelled) {
  SemaphoreWorld world(1);
  auto holder = world.semaphore.acquire().start(world.loop);
  auto tasks = world.waiters("ab");
  tasks[0].cancel();
  tasks[1].cancel();
  world.semaphore.release();  // to nobody: both are cancelled
  auto late = create_task(world.loop, world.semaphore.acquire());
  world.loop.run_until_idle();
  EXPECT_TRUE(late.done());
  EXPECT_TRUE(world.semaphore.locked());
}

// "Those who were woken late": who came while one turn was free and another was
// on its way.
TEST(Semaphore, WakesWhoCameBehindTheWoken) {
  SemaphoreWorld world;
  world.waiters("a");
  world.semaphore.release();
  world.semaphore.release();
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [locked, waiters:1]>");
  const auto b = world.semaphore.acquire().start(world.loop);
  const auto c = world.semaphore.acquire().start(world.loop);
  run_passes(world.loop, 3);
  EXPECT_EQ(world.order, "a");
  EXPECT_TRUE(b.done());
  EXPECT_FALSE(c.done());
  world.semaphore.release();
  world.loop.run_until_idle();
  EXPECT_TRUE(c.done());
}

TEST(Semaphore, BelongsToTheLoopOfItsFirstWaiter) {
  SemaphoreWorld world;
  world.waiters("a");
  VirtualTimeLoop other;
  auto stranger = world.semaphore.acquire().start(other);
  EXPECT_EQ(thrown_by([&] { stranger.result(); }),
            repr(std::make_exception_ptr(
                RuntimeError(to_string(world.semaphore) +
                             " is bound to a different event loop"))));
  world.semaphore.release();
  world.loop.run_until_idle();
}

TEST(Semaphore, FailsThoseWhoWaitWhenItIsDestroyed) {
  SemaphoreWorld world;
  auto semaphore = std::make_unique<Semaphore>(0);
  auto woken = semaphore->acquire().start(world.loop);
  auto waiting = semaphore->acquire().start(world.loop);
  semaphore->release();
  semaphore.reset();
  run_one_pass(world.loop);
  EXPECT_EQ(end_of(woken), "rondo::RuntimeError('Semaphore was destroyed')");
  EXPECT_EQ(end_of(waiting), "rondo::RuntimeError('Semaphore was destroyed')");
}

TEST(Semaphore, WaitsWithoutAnAllocationInSteadyState) {
  SemaphoreWorld world;
  world.expect_no_allocation([&] {
    auto waiter = world.semaphore.acquire().start(world.loop);
    world.semaphore.release();
    run_one_pass(world.loop);
    EXPECT_TRUE(waiter.done());
  });
}

// -- guards ------------------------------------------------------------------

TEST(SemaphoreGuard, GivesTheTurnBackWhenItIsDestroyed) {
  SemaphoreWorld world(1);
  {
    Future<SemaphoreGuard> future = world.semaphore.scoped().start(world.loop);
    SemaphoreGuard guard = std::move(future).result();
    EXPECT_TRUE(guard);
    SemaphoreGuard moved;
    EXPECT_FALSE(moved);
    moved = std::move(guard);
    EXPECT_TRUE(world.semaphore.locked());
  }
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [unlocked, value:1]>");
}

TEST(SemaphoreGuard, GivesItBackOnRequestOnce) {
  SemaphoreWorld world(1);
  EXPECT_TRUE(world.semaphore.acquire().start(world.loop).done());
  SemaphoreGuard guard = SemaphoreGuard::adopt(world.semaphore);
  guard.release();
  guard.release();
  EXPECT_EQ(world.text(world.semaphore),
            "<Semaphore object at 0x* [unlocked, value:1]>");
}

TEST(SemaphoreGuard, LeavesABoundedOneAloneThatWasGivenBackAlready) {
  SemaphoreWorld world;
  BoundedSemaphore bounded(1);
  {
    SemaphoreGuard guard = bounded.scoped().start(world.loop).take_result();
    bounded.release();
  }
  EXPECT_FALSE(bounded.locked());
}

// -- a cancel, or the end, at each moment ------------------------------------

// Five tasks, two at a time.
struct FiveWant : SemaphoreWorld {
  explicit FiveWant(int which) : SemaphoreWorld(2) {
    for (int i = 0; i < 5; ++i) {
      auto guard = std::make_shared<SemaphoreGuard>();
      auto task = create_task(
          loop, Script(*this)
                    .await([this] { return semaphore.scoped(); },
                           [this, guard](SemaphoreGuard held) {
                             *guard = std::move(held);
                             EXPECT_LE(++inside, 2);
                           })
                    .on_error([this](const std::exception_ptr&) { --inside; })
                    .await([] { return sleep(1); })
                    .then([this, guard] {
                      --inside;
                      ++finished;
                      guard->release();
                    }));
      if (i == which) victim = task;
    }
  }
  void expect_sound() override {
    EXPECT_EQ(inside, 0);
    EXPECT_GE(finished, victim.cancelled() ? 4 : 5);
    EXPECT_EQ(text(semaphore), "<Semaphore object at 0x* [unlocked, value:2]>");
  }
  int inside = 0;
  int finished = 0;
};

TEST(SemaphoreCancel, LosesNoTurnAtAnyMoment) {
  for (const int which : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(which);
    const test::MakeWorld make = [which] {
      return std::make_unique<FiveWant>(which);
    };
    EXPECT_GE(test::cancel_everywhere(make), 5);
    EXPECT_GE(test::destroy_everywhere(make), 20);
  }
}

// The turn comes from a callback, and more turns than one.
struct TurnsFromACallback : SemaphoreWorld {
  TurnsFromACallback() {
    waiter("a");
    victim = waiter("v");
    waiter("b");
    waiter("c");
    loop.call_later(1, [this] {
      semaphore.release();
      semaphore.release();
      semaphore.release();
    });
  }
  void expect_sound() override {
    EXPECT_EQ(order, victim.cancelled() ? "abc" : "avb");
    if (!victim.cancelled()) semaphore.release();
    loop.run_until_idle();
  }
};

TEST(SemaphoreCancel, PassesOnTheTurnsOfACallback) {
  const test::MakeWorld make = [] {
    auto world = std::make_unique<TurnsFromACallback>();
    world->may_leave_tasks = true;  // without the cancel, one too few
    return world;
  };
  EXPECT_GE(test::cancel_everywhere(make), 3);
  EXPECT_GE(test::destroy_everywhere(make), 8);
}

}  // namespace
}  // namespace rondo
