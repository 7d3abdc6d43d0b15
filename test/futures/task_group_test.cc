// SPDX-License-Identifier: MIT
#include "futures/task_group.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// A TaskGroup by enter() and exit(): probes p33 and p36. With coroutines, and
// CPython's regressions: coro/task_group_test.cc.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;
using test::thrown_by;
using test::Throws;
using test::With;

/// A block that does `begin` in its first step and ends.
template <class Begin>
auto block(Begin begin) {
  return body([begin](Resumption& r) {
    r.check();
    begin();
    return Step::done();
  });
}

/// One that goes on to wait for ever.
template <class Begin>
auto block_that_waits(Begin begin) {
  return body([begin, begun = false](Resumption& r) mutable {
    r.check();
    if (!std::exchange(begun, true)) begin();
    return test::wait_for_ever(r);
  });
}

TEST(TaskGroup, WaitsForAllItsTasks) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Task<int> one;
  Task<int> two;
  const Task<void> parent =
      create_task(loop, With(group, block([&] {
                               one = group.create_task(sleep(1, 1));
                               two = group.create_task(sleep(2, 2));
                             })));
  loop.advance(1s);
  EXPECT_TRUE(one.done());
  EXPECT_FALSE(parent.done());
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent), "done");
  EXPECT_EQ(one.result(), 1);
  EXPECT_EQ(two.result(), 2);
}

TEST(TaskGroup, IsSeenInItsTasks) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Task<void> child;
  create_task(loop,
              With(group, block([&] { child = group.create_task(sleep(1)); })));
  run_one_pass(loop);
  const std::string text = to_string(child);
  EXPECT_NE(text.find(" cb=[TaskGroup._on_task_done()]>"), std::string::npos)
      << text;
  loop.run_until_idle();
  EXPECT_TRUE(child.done());
}

TEST(TaskGroup, WithoutTasksNeedNotWait) {
  EventLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(loop, With(group, block([] {})));
  run_one_pass(loop);
  EXPECT_TRUE(parent.done());
  EXPECT_EQ(end_of(parent), "done");
}

// "When one of them fails, the others are cancelled, the block too, and all
// are waited for; exit() then throws an ExceptionGroup of what failed, in the
// order in which it happened."
TEST(TaskGroup, CancelsTheOthersAndTheBlockWhenOneFails) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block_that_waits([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "other"));
                   group.create_task(Throws<std::runtime_error>("boom"));
                 })));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"other: CancelledError()"}));
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('boom')])");
  EXPECT_EQ(parent.cancelling(), 0u);
}

TEST(TaskGroup, GathersWhatFailsLater) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(
                       body([begun = false](Resumption& r) mutable -> Step {
                         if (std::exchange(begun, true)) {
                           throw std::logic_error("in its cleanup");
                         }
                         return test::wait_for_ever(r);
                       }));
                   group.create_task(Throws<std::runtime_error>("first"));
                   group.create_task(Throws<std::runtime_error>("second"));
                 })));
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('first'), std::runtime_error('second'), "
            "std::logic_error('in its cleanup')])");
}

TEST(TaskGroup, GathersAllThatFailsTheBlockLast) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, body([&, state = 0](Resumption& r) mutable -> Step {
                   if (state++ == 0) {
                     group.create_task(Throws<std::runtime_error>("first"));
                     group.create_task(Throws<std::runtime_error>("second"));
                     return test::wait_for_ever(r);
                   }
                   throw std::runtime_error("the block");
                 })));
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('first'), std::runtime_error('second'), "
            "std::runtime_error('the block')])");
  EXPECT_EQ(parent.cancelling(), 0u);
}

TEST(TaskGroup, ThrowsTheBlocksExceptionInAGroup) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop,
      With(group, body([&, begun = false](Resumption&) mutable -> Step {
             if (!std::exchange(begun, true)) {
               group.create_task(Awaits(Future<void>(loop), log, "child"));
               return Step::yield();
             }
             throw std::runtime_error("the block");
           })));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"child: CancelledError()"}));
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('the block')])");
}

// p33: "a cancelled child alone is not an error".
TEST(TaskGroup, DoesNotMindAChildThatIsCancelled) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Task<void> child;
  Task<void> other;
  const Task<void> parent =
      create_task(loop, With(group, block([&] {
                               child = group.create_task(sleep(1));
                               other = group.create_task(sleep(2));
                             })));
  run_one_pass(loop);
  child.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(child.cancelled());
  EXPECT_EQ(end_of(other), "done");
  EXPECT_EQ(end_of(parent), "done");
}

TEST(TaskGroup, TakesTasksOfItsTasks) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Lines log;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(block([&] {
                     group.create_task(block([&] { log.push_back("deep"); }));
                   }));
                 })));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"deep"}));
  EXPECT_EQ(end_of(parent), "done");
}

TEST(TaskGroup, ForgetsTasksThatHaveEnded) {
  VirtualTimeLoop loop;
  TaskGroup group;
  std::size_t ended = 0;
  const Task<void> parent = create_task(
      loop, With(group, body([&, left = 200](Resumption& r) mutable {
                   r.check();
                   group.create_task(block([&] { ++ended; }));
                   return --left > 0 ? Step::yield() : Step::done();
                 })));
  loop.run_until_idle();
  EXPECT_EQ(ended, 200u);
  EXPECT_EQ(end_of(parent), "done");
}

