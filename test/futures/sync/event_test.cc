// SPDX-License-Identifier: MIT
#include "futures/sync/event.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "test/futures/bodies.h"
#include "test/futures/sync/sync_world.h"
#include "test/support/at_death.h"
#include "test/support/passes.h"
#include "test/support/reports.h"
#include "test/support/script.h"

namespace rondo {
namespace {

using test::end_of;
using test::Script;
using test::SyncWorld;
using test::thrown_by;

struct EventWorld : SyncWorld {
  Task<void> waiter(const std::string& name) {
    return create_task(
        loop,
        Script(*this).await([this] { return event.wait(); }).then([this, name] {
          order += name;
        }));
  }
  Event event;
};

TEST(Event, WakesAllInTheOrderTheyCame) {
  EventWorld world;
  for (const char* name : {"a", "b", "c"}) world.waiter(name);
  run_one_pass(world.loop);
  EXPECT_EQ(world.text(world.event),
            "<Event object at 0x* [unset, waiters:3]>");
  world.event.set();
  world.event.set();
  EXPECT_TRUE(world.event.is_set());
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "abc");
  EXPECT_EQ(world.text(world.event), "<Event object at 0x* [set]>");
}

TEST(Event, WakesThemEvenIfClearedAtOnce) {
  EventWorld world;
  for (const char* name : {"a", "b"}) world.waiter(name);
  run_one_pass(world.loop);
  world.event.set();
  world.event.clear();
  world.waiter("late");
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "ab");
  EXPECT_FALSE(world.event.is_set());
  world.event.set();
  world.loop.run_until_idle();
}

TEST(Event, IsNotWaitedForWhenSet) {
  EventWorld world;
  world.event.set();
  EXPECT_TRUE(world.event.wait().start(world.loop).done());
}

TEST(Event, TakesTwoPassesWhenACallbackSetsIt) {
  EventWorld world;
  world.loop.call_soon([&] { world.event.set(); });
  auto task = world.event.wait().start(world.loop);
  run_one_pass(world.loop);
  EXPECT_FALSE(task.done());
  run_one_pass(world.loop);
  EXPECT_TRUE(task.done());
}

TEST(Event, ForgetsAWaiterThatWasCancelled) {
  EventWorld world;
  auto cancelled = world.waiter("a");
  auto other = world.waiter("b");
  run_one_pass(world.loop);
  cancelled.cancel("enough");
  EXPECT_EQ(world.text(world.event),
            "<Event object at 0x* [unset, waiters:2]>");
  run_one_pass(world.loop);
  EXPECT_EQ(end_of(cancelled), "CancelledError('enough')");
  EXPECT_EQ(world.text(world.event),
            "<Event object at 0x* [unset, waiters:1]>");
  world.event.set();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "b");
}

TEST(Event, BelongsToTheLoopOfItsFirstWaiter) {
  EventWorld world;
  world.waiter("a");
  run_one_pass(world.loop);
  VirtualTimeLoop other;
  auto stranger = world.event.wait().start(other);
  EXPECT_EQ(thrown_by([&] { stranger.result(); }),
            "rondo::RuntimeError('" + to_string(world.event) +
                " is bound to a different event loop')");
  world.event.set();
  world.loop.run_until_idle();
}

TEST(Event, OutlivesTheLoopThatItBelongsTo) {
  Event event;
  std::string first;
  {
    VirtualTimeLoop loop;
    const Reports reports(loop);  // that it was destroyed while pending
    auto waiter = event.wait().start(loop);
    loop.close();
    event.set();  // nobody is left who could be woken
    event.clear();
  }
  VirtualTimeLoop next;  // perhaps at the same address: another nevertheless
  auto stranger = event.wait().start(next);
  EXPECT_NE(end_of(stranger).find("is bound to a different event loop"),
            std::string::npos);
}

// Out of a destructor: it must not throw, though nobody can be woken.
TEST(Event, MayBeSetWhileItsLoopEnds) {
  EventWorld world;
  Future<void> never(world.loop);
  create_task(world.loop, test::body([never, dies = test::AtDeath([&world] {
                                               world.event.set();
                                               world.order += "set";
                                             })](Resumption&) {
                return Step::wait(never);
              }));
  auto waiter = world.waiter("a");
  run_one_pass(world.loop);
  world.loop.close();
  EXPECT_EQ(world.order, "set");
  EXPECT_TRUE(world.event.is_set());
  EXPECT_FALSE(waiter.done());
}

TEST(Event, FailsThoseWhoWaitWhenItIsDestroyed) {
  EventWorld world;
  auto event = std::make_unique<Event>();
  auto waiting = event->wait().start(world.loop);
  event.reset();
  run_one_pass(world.loop);
  EXPECT_EQ(end_of(waiting), "rondo::RuntimeError('Event was destroyed')");
}

TEST(Event, WaitsWithoutAnAllocationInSteadyState) {
  EventWorld world;
  world.expect_no_allocation([&] {
    auto waiter = world.event.wait().start(world.loop);
    world.event.set();
    run_one_pass(world.loop);
    EXPECT_TRUE(waiter.done());
    world.event.clear();
  });
}

struct SetLater : EventWorld {
  SetLater() {
    waiter("a");
    victim = waiter("v");
    waiter("b");
    loop.call_later(1, [this] { event.set(); });
  }
  void expect_sound() override {
    EXPECT_EQ(order, victim.cancelled() ? "ab" : "avb");
    EXPECT_EQ(text(event), "<Event object at 0x* [set]>");
  }
};

TEST(EventCancel, LosesNothingAtAnyMoment) {
  EXPECT_GE(test::cancel_everywhere<SetLater>(), 3);
  EXPECT_GE(test::destroy_everywhere<SetLater>(), 8);
}

}  // namespace
}  // namespace rondo
