// SPDX-License-Identifier: MIT
#include "futures/sync/condition.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
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

struct ConditionWorld : SyncWorld {
  // async with condition: await condition.wait(); order.append(name)
  Script waiting(const std::string& name) {
    auto guard = std::make_shared<LockGuard>();
    return Script(*this)
        .await([this] { return condition.scoped(); },
               [guard](LockGuard held) { *guard = std::move(held); })
        .await([this] { return condition.wait(); })
        .then([this, guard, name] {
          EXPECT_TRUE(condition.locked());
          order += name;
        });
  }
  Task<void> waiter(const std::string& name) {
    return create_task(loop, waiting(name));
  }
  std::vector<Task<void>> waiters(const char* names) {
    std::vector<Task<void>> tasks;
    for (; *names != '\0'; ++names) {
      tasks.push_back(waiter(std::string(1, *names)));
    }
    run_passes(loop, 2);
    return tasks;
  }
  // async with condition: condition.notify(count)
  void notify(std::size_t count) {
    create_task(loop, Script(*this)
                          .await([this] { return condition.acquire(); })
                          .then([this, count] {
                            condition.notify(count);
                            condition.release();
                          }));
    loop.run_until_idle();
  }
  void acquire_now() { ASSERT_TRUE(condition.acquire().start(loop).done()); }
  Condition condition;
};

TEST(Condition, WakesSoManyInTheOrderTheyCame) {
  ConditionWorld world;
  world.waiters("abcde");
  EXPECT_EQ(world.text(world.condition),
            "<Condition object at 0x* [unlocked, waiters:5]>");
  world.notify(1);
  EXPECT_EQ(world.order, "a");
  world.notify(2);
  EXPECT_EQ(world.order, "abc");
  world.acquire_now();
  world.condition.notify_all();
  EXPECT_EQ(world.text(world.condition),
            "<Condition object at 0x* [locked, waiters:2]>");
  world.condition.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "abcde");
}

TEST(Condition, KeepsTheWokenBackUntilTheLockIsReleased) {
  ConditionWorld world;
  world.waiters("a");
  world.acquire_now();
  world.condition.notify();
  run_passes(world.loop, 5);
  EXPECT_EQ(world.order, "");
  world.condition.release();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "a");
}

TEST(Condition, IsForThoseWhoHoldTheLock) {
  ConditionWorld world;
  auto waits = world.condition.wait().start(world.loop);
  EXPECT_EQ(end_of(waits),
            "rondo::RuntimeError('cannot wait on un-acquired lock')");
  EXPECT_EQ(thrown_by([&] { world.condition.notify(); }),
            "rondo::RuntimeError('cannot notify on un-acquired lock')");
  EXPECT_EQ(thrown_by([&] { world.condition.notify_all(); }),
            "rondo::RuntimeError('cannot notify on un-acquired lock')");
  EXPECT_EQ(thrown_by([&] { world.condition.release(); }),
            "rondo::RuntimeError('Lock is not acquired.')");
}

TEST(Condition, SharesALock) {
  SyncWorld world;
  Lock lock;
  Condition full(lock);
  Condition empty(lock);
  EXPECT_TRUE(full.acquire().start(world.loop).done());
  EXPECT_TRUE(empty.locked());
  empty.release();
  EXPECT_FALSE(lock.locked());
}

TEST(Condition, WaitsForAPredicate) {
  ConditionWorld world;
  int value = 0;
  int calls = 0;
  int got = 0;
  world.acquire_now();
  create_task(world.loop, Script(world).await(
                              [&] {
                                return world.condition.wait_for([&] {
                                  ++calls;
                                  return value >= 2 ? 10 * value : 0;
                                });
                              },
                              [&](int result) { got = result; }));
  for (const int expected_calls : {1, 2, 3}) {
    world.loop.run_until_idle();
    EXPECT_EQ(calls, expected_calls);
    if (calls == 3) break;
    ++value;
    world.notify(1);
  }
  EXPECT_EQ(got, 20);
  EXPECT_TRUE(world.condition.locked());
}

TEST(Condition, WaitsForNothingIfThePredicateHolds) {
  ConditionWorld world;
  world.acquire_now();
  auto waits = world.condition.wait_for([] { return true; }).start(world.loop);
  EXPECT_TRUE(waits.result());
}

