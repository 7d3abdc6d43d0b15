// SPDX-License-Identifier: MIT
#include "futures/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// A task's life without a coroutine in sight. Cancelling is in
// task_cancel_test.cc, eager starting in task_eager_test.cc.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;
using test::thrown_by;
using test::Throws;

/// The one of task_body.h's documentation.
class Countdown {
 public:
  Countdown(int from, std::vector<int>& seen) : left_(from), seen_(&seen) {}
  Step step(Resumption& resumption) {
    resumption.check();
    if (left_ == 0) return Step::done();
    seen_->push_back(left_--);
    return Step::yield();
  }
  void result() {}

 private:
  int left_;
  std::vector<int>* seen_;
};
static_assert(TaskBody<Countdown>);
static_assert(!TaskBody<int>);
// FAULTS E3: a destructor that may throw is refused when it is compiled.
struct ThrowsAtItsEnd : Returns<int> {
  ~ThrowsAtItsEnd() noexcept(false);
};
static_assert(!TaskBody<ThrowsAtItsEnd>);
static_assert(std::is_same_v<BodyResult<Returns<int>>, int>);

// "Its first step runs in the next pass of `loop`, behind what is queued
// already."
TEST(Task, StartsInTheNextPassBehindWhatIsQueued) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { order += '1'; });
  const Task<void> task = create_task(loop, body([&](Resumption&) {
                                        order += 'a';
                                        return Step::done();
                                      }));
  loop.call_soon([&] { order += '2'; });
  EXPECT_EQ(order, "");
  EXPECT_FALSE(task.done());
  run_one_pass(loop);
  EXPECT_EQ(order, "1a2");
  EXPECT_TRUE(task.done());
}

TEST(Task, RunsOneStepAPassThatYields) {
  EventLoop loop;
  std::vector<int> seen;
  const Task<void> task = create_task(loop, Countdown(3, seen));
  for (int passes = 1; passes <= 3; ++passes) {
    run_one_pass(loop);
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(passes));
    EXPECT_FALSE(task.done());
  }
  run_one_pass(loop);
  EXPECT_TRUE(task.done());
  EXPECT_EQ(seen, (std::vector<int>{3, 2, 1}));
}

TEST(Task, GivesWhatItsBodyGives) {
  EventLoop loop;
  const Task<int> number = create_task(loop, Returns(7));
  const Task<std::unique_ptr<int>> owned =
      create_task(loop, Returns(std::make_unique<int>(8)));
  run_one_pass(loop);
  EXPECT_EQ(number.result(), 7);
  EXPECT_EQ(*owned.result(), 8);
  EXPECT_EQ(*owned.take_result(), 8);
}

// "What either throws is what the task fails with."
TEST(Task, FailsWithWhatItsBodyThrows) {
  EventLoop loop;
  const Task<void> task = create_task(loop, Throws<std::runtime_error>("bad"));
  run_one_pass(loop);
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(task.cancelled());
  EXPECT_THROW(task.result(), std::runtime_error);
}

class ThrowsInResult {
 public:
  Step step(Resumption&) { return Step::done(); }
  int result() { throw std::runtime_error("no result"); }
};

TEST(Task, FailsWithWhatTheResultThrows) {
  EventLoop loop;
  const Task<int> task = create_task(loop, ThrowsInResult());
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "std::runtime_error('no result')");
}

class CancelsItsResult {
 public:
  Step step(Resumption&) { return Step::done(); }
  void result() { throw CancelledError("late"); }
};

TEST(Task, IsCancelledByACancelledErrorWhereverItComesFrom) {
  EventLoop loop;
  const Task<void> by_result = create_task(loop, CancelsItsResult());
  const Task<void> by_step = create_task(
      loop, body([](Resumption&) -> Step { throw CancelledError("own"); }));
  run_one_pass(loop);
  EXPECT_TRUE(by_result.cancelled());
  EXPECT_EQ(end_of(by_result), "CancelledError('late')");
  EXPECT_TRUE(by_step.cancelled());
  EXPECT_EQ(end_of(by_step), "CancelledError('own')");
}

