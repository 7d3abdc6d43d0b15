// SPDX-License-Identifier: MIT
#include "futures/sync/lock.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "futures/sleep.h"
#include "test/futures/bodies.h"
#include "test/futures/sync/sync_world.h"
#include "test/support/passes.h"
#include "test/support/reports.h"
#include "test/support/script.h"

namespace rondo {
namespace {

using test::end_of;
using test::Script;
using test::SyncWorld;
using test::thrown_by;

struct LockWorld : SyncWorld {
  // `async with lock: order.append(name)`, so many times.
  Task<void> worker(const std::string& name, int times = 1) {
    Script script(*this);
    for (int i = 0; i < times; ++i) {
      const std::string word = name + std::to_string(i) + " ";
      script = Script(std::move(script))
                   .await([this] { return lock.scoped(); },
                          [this, word](const LockGuard&) { order += word; });
    }
    return create_task(loop, std::move(script));
  }
  void acquire_now() {
    auto task = create_task(loop, lock.acquire());
    run_one_pass(loop);
    ASSERT_EQ(end_of(task), "done");
  }

  Lock lock;
};

TEST(Lock, IsTakenAtOnceIfFree) {
  LockWorld world;
  EXPECT_FALSE(world.lock.locked());
  auto task = world.lock.acquire().start(world.loop);  // eagerly: no pass
  EXPECT_TRUE(task.done());
  EXPECT_TRUE(world.lock.locked());
  world.lock.release();
  EXPECT_FALSE(world.lock.locked());
}

TEST(Lock, ServesWaitersInTheOrderTheyCame) {
  LockWorld world;
  world.acquire_now();
  for (const char* name : {"a", "b", "c"}) world.worker(name, 2);
  run_one_pass(world.loop);
  world.lock.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "a0 b0 c0 a1 b1 c1 ");
}

TEST(Lock, MayBeTakenAgainWhileNobodyIsWoken) {
  LockWorld world;
  world.worker("x", 2);
  world.worker("y", 2);
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "x0 x1 y0 y1 ");
}

TEST(Lock, IsTakenByTheWokenWhenItRuns) {
  LockWorld world;
  world.acquire_now();
  world.worker("w");
  run_one_pass(world.loop);
  world.lock.release();
  EXPECT_FALSE(world.lock.locked());
  auto late = world.lock.acquire().start(world.loop);
  EXPECT_FALSE(late.done()) << "it must queue behind the waiter";
  run_one_pass(world.loop);
  EXPECT_EQ(world.order, "w0 ");
  world.loop.run_until_idle();
  EXPECT_TRUE(late.done());
}

TEST(Lock, TakesTwoPassesWhenACallbackReleasesIt) {
  LockWorld world;
  world.acquire_now();
  world.loop.call_soon([&] { world.lock.release(); });
  auto task = world.lock.acquire().start(world.loop);
  run_one_pass(world.loop);
  EXPECT_FALSE(task.done());
  run_one_pass(world.loop);
  EXPECT_TRUE(task.done());
}

TEST(Lock, CannotBeReleasedWhenFree) {
  Lock lock;
  EXPECT_EQ(thrown_by([&] { lock.release(); }),
            "rondo::RuntimeError('Lock is not acquired.')");
}

TEST(Lock, PassesOverAWaiterThatWasCancelled) {
  LockWorld world;
  world.acquire_now();
  world.worker("p", 2);
  auto cancelled = world.worker("q", 2);
  world.worker("r", 2);
  run_one_pass(world.loop);
  cancelled.cancel();
  world.lock.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "p0 r0 p1 r1 ");
  EXPECT_TRUE(cancelled.cancelled());
}

TEST(Lock, WakesTheNextWhenTheWokenIsCancelled) {
  LockWorld world;
  world.acquire_now();
  auto cancelled = world.worker("s", 2);
  world.worker("t", 2);
  run_one_pass(world.loop);
  world.lock.release();
  cancelled.cancel();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "t0 t1 ");
  EXPECT_FALSE(world.lock.locked());
}

TEST(Lock, IsTakenAtOnceIfAllWhoWaitAreCancelled) {
  LockWorld world;
  world.acquire_now();
  auto cancelled = world.worker("a");
  run_one_pass(world.loop);
  cancelled.cancel();
  world.lock.release();
  auto task = world.lock.acquire().start(world.loop);
  EXPECT_TRUE(task.done());
  world.loop.run_until_idle();
  EXPECT_TRUE(world.lock.locked()) << "the cancelled one left it alone";
}

