// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "futures/operation.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "futures/task_group.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// "Runs the first step inside create_task(), as 3.12's eager tasks: one that
// does not wait is done when that returns."

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;
using test::Throws;

const TaskOptions kEager = TaskOptions().eager_start();

TEST(EagerTask, IsDoneWhenItNeedNotWait) {
  EventLoop loop;
  const Task<int> task = create_task(loop, Returns(7), kEager);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result(), 7);
  EXPECT_TRUE(all_tasks(loop).empty());
  const Task<void> failed =
      create_task(loop, Throws<std::runtime_error>("bad"), kEager);
  EXPECT_EQ(end_of(failed), "std::runtime_error('bad')");
}

TEST(EagerTask, GoesOnAsAnyOtherOnceItWaits) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> task = create_task(loop, Awaits(future, log, "a"), kEager);
  EXPECT_FALSE(task.done());
  EXPECT_TRUE(task.get_awaited() == future);
  EXPECT_EQ(all_tasks(loop).size(), 1u);
  task.cancel();
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_TRUE(task.cancelled());
}

TEST(EagerTask, CallsBackThroughTheReadyQueueAllTheSame) {
  EventLoop loop;
  bool called = false;
  const Task<int> task = create_task(loop, Returns(7), kEager);
  task.add_done_callback([&](AnyFuture) { called = true; });
  EXPECT_FALSE(called);
  run_one_pass(loop);
  EXPECT_TRUE(called);
}

TEST(EagerTask, IsTheCurrentOneWhileItsFirstStepRuns) {
  EventLoop loop;
  AnyTask inside;
  AnyTask before;
  AnyTask after;
  Task<void> inner;
  const Task<void> outer =
      create_task(loop, body([&](Resumption& r) {
                    before = current_task();
                    inner = create_task(r.loop(), body([&](Resumption&) {
                                          inside = current_task();
                                          return Step::done();
                                        }),
                                        kEager);
                    after = current_task();
                    return Step::done();
                  }));
  run_one_pass(loop);
  EXPECT_TRUE(before == outer);
  EXPECT_TRUE(inside == inner);
  EXPECT_TRUE(after == outer);
}

TEST(EagerTask, MayCancelItself) {
  EventLoop loop;
  const Task<void> ended = create_task(loop, body([](Resumption& r) {
                                         r.task().cancel();
                                         return Step::done();
                                       }),
                                       kEager);
  EXPECT_TRUE(ended.cancelled());
  const Future<void> future(loop);
  const Task<void> waits =
      create_task(loop, body([&, begun = false](Resumption& r) mutable {
                    if (std::exchange(begun, true)) {
                      r.check();
                      return Step::done();
                    }
                    r.task().cancel();
                    return Step::wait(future);
                  }),
                  kEager);
  EXPECT_TRUE(future.cancelled());
  run_one_pass(loop);
  EXPECT_TRUE(waits.cancelled());
}

TEST(EagerTask, HasItsNameInItsFirstStep) {
  EventLoop loop;
  std::string name;
  create_task(loop, body([&](Resumption& r) {
                name = r.task().get_name();
                return Step::done();
              }),
              TaskOptions().name("early").eager_start());
  EXPECT_EQ(name, "early");
}

TEST(EagerTask, LetsSystemExitLeaveTheCall) {
  EventLoop loop;
  EXPECT_THROW(
      create_task(loop, body([](Resumption&) -> Step { throw SystemExit(3); }),
                  kEager),
      SystemExit);
  EXPECT_TRUE(all_tasks(loop).empty());
}

// -- operations --------------------------------------------------------------

// "Begins now, on `loop`, as an eager task: what need not wait is done when
// this returns."
TEST(Operation, IsStartedEagerly) {
  VirtualTimeLoop loop;
  const Task<int> task = sleep(1, 7).start(loop);
  EXPECT_FALSE(task.done());
  ASSERT_TRUE(task.get_awaited());  // its timer runs already
  loop.advance(std::chrono::seconds(1));
  EXPECT_EQ(task.result(), 7);
}

// "As start() on the running loop."
TEST(Operation, ConvertsToAFutureOfTheRunningLoop) {
  VirtualTimeLoop loop;
  EXPECT_THROW(static_cast<void>(Future<void>(sleep(1))), RuntimeError);
  Future<void> future;
  double when = -1;
  loop.call_soon([&] {
    future = sleep(1);
    future.add_done_callback([&](AnyFuture) {
      when =
          std::chrono::duration<double>(loop.time().time_since_epoch()).count();
    });
  });
  loop.run_until_idle();
  EXPECT_DOUBLE_EQ(when, 1);
}

}  // namespace
}  // namespace rondo