TEST(Task, WaitsForAFutureAndIsToldHowItEnded) {
  EventLoop loop;
  Lines log;
  const Future<void> good(loop);
  const Future<void> bad(loop);
  const Future<void> cancelled(loop);
  const Task<void> a = create_task(loop, Awaits(good, log, "a"));
  const Task<void> b = create_task(loop, Awaits(bad, log, "b"));
  const Task<void> c = create_task(loop, Awaits(cancelled, log, "c"));
  run_one_pass(loop);
  EXPECT_TRUE(a.get_awaited() == good);
  good.set_result();
  bad.set_exception(std::runtime_error("bad"));
  cancelled.cancel("why");
  EXPECT_TRUE(log.empty());
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"a: done", "b: std::runtime_error('bad')",
                        "c: CancelledError('why')"}));
  EXPECT_EQ(end_of(a), "done");
  EXPECT_EQ(end_of(b), "std::runtime_error('bad')");
  EXPECT_EQ(end_of(c), "CancelledError('why')");
  EXPECT_FALSE(a.get_awaited());
}

TEST(Task, GoesOnInTheNextPassIfWhatItWaitsForIsDoneAlready) {
  EventLoop loop;
  Lines log;
  const Future<void> done(loop);
  done.set_result();
  const Task<void> task = create_task(loop, Awaits(done, log, "a"));
  run_one_pass(loop);
  EXPECT_FALSE(task.done());
  run_one_pass(loop);
  EXPECT_TRUE(task.done());
}

TEST(Task, MayBeAwaitedByMany) {
  EventLoop loop;
  Lines log;
  const Task<int> worker = create_task(loop, Returns(7));
  std::vector<Task<void>> waiting;
  for (const char* name : {"a", "b", "c"}) {
    waiting.push_back(create_task(loop, Awaits(worker, log, name)));
  }
  for (int pass = 0; pass < 3; ++pass) run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"a: done", "b: done", "c: done"}));
}

// "The body goes first, as the locals of a Python coroutine do; then those
// who wait hear of it."
TEST(Task, DestroysItsBodyBeforeItsCallbacksRun) {
  EventLoop loop;
  const auto local = std::make_shared<int>(7);
  const Task<void> task =
      create_task(loop, body([local](Resumption&) { return Step::done(); }));
  long uses = 0;
  task.add_done_callback([&](Future<void>) { uses = local.use_count(); });
  EXPECT_EQ(local.use_count(), 2);
  run_one_pass(loop);
  EXPECT_EQ(local.use_count(), 1);
  run_one_pass(loop);
  EXPECT_EQ(uses, 1);
}

// -- who owns it -------------------------------------------------------------

// "The loop owns the task until it is done: dropping this value loses no
// work."
TEST(Task, RunsThoughNobodyKeepsIt) {
  VirtualTimeLoop loop;
  bool ran = false;
  int steps = 0;
  create_task(loop, body([&](Resumption&) {
                if (++steps < 5) return Step::yield();
                ran = true;
                return Step::done();
              }));
  loop.run_until_idle();
  EXPECT_TRUE(ran);
}

TEST(Task, KeepsWhatItWaitsFor) {
  EventLoop loop;
  Lines log;
  AnyFuture awaited;
  const Task<void> task =
      create_task(loop, Awaits(Future<void>(loop), log, "a"));
  run_one_pass(loop);
  awaited = task.get_awaited();
  ASSERT_TRUE(awaited);
  EXPECT_FALSE(awaited.is_task());
  awaited.cancel();
  run_one_pass(loop);
  EXPECT_TRUE(task.cancelled());
}

TEST(Task, IsGoneWithItsLastHandleOnceDone) {
  EventLoop loop;
  const auto value = std::make_shared<int>(7);
  {
    const Task<std::shared_ptr<int>> task = create_task(loop, Returns(value));
    run_one_pass(loop);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1);
}

