// SPDX-License-Identifier: MIT
#include "futures/sync/barrier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
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

struct BarrierWorld : SyncWorld {
  explicit BarrierWorld(int parties) : barrier(parties) {}
  // order.append(name + str(await barrier.wait()))
  Script party(const std::string& name) {
    return Script(*this).await([this] { return barrier.wait(); },
                               [this, name](int index) {
                                 order += name + std::to_string(index) + " ";
                               });
  }
  Task<void> come(const std::string& name) {
    auto task = create_task(loop, party(name));
    run_passes(loop, 3);
    return task;
  }
  template <class Operation>
  void do_now(Operation operation) {
    auto task = create_task(loop, std::move(operation));
    loop.run_until_idle();
    EXPECT_EQ(end_of(task), "done");
  }
  Barrier barrier;
};

TEST(Barrier, HoldsTasksUpUntilAllHaveCome) {
  BarrierWorld world(3);
  EXPECT_EQ(world.text(world.barrier),
            "<Barrier object at 0x* [filling, waiters:0/3]>");
  world.come("a");
  world.come("b");
  EXPECT_EQ(world.barrier.n_waiting(), 2);
  EXPECT_EQ(world.barrier.parties(), 3);
  EXPECT_EQ(world.text(world.barrier),
            "<Barrier object at 0x* [filling, waiters:2/3]>");
  EXPECT_EQ(world.order, "");
  world.come("c");
  EXPECT_EQ(world.order, "c2 a0 b1 ") << "the last one goes on first";
  EXPECT_EQ(world.barrier.n_waiting(), 0);
}

TEST(Barrier, ServesOneRoundAfterTheOther) {
  BarrierWorld world(2);
  for (const char* name : {"a", "b", "c", "d", "e"}) world.come(name);
  EXPECT_EQ(world.order, "b1 a0 d1 c0 ");
  EXPECT_EQ(world.barrier.n_waiting(), 1);
  world.come("f");
}

TEST(Barrier, HoldsUpWhoComesWhileItDrains) {
  BarrierWorld world(2);
  world.come("a");
  // All in one pass: b fills it, c and d come while a has not run yet.
  for (const char* name : {"b", "c", "d"}) {
    create_task(world.loop, world.party(name));
  }
  run_one_pass(world.loop);
  EXPECT_EQ(world.order, "b1 ");
  EXPECT_EQ(world.text(world.barrier),
            "<Barrier object at 0x* [draining, waiters:0/2]>");
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "b1 a0 d1 c0 ");
}

TEST(Barrier, OfOneHoldsNobodyUp) {
  BarrierWorld world(1);
  auto task = world.barrier.wait().start(world.loop);
  EXPECT_EQ(task.result(), 0);
}

TEST(Barrier, IsForOneAtLeast) {
  EXPECT_EQ(thrown_by([] { Barrier barrier(0); }),
            "std::invalid_argument('parties must be > 0')");
}

TEST(Barrier, IsBrokenByAbort) {
  BarrierWorld world(3);
  auto a = world.come("a");
  world.do_now(world.barrier.abort());
  EXPECT_TRUE(world.barrier.broken());
  EXPECT_EQ(world.text(world.barrier), "<Barrier object at 0x* [broken]>");
  EXPECT_EQ(end_of(a),
            "rondo::BrokenBarrierError('Abort or reset of barrier')");
  EXPECT_EQ(end_of(world.come("b")),
            "rondo::BrokenBarrierError('Barrier aborted')");
  world.do_now(world.barrier.reset());
  EXPECT_FALSE(world.barrier.broken());
  for (const char* name : {"c", "d", "e"}) world.come(name);
  EXPECT_EQ(world.order, "e2 c0 d1 ");
}

TEST(Barrier, FailsARoundByReset) {
  BarrierWorld world(3);
  auto a = world.come("a");
  auto b = world.come("b");
  auto reset = create_task(world.loop, world.barrier.reset());
  auto late = create_task(world.loop, world.party("c"));
  run_one_pass(world.loop);
  EXPECT_EQ(world.text(world.barrier),
            "<Barrier object at 0x* [resetting, waiters:0/3]>");
  EXPECT_EQ(world.barrier.n_waiting(), 0);
  world.loop.run_until_idle();
  for (const auto& task : {a, b}) {
    EXPECT_EQ(end_of(task),
              "rondo::BrokenBarrierError('Abort or reset of barrier')");
  }
  EXPECT_EQ(world.barrier.n_waiting(), 1) << "c waits for the next round";
  for (const char* name : {"d", "e"}) world.come(name);
  EXPECT_EQ(end_of(late), "done");
  world.do_now(world.barrier.reset());  // an empty one: nothing happens
  EXPECT_FALSE(world.barrier.broken());
}

// gh-155233: in CPython b and c would both get 1.
TEST(Barrier, GivesEachIndexOnceAfterACancel) {
  BarrierWorld world(3);
  auto cancelled = world.come("a");
  world.come("b");
  cancelled.cancel();
  run_passes(world.loop, 3);
  EXPECT_EQ(world.barrier.n_waiting(), 1);
  world.come("c");
  world.come("d");
  EXPECT_EQ(world.order, "d2 b1 c0 ");
}

TEST(Barrier, IsNotHeldUpByACancelWhenAllHaveCome) {
  BarrierWorld world(2);
  auto cancelled = world.come("a");
  auto b = create_task(world.loop, world.party("b"));
  run_one_pass(world.loop);
  cancelled.cancel();
  world.loop.run_until_idle();
  EXPECT_TRUE(cancelled.cancelled());
  EXPECT_EQ(world.order, "b1 ");
  world.come("c");
  world.come("d");
  EXPECT_EQ(world.order, "b1 d1 c0 ");
}