TEST(Condition, EndsWithWhatThePredicateThrows) {
  ConditionWorld world;
  world.acquire_now();
  auto waits =
      world.condition.wait_for([]() -> bool { throw std::logic_error("no"); })
          .start(world.loop);
  EXPECT_EQ(end_of(waits), "std::logic_error('no')");
}

// -- cancels -----------------------------------------------------------------

TEST(Condition, IsLeftWithTheLockHeld) {
  ConditionWorld world;
  world.acquire_now();
  bool locked = false;
  auto task = create_task(world.loop,
                          Script(world)
                              .on_error([&](const std::exception_ptr& error) {
                                locked = world.condition.locked();
                                world.order = repr(error);
                              })
                              .await([&] { return world.condition.wait(); }));
  run_one_pass(world.loop);
  EXPECT_FALSE(world.condition.locked());
  task.cancel("why");
  world.loop.run_until_idle();
  EXPECT_TRUE(locked);
  EXPECT_EQ(world.order, "CancelledError('why')");
}

// gh-111693: 3.11.2 makes a new CancelledError, without the message.
TEST(Condition, ThrowsTheLastCancelThatCameWhileItWantedTheLock) {
  ConditionWorld world;
  world.acquire_now();
  auto task = world.condition.wait().start(world.loop);
  world.acquire_now();
  world.condition.notify();
  run_one_pass(world.loop);
  for (const char* message : {"one", "two"}) {
    task.cancel(message);
    run_one_pass(world.loop);
    EXPECT_FALSE(task.done()) << "it must have the lock first";
  }
  world.condition.release();
  world.loop.run_until_idle();
  EXPECT_EQ(end_of(task), "CancelledError('two')");
  EXPECT_TRUE(world.condition.locked());
}

// gh-112202
TEST(Condition, PassesOnTheNotificationOfOneThatIsCancelled) {
  ConditionWorld world;
  auto tasks = world.waiters("ab");
  world.acquire_now();
  world.condition.notify(1);
  tasks[0].cancel();
  world.condition.release();
  world.loop.run_until_idle();
  EXPECT_TRUE(tasks[0].cancelled());
  EXPECT_EQ(world.order, "b");
}

// gh-112202: also if the cancel comes while it wants the lock.
TEST(Condition, PassesOnTheNotificationOfOneThatIsCancelledLater) {
  ConditionWorld world;
  auto tasks = world.waiters("ab");
  world.acquire_now();
  world.condition.notify(1);
  run_one_pass(world.loop);
  tasks[0].cancel();
  world.condition.release();
  world.loop.run_until_idle();
  EXPECT_TRUE(tasks[0].cancelled());
  EXPECT_EQ(world.order, "b");
}

// 3.13 does not ask whether there was a notification to pass on.
TEST(Condition, WakesTheNextWhenAnotherIsCancelled) {
  ConditionWorld world;
  auto tasks = world.waiters("abc");
  tasks[1].cancel();
  world.loop.run_until_idle();
  EXPECT_TRUE(tasks[1].cancelled());
  EXPECT_EQ(world.order, "a");
  EXPECT_EQ(world.text(world.condition),
            "<Condition object at 0x* [unlocked, waiters:1]>");
  world.notify(1);
}

// -- its end, and other loops ------------------------------------------------

TEST(Condition, BelongsToTheLoopOfItsFirstWaiter) {
  ConditionWorld world;
  world.waiters("a");
  VirtualTimeLoop other;
  EXPECT_TRUE(world.condition.acquire().start(other).done());
  const std::string text = to_string(world.condition);
  auto stranger = world.condition.wait().start(other);
  EXPECT_EQ(end_of(stranger), "rondo::RuntimeError('" + text +
                                  " is bound to a different event loop')");
  EXPECT_TRUE(world.condition.locked());
  world.condition.notify();
  world.condition.release();
  world.loop.run_until_idle();
}

TEST(Condition, FailsThoseWhoWaitWhenItIsDestroyed) {
  ConditionWorld world;
  auto condition = std::make_unique<Condition>();
  const auto wait = [&] {
    EXPECT_TRUE(condition->acquire().start(world.loop).done());
    return condition->wait().start(world.loop);
  };
  auto wants_lock = wait();
  auto woken = wait();
  auto waiting = wait();
  EXPECT_TRUE(condition->acquire().start(world.loop).done());
  condition->notify();
  run_one_pass(world.loop);
  condition->notify();
  condition.reset();
  world.loop.run_until_idle();
  const char* const kDestroyed =
      "rondo::RuntimeError('Condition was destroyed')";
  EXPECT_EQ(end_of(wants_lock), kDestroyed);
  EXPECT_EQ(end_of(woken), kDestroyed);
  EXPECT_EQ(end_of(waiting), kDestroyed);
}