// -- refusals ----------------------------------------------------------------

// "Throws RuntimeError if the loop is closed."
TEST(CreateTask, IsRefusedByAClosedLoop) {
  EventLoop loop;
  loop.close();
  const auto local = std::make_shared<int>(7);
  for (const bool eager : {false, true}) {
    EXPECT_EQ(thrown_by([&] {
                create_task(loop,
                            body([local](Resumption&) { return Step::done(); }),
                            TaskOptions().eager_start(eager));
              }),
              "rondo::RuntimeError('Event loop is closed')");
  }
  EXPECT_EQ(local.use_count(), 1);
}

TEST(CreateTask, WithoutALoopNeedsARunningOne) {
  EventLoop loop;
  EXPECT_EQ(thrown_by([] { create_task(Returns(1)); }),
            "rondo::RuntimeError('no running event loop')");
  Task<int> task;
  loop.call_soon([&] { task = create_task(Returns(7)); });
  run_one_pass(loop);
  EXPECT_FALSE(task.done());
  run_one_pass(loop);
  EXPECT_EQ(task.result(), 7);
}

TEST(TaskOptions, AreAsSet) {
  const TaskOptions none;
  EXPECT_EQ(none.name(), "");
  EXPECT_FALSE(none.eager_start());
  const TaskOptions eager = TaskOptions().name("a").eager_start();
  EXPECT_TRUE(eager.eager_start());
  EXPECT_EQ(eager.name(), "a");
  const TaskOptions lazy = TaskOptions(eager).eager_start(false);
  EXPECT_FALSE(lazy.eager_start());
}

// -- waiting for what cannot be waited for -----------------------------------

TEST(Task, CannotAwaitAFutureOfAnotherLoop) {
  EventLoop loop;
  EventLoop other;
  Lines log;
  const Future<void> future(other);
  const Task<void> task =
      create_task(loop, Awaits(future, log, "a"), TaskOptions().name("lost"));
  run_one_pass(loop);
  EXPECT_FALSE(task.done());
  run_one_pass(loop);
  EXPECT_EQ(end_of(task),
            "rondo::RuntimeError(\"Task <Task pending name='lost' "
            "coro=<awaits() running>> got Future <Future pending> attached "
            "to a different loop\")");
  EXPECT_EQ(log.size(), 1u);
}

TEST(Task, CannotAwaitItself) {
  EventLoop loop;
  Lines log;
  const Task<void> task =
      create_task(loop, body([&, begun = false](Resumption& r) mutable {
                    if (std::exchange(begun, true)) r.check();
                    const AnyTask me = r.task();
                    return Step::wait(me);
                  }),
                  TaskOptions().name("me"));
  run_one_pass(loop);
  run_one_pass(loop);
  EXPECT_EQ(end_of(task),
            "rondo::RuntimeError(\"Task cannot await on itself: <Task pending "
            "name='me' coro=<body() running>>\")");
}

// -- what leaves the loop ----------------------------------------------------

template <class E>
void expect_leaves_run_forever(E exit) {
  EventLoop loop;
  std::string order;
  const Task<void> task =
      create_task(loop, body([exit](Resumption&) -> Step { throw E(exit); }));
  task.add_done_callback([&](AnyFuture) { order += 'c'; });
  loop.call_soon([&] { order += 'a'; });
  EXPECT_THROW(run_one_pass(loop), E);
  EXPECT_TRUE(task.done());
  EXPECT_TRUE(is_exit_error(task.exception()));
  EXPECT_EQ(order, "");
  run_one_pass(loop);
  EXPECT_EQ(order, "ac");
}

TEST(Task, LetsSystemExitAndKeyboardInterruptLeaveTheRun) {
  expect_leaves_run_forever(SystemExit(3));
  expect_leaves_run_forever(KeyboardInterrupt());
}

}  // namespace
}  // namespace rondo