TEST(Barrier, BelongsToTheLoopOfItsFirstWaiter) {
  BarrierWorld world(3);
  world.come("a");
  VirtualTimeLoop other;
  auto stranger = world.barrier.wait().start(other);
  other.run_until_idle();
  EXPECT_NE(end_of(stranger).find("is bound to a different event loop"),
            std::string::npos);
  world.come("b");
  world.come("c");
}

TEST(Barrier, FailsThoseWhoWaitWhenItIsDestroyed) {
  SyncWorld world;
  auto barrier = std::make_unique<Barrier>(3);
  auto waiting = barrier->wait().start(world.loop);
  auto cancelled = barrier->wait().start(world.loop);
  barrier.reset();
  cancelled.cancel();
  world.loop.run_until_idle();
  EXPECT_EQ(end_of(waiting), "rondo::RuntimeError('Barrier was destroyed')");
  EXPECT_EQ(end_of(cancelled), "CancelledError()");
}

TEST(Barrier, WaitsWithoutAnAllocationInSteadyState) {
  BarrierWorld world(2);
  world.expect_no_allocation([&] {
    auto a = world.barrier.wait().start(world.loop);
    auto b = world.barrier.wait().start(world.loop);
    run_passes(world.loop, 3);
    EXPECT_TRUE(a.done());
  });
}

// A body that gives up on its wait() without being cancelled, held up or
// among the parties.
TEST(Barrier, IsLeftByAnOperationThatIsDestroyed) {
  BarrierWorld world(2);
  std::optional<Barrier::Wait> wait(world.barrier.wait());
  auto fickle = create_task(world.loop, test::body([&](Resumption& resumption) {
                              if (resumption.take_error() == nullptr) {
                                return wait->step(resumption);
                              }
                              wait.reset();
                              return Step::done();
                            }));
  run_one_pass(world.loop);
  EXPECT_EQ(world.barrier.n_waiting(), 1);
  fickle.cancel();
  run_one_pass(world.loop);
  EXPECT_EQ(end_of(fickle), "done");
  EXPECT_EQ(world.barrier.n_waiting(), 0);
  world.come("a");
  world.come("b");
  EXPECT_EQ(world.order, "b1 a0 ");
}

// -- a cancel, or the end, at each moment ------------------------------------

// Four for a barrier of three, and as many more as a cancel makes necessary.
struct FourForThree : BarrierWorld {
  explicit FourForThree(int which) : BarrierWorld(3) {
    for (int i = 0; i < 4; ++i) {
      auto task = create_task(loop, party(std::string(1, "abcd"[i])));
      if (i == which) victim = task;
    }
    may_leave_tasks = true;
  }
  void expect_sound() override {
    // Without a cancel one is left; with one, nobody or three.
    while (barrier.n_waiting() != 0) come("x");
    EXPECT_TRUE(all_tasks(loop).empty());
    // In each round each index once, but for who was cancelled on its way.
    int seen[3] = {0, 0, 0};
    for (const char c : order) {
      if (c >= '0' && c <= '2') ++seen[c - '0'];
    }
    const int most = std::max({seen[0], seen[1], seen[2]});
    int missing = 0;
    for (const int count : seen) missing += most - count;
    EXPECT_LE(missing, victim.cancelled() ? 1 : 0) << order;
    EXPECT_EQ(text(barrier), "<Barrier object at 0x* [filling, waiters:0/3]>");
  }
};

TEST(BarrierCancel, HoldsNobodyUpForEver) {
  for (const int which : {0, 1, 2, 3}) {
    SCOPED_TRACE(which);
    const test::MakeWorld make = [which] {
      return std::make_unique<FourForThree>(which);
    };
    EXPECT_GE(test::cancel_everywhere(make), 2);
    test::cancel_twice_everywhere(make);
    EXPECT_GE(test::destroy_everywhere(make), 10);
  }
}

// reset() and abort() wait for the lock; who is cancelled does not do it.
struct Resets : BarrierWorld {
  explicit Resets(bool abort) : BarrierWorld(2) {
    create_task(loop, party("a"));
    Script script(*this);
    script = Script(std::move(script)).await([] { return sleep(0); });
    victim = abort ? create_task(loop, Script(std::move(script)).await([this] {
      return barrier.abort();
    }))
                   : create_task(loop, Script(std::move(script)).await([this] {
                       return barrier.reset();
                     }));
    create_task(loop, Script(*this)
                          .await([] { return sleep(0); })
                          .await([] { return sleep(0); })
                          .await([this] { return barrier.wait(); }));
    may_leave_tasks = true;
    may_report = true;
  }
  void expect_sound() override {
    do_now(barrier.reset());
    EXPECT_TRUE(all_tasks(loop).empty());
    EXPECT_EQ(text(barrier), "<Barrier object at 0x* [filling, waiters:0/2]>");
  }
};

TEST(BarrierCancel, LeavesItWholeWhenAResetOrAnAbortIsCancelled) {
  for (const bool abort : {false, true}) {
    const test::MakeWorld make = [abort] {
      return std::make_unique<Resets>(abort);
    };
    EXPECT_GE(test::cancel_everywhere(make), 2);
    EXPECT_GE(test::destroy_everywhere(make), 8);
  }
}

}  // namespace
}  // namespace rondo