TEST(Condition, FailsThoseWhoWantItsLockWhenThatIsDestroyed) {
  ConditionWorld world;
  auto lock = std::make_unique<Lock>();
  Condition condition(*lock);
  EXPECT_TRUE(condition.acquire().start(world.loop).done());
  auto waiting = condition.wait().start(world.loop);
  EXPECT_TRUE(condition.acquire().start(world.loop).done());
  condition.notify();
  run_one_pass(world.loop);
  lock.reset();
  world.loop.run_until_idle();
  EXPECT_EQ(end_of(waiting), "rondo::RuntimeError('Lock was destroyed')");
}

// A body that gives up on its wait() without being cancelled.
TEST(Condition, PassesOnTheNotificationOfAnOperationThatIsDestroyed) {
  ConditionWorld world;
  world.acquire_now();
  std::optional<Condition::Wait> wait(world.condition.wait());
  int steps = 0;
  Future<void> never(world.loop);
  auto fickle = create_task(world.loop, test::body([&](Resumption& resumption) {
                              resumption.check();
                              if (++steps < 3) return wait->step(resumption);
                              wait.reset();
                              return Step::wait(never);
                            }));
  run_one_pass(world.loop);
  world.waiters("b");
  world.acquire_now();
  world.condition.notify();  // fickle, which then wants the lock
  run_one_pass(world.loop);
  EXPECT_EQ(steps, 2);
  world.condition.release();  // which wakes fickle, who gives up
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "b");
  fickle.cancel();
  world.loop.run_until_idle();
}

TEST(Condition, WaitsWithoutAnAllocationInSteadyState) {
  ConditionWorld world;
  world.expect_no_allocation([&] {
    auto holder = world.condition.acquire().start(world.loop);
    auto waiter = world.condition.wait().start(world.loop);
    auto notifier = world.condition.acquire().start(world.loop);
    world.condition.notify();
    run_one_pass(world.loop);
    world.condition.release();
    run_one_pass(world.loop);
    EXPECT_TRUE(waiter.done());
    world.condition.release();
  });
}

// -- a cancel, or the end, at each moment ------------------------------------

// An item for each of two of three consumers; the victim is one of them.
struct Consumers : ConditionWorld {
  explicit Consumers(int which) {
    for (int i = 0; i < 3; ++i) {
      auto guard = std::make_shared<LockGuard>();
      auto task = create_task(
          loop,
          Script(*this)
              .await([this] { return condition.scoped(); },
                     [guard](LockGuard held) { *guard = std::move(held); })
              .await([this] {
                return condition.wait_for([this] { return items > 0; });
              })
              .then([this, guard] {
                EXPECT_TRUE(condition.locked());
                --items;
                ++consumed;
              }));
      if (i == which) victim = task;
      consumers.push_back(task);
    }
    // Before the others: holds the lock while they are woken.
    create_task(loop, Script(*this)
                          .await([] { return sleep(1); })
                          .await([this] { return condition.acquire(); })
                          .then([this] {
                            ++items;
                            condition.notify();
                            ++items;
                            condition.notify();
                          })
                          .await([] { return sleep(0); })
                          .await([] { return sleep(0); })
                          .then([this] { condition.release(); }));
    may_leave_tasks = true;  // one item too few, if nobody is cancelled
  }
  void expect_sound() override {
    EXPECT_EQ(consumed, 2);
    EXPECT_EQ(items, 0);
    EXPECT_FALSE(condition.locked());
    std::size_t waiting = 0;
    for (const auto& consumer : consumers) waiting += consumer.done() ? 0 : 1;
    EXPECT_EQ(waiting, victim.cancelled() ? 0u : 1u);
  }
  int items = 0;
  int consumed = 0;
  std::vector<AnyTask> consumers;
};

TEST(ConditionCancel, LosesNoNotificationAtAnyMoment) {
  for (const int which : {0, 1, 2}) {
    SCOPED_TRACE(which);
    const test::MakeWorld make = [which] {
      return std::make_unique<Consumers>(which);
    };
    EXPECT_GE(test::cancel_everywhere(make), 8);
    EXPECT_GE(test::cancel_twice_everywhere(make), 4);
    EXPECT_GE(test::destroy_everywhere(make), 40);
  }
}

}  // namespace
}  // namespace rondo
