// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "futures/operation.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"

// Which tasks there are, which one runs, and what they are called.

namespace rondo {
namespace {

using test::body;
using test::Returns;
using test::thrown_by;

TEST(AllTasks, AreThoseThatAreNotDoneOldestFirst) {
  VirtualTimeLoop loop;
  EXPECT_TRUE(all_tasks(loop).empty());
  const Task<void> a = create_task(loop, sleep(1));
  const Task<void> b = create_task(loop, sleep(2));
  const Task<void> c = create_task(loop, sleep(3));
  const auto names = [&] {
    std::string text;
    for (const AnyTask& task : all_tasks(loop)) {
      text += task == a ? 'a' : task == b ? 'b' : task == c ? 'c' : '?';
    }
    return text;
  };
  EXPECT_EQ(names(), "abc");
  b.cancel();
  EXPECT_EQ(names(), "abc");
  loop.advance(Duration::zero());
  EXPECT_EQ(names(), "ac");
  loop.advance(std::chrono::seconds(1));
  EXPECT_EQ(names(), "c");
  loop.run_until_idle();
  EXPECT_EQ(names(), "");
}

TEST(AllTasks, OfTheRunningLoopNeedOne) {
  EventLoop loop;
  EXPECT_EQ(thrown_by([] { all_tasks(); }),
            "rondo::RuntimeError('no running event loop')");
  std::size_t count = 0;
  loop.call_soon([&] { count = all_tasks().size(); });
  create_task(loop, Returns(1));
  run_one_pass(loop);
  EXPECT_EQ(count, 1u);
}

// -- the current one ---------------------------------------------------------

// "The task whose body is running on `loop` now, or none: in a plain
// callback."
TEST(CurrentTask, IsTheOneWhoseBodyRuns) {
  EventLoop loop;
  AnyTask in_body;
  AnyTask told;
  AnyTask in_callback = create_task(loop, Returns(1));
  const Task<void> task = create_task(loop, body([&](Resumption& r) {
                                        in_body = current_task();
                                        told = r.task();
                                        EXPECT_EQ(&r.loop(), &loop);
                                        return Step::done();
                                      }));
  task.add_done_callback([&](AnyFuture) { in_callback = current_task(); });
  run_one_pass(loop);
  EXPECT_TRUE(in_body == task);
  EXPECT_TRUE(told == task);
  run_one_pass(loop);
  EXPECT_FALSE(in_callback);
  EXPECT_FALSE(current_task(loop));
  EXPECT_EQ(thrown_by([] { current_task(); }),
            "rondo::RuntimeError('no running event loop')");
}

// -- names -------------------------------------------------------------------

TEST(TaskName, IsANumberUnlessGiven) {
  EventLoop loop;
  const Task<int> first = create_task(loop, Returns(1));
  const Task<int> second = create_task(loop, Returns(1));
  const int number = std::stoi(first.get_name().substr(5));
  EXPECT_EQ(first.get_name(), "Task-" + std::to_string(number));
  EXPECT_EQ(second.get_name(), "Task-" + std::to_string(number + 1));
  const Task<int> named =
      create_task(loop, Returns(1), TaskOptions().name("17"));
  EXPECT_EQ(named.get_name(), "17");
  named.set_name("eighteen");
  EXPECT_EQ(AnyTask(named).get_name(), "eighteen");
  run_one_pass(loop);
}

// -- ensure_future -----------------------------------------------------------

TEST(EnsureFuture, LeavesAFutureOrATaskAsItIs) {
  EventLoop loop;
  const Future<int> future(loop);
  EXPECT_TRUE(ensure_future(loop, future) == future);
  EXPECT_TRUE(ensure_future(future) == future);
  const Task<int> task = create_task(loop, Returns(7));
  EXPECT_TRUE(ensure_future(loop, task) == task);
  run_one_pass(loop);
}

TEST(EnsureFuture, MakesATaskOfAnythingElse) {
  EventLoop loop;
  const Task<int> task = ensure_future(loop, Returns(7));
  Task<int> inside;
  loop.call_soon([&] { inside = ensure_future(Returns(8)); });
  run_one_pass(loop);
  EXPECT_EQ(task.result(), 7);
  run_one_pass(loop);
  EXPECT_EQ(inside.result(), 8);
  EXPECT_THROW(ensure_future(Returns(9)), RuntimeError);
}

}  // namespace
}  // namespace rondo