// -- what ends the program ----------------------------------------------------

TEST(TaskGroup, ThrowsWhatEndsTheProgramByItself) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block_that_waits([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "a"));
                   group.create_task(
                       body([](Resumption&) -> Step { throw SystemExit(3); }));
                 })));
  run_one_pass(loop);
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  EXPECT_THROW(loop.run_until_idle(), SystemExit);  // the group's own
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(parent), "SystemExit(3)");
}

TEST(TaskGroup, ThrowsWhatEndsTheProgramOutOfTheBlockByItself) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent =
      create_task(loop, With(group, block([&] {
                               group.create_task(sleep(1));
                               throw KeyboardInterrupt();
                             })));
  EXPECT_THROW(loop.run_until_idle(), KeyboardInterrupt);
  EXPECT_EQ(end_of(parent), "KeyboardInterrupt()");
}

// -- misuse (p36) -------------------------------------------------------------

TEST(TaskGroup, RefusesTasksWhenItIsNotOpen) {
  VirtualTimeLoop loop;
  TaskGroup group;
  EXPECT_EQ(to_string(group), "<TaskGroup>");
  EXPECT_EQ(thrown_by([&] { group.create_task(sleep(1)); }),
            "rondo::RuntimeError('TaskGroup <TaskGroup> has not been "
            "entered')");
  create_task(loop, With(group, block([&] {
                           EXPECT_EQ(to_string(group), "<TaskGroup entered>");
                           group.create_task(sleep(1));
                           EXPECT_EQ(to_string(group),
                                     "<TaskGroup tasks=1 entered>");
                         })));
  loop.run_until_idle();
  EXPECT_EQ(thrown_by([&] { group.create_task(sleep(1)); }),
            "rondo::RuntimeError('TaskGroup <TaskGroup entered> is "
            "finished')");
}

TEST(TaskGroup, RefusesTasksWhileItShutsDown) {
  VirtualTimeLoop loop;
  TaskGroup group;
  std::string refused;
  const Task<void> parent = create_task(
      loop,
      With(group, block([&] {
             group.create_task(body([&, begun = false](Resumption& r) mutable {
               if (std::exchange(begun, true)) {
                 refused = thrown_by([&] { group.create_task(sleep(1)); });
                 return Step::done();
               }
               return test::wait_for_ever(r);
             }));
             group.create_task(Throws<std::runtime_error>("x"));
           })));
  loop.run_until_idle();
  EXPECT_EQ(refused,
            "rondo::RuntimeError('TaskGroup <TaskGroup tasks=1 errors=1 "
            "cancelling> is shutting down')");
  static_cast<void>(parent.exception());
}

TEST(TaskGroup, IsEnteredOnceAndInATask) {
  VirtualTimeLoop loop;
  TaskGroup outside;
  std::string text;
  loop.call_soon([&] { text = thrown_by([&] { outside.enter(); }); });
  run_one_pass(loop);
  EXPECT_EQ(text,
            "rondo::RuntimeError('TaskGroup <TaskGroup entered> cannot "
            "determine the parent task')");
  EXPECT_THROW(outside.create_task(sleep(1)), RuntimeError);
  TaskGroup group;
  create_task(
      loop,
      With(group, block([&] { text = thrown_by([&] { group.enter(); }); })));
  run_one_pass(loop);
  EXPECT_EQ(text,
            "rondo::RuntimeError('TaskGroup <TaskGroup entered> has been "
            "already entered')");
}

// A task may be made of the group by whoever has it, and outlive the parent's
// block only in error: nobody is there who could throw it.
TEST(TaskGroup, TellsTheLoopOfAFailureAfterItsParentIsDone) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  TaskGroup group;
  const Future<void> gate(loop);
  const Task<void> parent = create_task(
      loop, body([&](Resumption&) {
        group.enter();
        group.create_task(body([&, begun = false](Resumption&) mutable -> Step {
          if (std::exchange(begun, true)) throw std::runtime_error("late");
          return Step::wait(gate);
        }));
        return Step::done();  // without exit()
      }),
      TaskOptions().name("parent"));
  run_passes(loop, 2);
  gate.set_result();
  run_passes(loop, 2);
  ASSERT_EQ(reports.messages.size(), 1u);
  EXPECT_NE(reports.messages[0].find(
                "has errored out but its parent task <Task finished "
                "name='parent' coro=<body() done> result=None> is already "
                "completed"),
            std::string::npos)
      << reports.messages[0];
}

// "Destroying it before cancels its tasks and waits for none."
TEST(TaskGroup, CancelsItsTasksWhenItIsDestroyed) {
  VirtualTimeLoop loop;
  Lines log;
  std::optional<TaskGroup> group(std::in_place);
  Task<void> child;
  create_task(
      loop, body([&](Resumption&) {
        group->enter();
        group->create_task(Returns(7));
        child = group->create_task(Awaits(Future<void>(loop), log, "child"));
        return Step::done();
      }));
  run_passes(loop, 3);
  group.reset();
  EXPECT_EQ(child.cancelling(), 1u);
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"child: CancelledError()"}));
}

}  // namespace
}  // namespace rondo