TEST(Lock, IsNotTriedByATaskCancelledBeforeItStarts) {
  LockWorld world;
  auto task = create_task(world.loop, world.lock.acquire());
  task.cancel("early");
  world.loop.run_until_idle();
  EXPECT_EQ(end_of(task), "CancelledError('early')");
  EXPECT_FALSE(world.lock.locked());
}

TEST(Lock, ShowsWhatPythonsReprShows) {
  LockWorld world;
  EXPECT_EQ(world.text(world.lock), "<Lock object at 0x* [unlocked]>");
  world.acquire_now();
  EXPECT_EQ(world.text(world.lock), "<Lock object at 0x* [locked]>");
  for (const char* name : {"a", "b", "c"}) world.worker(name);
  run_one_pass(world.loop);
  EXPECT_EQ(world.text(world.lock), "<Lock object at 0x* [locked, waiters:3]>");
}

TEST(Lock, ShowsItsOperationInItsTask) {
  LockWorld world;
  auto task = create_task(world.loop, world.lock.acquire());
  EXPECT_NE(to_string(task).find("coro=<Lock.acquire() running>"),
            std::string::npos)
      << to_string(task);
}

TEST(Lock, ServesACallbackThroughAFuture) {
  LockWorld world;
  world.acquire_now();
  world.loop.call_soon([&] {
    Future<void> locked = world.lock.acquire();
    locked.add_done_callback([&](const Future<void>&) { world.order += "a"; });
  });
  run_one_pass(world.loop);
  world.lock.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "a");
  EXPECT_TRUE(world.lock.locked());
}

TEST(Lock, BelongsToTheLoopOfItsFirstWaiter) {
  Lock lock;
  VirtualTimeLoop first;
  VirtualTimeLoop second;
  auto holder = lock.acquire().start(second);  // need not wait: not bound
  auto waiter = lock.acquire().start(first);
  const std::string text = to_string(lock);
  auto stranger = lock.acquire().start(second);
  EXPECT_EQ(
      thrown_by([&] { stranger.result(); }),
      "rondo::RuntimeError('" + text + " is bound to a different event loop')");
  lock.release();
  first.run_until_idle();
  EXPECT_TRUE(waiter.done());
}

TEST(Lock, FailsThoseWhoWaitWhenItIsDestroyed) {
  LockWorld world;
  auto lock = std::make_unique<Lock>();
  auto holder = lock->acquire().start(world.loop);
  auto woken = lock->acquire().start(world.loop);
  auto waiting = lock->acquire().start(world.loop);
  auto cancelled = lock->acquire().start(world.loop);
  auto abandoned = lock->acquire().start(world.loop);
  lock->release();
  cancelled.cancel();
  lock.reset();
  run_one_pass(world.loop);
  const char* const kDestroyed = "rondo::RuntimeError('Lock was destroyed')";
  EXPECT_EQ(end_of(woken), kDestroyed);
  EXPECT_EQ(end_of(waiting), kDestroyed);
  EXPECT_EQ(end_of(cancelled), "CancelledError()");
  EXPECT_EQ(end_of(abandoned), kDestroyed);
}

TEST(Lock, MayBeDestroyedBeforeTheLoopThatItsWaitersAreOf) {
  auto lock = std::make_unique<Lock>();
  VirtualTimeLoop loop;
  const Reports reports(loop);  // that it was destroyed while pending
  auto holder = lock->acquire().start(loop);
  auto waiting = lock->acquire().start(loop);
  lock.reset();
  loop.close();
  EXPECT_FALSE(waiting.done());
}

TEST(Lock, WaitsWithoutAnAllocationInSteadyState) {
  LockWorld world;
  const auto round = [&] {
    auto holder = world.lock.acquire().start(world.loop);
    auto waiter = world.lock.acquire().start(world.loop);
    world.lock.release();
    run_passes(world.loop, 2);
    world.lock.release();
    EXPECT_TRUE(waiter.done());
  };
  world.expect_no_allocation(round);
}

// -- guards ------------------------------------------------------------------

TEST(LockGuard, ReleasesWhenItIsDestroyed) {
  LockWorld world;
  world.acquire_now();
  {
    LockGuard guard = LockGuard::adopt(world.lock);
    LockGuard moved(std::move(guard));
    EXPECT_FALSE(guard);  // NOLINT: moved from on purpose
    EXPECT_TRUE(moved);
    EXPECT_TRUE(world.lock.locked());
  }
  EXPECT_FALSE(world.lock.locked());
}

TEST(LockGuard, ReleasesWhatItHeldWhenAnotherIsMovedIn) {
  LockWorld world;
  Lock other;
  auto held = other.acquire().start(world.loop);
  world.acquire_now();
  LockGuard guard = LockGuard::adopt(world.lock);
  guard = LockGuard::adopt(other);
  EXPECT_FALSE(world.lock.locked());
  EXPECT_TRUE(other.locked());
}

TEST(LockGuard, ReleasesOnRequestOnce) {
  LockWorld world;
  world.acquire_now();
  LockGuard guard = LockGuard::adopt(world.lock);
  guard.release();
  EXPECT_FALSE(guard);
  EXPECT_FALSE(world.lock.locked());
  guard.release();
  world.acquire_now();
  LockGuard second = LockGuard::adopt(world.lock);
  world.lock.release();
  EXPECT_EQ(thrown_by([&] { second.release(); }),
            "rondo::RuntimeError('Lock is not acquired.')");
}

TEST(LockGuard, LeavesTheLockToWhoeverGotItSince) {
  LockWorld world;
  world.acquire_now();
  std::optional<LockGuard> guard(LockGuard::adopt(world.lock));
  world.lock.release();
  world.acquire_now();
  guard.reset();
  EXPECT_TRUE(world.lock.locked());
}

TEST(LockGuard, GoesToWhoeverTakesItFromTheFuture) {
  LockWorld world;
  Future<LockGuard> future = world.lock.scoped().start(world.loop);
  EXPECT_TRUE(world.lock.locked());
  {
    const LockGuard guard = std::move(future).result();
  }
  EXPECT_FALSE(world.lock.locked());
}

TEST(LockGuard, ReleasesIfNobodyTakesItFromTheFuture) {
  LockWorld world;
  {
    Future<LockGuard> future = world.lock.scoped().start(world.loop);
  }
  EXPECT_FALSE(world.lock.locked());
}

// -- a cancel, or the end, at each moment ------------------------------------

// Three tasks hold it for a while, one after the other.
struct ThreeWant : LockWorld {
  explicit ThreeWant(int which) {
    for (int i = 0; i < 3; ++i) {
      auto guard = std::make_shared<LockGuard>();
      auto task = create_task(
          loop, Script(*this)
                    .await([this] { return lock.scoped(); },
                           [this, guard](LockGuard held) {
                             *guard = std::move(held);
                             EXPECT_EQ(++inside, 1);
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
    EXPECT_GE(finished, victim.cancelled() ? 2 : 3);
    EXPECT_EQ(text(lock), "<Lock object at 0x* [unlocked]>");
  }
  int inside = 0;
  int finished = 0;
};

TEST(LockCancel, LosesNoWakeUpAtAnyMoment) {
  for (const int which : {0, 1, 2}) {
    SCOPED_TRACE(which);
    const test::MakeWorld make = [which] {
      return std::make_unique<ThreeWant>(which);
    };
    EXPECT_GE(test::cancel_everywhere(make), 5);
    EXPECT_GE(test::destroy_everywhere(make), 20);
  }
}

// A task with two acquire() calls in a row, of which the harness cancels one
// that has been woken by a plain callback.
struct WokenByACallback : LockWorld {
  WokenByACallback() {
    auto holder = lock.acquire().start(loop);
    victim = create_task(
        loop,
        Script(*this).await([this] { return lock.acquire(); }).then([this] {
          lock.release();
        }));
    create_task(
        loop,
        Script(*this).await([this] { return lock.acquire(); }).then([this] {
          order += "next";
          lock.release();
        }));
    loop.call_later(1, [this] { lock.release(); });
  }
  void expect_sound() override {
    EXPECT_EQ(order, "next");
    EXPECT_FALSE(lock.locked());
  }
};

TEST(LockCancel, PassesOnTheReleaseOfACallback) {
  EXPECT_GE(test::cancel_everywhere<WokenByACallback>(), 3);
  EXPECT_GE(test::destroy_everywhere<WokenByACallback>(), 8);
}

// Drops an acquire() that waits, without a cancel: as a body does that waits
// for something else from then on.
TEST(LockCancel, TakesBackAnOperationThatIsDestroyed) {
  LockWorld world;
  world.acquire_now();
  Future<void> other(world.loop);
  std::optional<Lock::Acquire> acquire;
  auto fickle = create_task(world.loop, test::body([&](Resumption& resumption) {
                              if (!acquire) {
                                acquire.emplace(world.lock.acquire());
                                return acquire->step(resumption);
                              }
                              acquire.reset();  // woken, but does not look
                              return Step::wait(other);
                            }));
  auto next = create_task(world.loop, world.lock.acquire());
  run_one_pass(world.loop);
  world.lock.release();
  run_passes(world.loop, 2);
  EXPECT_TRUE(next.done());
  other.set_result();
  fickle.cancel();
  world.loop.run_until_idle();
}

}  // namespace
}  // namespace rondo
