// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/run_in_executor.h"
#include "reactor/context.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/child_process.h"
#include "test/support/log_capture.h"

// to_thread() and shutdown_default_executor(): the operations over
// run_in_executor(), whose own tests have the rest.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::body;
using test::end_of;
using test::thrown_by;

int twice(int n) { return 2 * n; }

// -- to_thread --------------------------------------------------------------

TEST(ToThread, GivesWhatTheFunctionReturns) {
  VirtualTimeLoop loop;
  const Task<int> task = create_task(loop, to_thread(twice, 21));
  const Task<void> nothing = create_task(loop, to_thread([] {}));
  loop.run_until_idle();
  EXPECT_EQ(task.result(), 42);
  EXPECT_TRUE(nothing.done());
}

TEST(ToThread, DoesNothingUntilItIsAwaited) {
  VirtualTimeLoop loop;
  bool ran = false;
  {
    const auto never = to_thread([&] { ran = true; });
    static_cast<void>(never);
  }
  loop.run_until_idle();
  EXPECT_FALSE(ran);
  EXPECT_EQ(detail::LoopState::of(loop).default_executor, nullptr);
}

TEST(ToThread, CarriesExceptionsBack) {
  VirtualTimeLoop loop;
  const Task<void> task =
      create_task(loop, to_thread([] { throw std::out_of_range("page 7"); }));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "std::out_of_range('page 7')");
}

// p50: run_in_executor sees unset; to_thread sees context of the task.
TEST(ToThread, RunsInACopyOfTheContext) {
  ContextVar<std::string> request("request");
  VirtualTimeLoop loop;
  Future<std::string> without;
  Task<std::string> with;
  std::string after;
  create_task(loop, body([&](Resumption& resumption) {
                resumption.check();
                if (with) {
                  after = request.get("unset");
                  return Step::done();
                }
                request.set("7");
                without = run_in_executor(nullptr,
                                          [&] { return request.get("unset"); });
                with = create_task(to_thread([&] {
                  const std::string before = request.get("unset");
                  request.set("changed in the thread");
                  return before;
                }));
                return Step::wait(with);
              }));
  loop.run_until_idle();
  EXPECT_EQ(without.result(), "unset");
  EXPECT_EQ(with.result(), "7");
  EXPECT_EQ(after, "7");
}

TEST(ToThread, IsAFutureForACallback) {
  VirtualTimeLoop loop;
  int got = 0;
  loop.call_soon([&] {
    Future<int> future = to_thread(twice, 4);
    future.add_done_callback([&](Future<int> f) { got = f.result(); });
  });
  loop.run_until_idle();
  EXPECT_EQ(got, 8);
}

TEST(ToThread, IsCancelledAtOnceThoughItsCallGoesOn) {
  VirtualTimeLoop loop;
  std::latch began(1), go_on(1);
  std::atomic<bool> finished = false;
  const Task<void> task = create_task(loop, to_thread([&] {
                                        began.count_down();
                                        go_on.wait();
                                        finished = true;
                                      }));
  loop.run_once();
  began.wait();
  EXPECT_TRUE(task.cancel());
  loop.run_once();
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(finished);
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(finished);
}

TEST(ToThread, TakesACallBackThatNoThreadHasBegun) {
  VirtualTimeLoop loop;
  const auto pool = std::make_shared<ThreadPool>(1);
  set_default_executor(loop, pool);
  std::latch began(1), go_on(1);
  run_in_executor(loop, nullptr, [&] {
    began.count_down();
    go_on.wait();
  });
  began.wait();
  bool ran = false;
  for (const bool destroyed : {false, true}) {
    {
      // Stepped by hand, as by a task that is then destroyed.
      auto waiting = to_thread([&] { ran = true; });
      auto holder = std::make_unique<decltype(waiting)>(std::move(waiting));
      Task<void> task = create_task(loop, body([&](Resumption& resumption) {
                                      resumption.check();
                                      return holder->step(resumption);
                                    }));
      loop.run_once();
      EXPECT_EQ(pool->queued(), 1u);
      if (destroyed) {
        holder.reset();
      } else {
        task.cancel();
      }
      EXPECT_EQ(pool->queued(), 0u);
      while (!task.done()) loop.run_once();
      EXPECT_TRUE(task.cancelled());
    }
  }
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_FALSE(ran);
}

// -- shutdown_default_executor ----------------------------------------------

TEST(ShutdownDefaultExecutor, WaitsForTheThreadsWithTheLoopRunning) {
  VirtualTimeLoop loop;
  std::latch go_on(1);
  std::atomic<bool> finished = false;
  bool finished_before = false;
  run_in_executor(loop, nullptr, [&] {
    go_on.wait();
    finished = true;
  });
  const Task<void> end = create_task(loop, shutdown_default_executor(loop));
  end.add_done_callback([&](Future<void>) { finished_before = finished; });
  loop.call_soon([&] { go_on.count_down(); });
  loop.run_until_idle();
  EXPECT_TRUE(finished_before);
  EXPECT_EQ(end_of(end), "done");
  EXPECT_EQ(detail::LoopState::of(loop).default_executor->thread_count(), 0u);
}

TEST(ShutdownDefaultExecutor, RefusesFurtherCalls) {
  VirtualTimeLoop loop;
  create_task(loop, shutdown_default_executor(loop));
  loop.run_until_idle();
  EXPECT_EQ(thrown_by([&] { run_in_executor(loop, nullptr, twice, 1); }),
            "rondo::RuntimeError('Executor shutdown has been called')");
  const Task<int> task = create_task(loop, to_thread(twice, 1));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task),
            "rondo::RuntimeError('Executor shutdown has been called')");
}

TEST(ShutdownDefaultExecutor, IsDoneAtOnceWithoutAnExecutor) {
  VirtualTimeLoop loop;
  Future<void> end;
  loop.call_soon([&] { end = shutdown_default_executor(); });
  loop.run_once();
  EXPECT_TRUE(end.done());
}

TEST(ShutdownDefaultExecutor, GivesUpAfterItsTimeout) {
  VirtualTimeLoop loop;
  LogCapture log;
  std::latch go_on(1);
  const Future<void> slow =
      run_in_executor(loop, nullptr, [&] { go_on.wait(); });
  const Task<void> end =
      create_task(loop, shutdown_default_executor(loop, 1ms));
  while (!end.done()) loop.run_once();
  EXPECT_EQ(end_of(end), "done");
  EXPECT_EQ(log.lines(),
            test::Lines{"warning: The executor did not finishing joining its "
                        "threads within 0.001 seconds."});
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(slow.done());
}

TEST(ShutdownDefaultExecutor, ACancelEndsTheWaitOnly) {
  VirtualTimeLoop loop;
  std::latch go_on(1);
  const Future<void> slow =
      run_in_executor(loop, nullptr, [&] { go_on.wait(); });
  const Task<void> end = create_task(loop, shutdown_default_executor(loop));
  loop.run_once();
  end.cancel();
  loop.run_once();
  EXPECT_TRUE(end.cancelled());
  EXPECT_FALSE(slow.done());
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(slow.done());
}

TEST(ShutdownDefaultExecutor, MayBeDestroyedWithTheLoop) {
  std::latch go_on(1);
  std::atomic<bool> finished = false;
  {
    LogCapture log;
    VirtualTimeLoop loop;
    run_in_executor(loop, nullptr, [&] {
      go_on.wait();
      finished = true;
      finished.notify_all();
    });
    create_task(loop, shutdown_default_executor(loop));
    loop.run_once();
  }
  EXPECT_FALSE(finished);
  go_on.count_down();
  finished.wait(false);
}

TEST(ShutdownDefaultExecutor, MayBeDestroyedInAForkedChild) {
  LogCapture log;
  VirtualTimeLoop loop;
  std::latch go_on(1);
  const Future<void> slow =
      run_in_executor(loop, nullptr, [&] { go_on.wait(); });
  const Task<void> end = create_task(loop, shutdown_default_executor(loop));
  loop.run_once();
  EXPECT_EQ(in_child([&] {
              loop.close();
              return std::string("closed");
            }),
            "closed");
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_EQ(end_of(end), "done");
}

TEST(ShutdownDefaultExecutor, MayBeAskedForTwice) {
  VirtualTimeLoop loop;
  run_in_executor(loop, nullptr, [] {});
  const Task<void> once = create_task(loop, shutdown_default_executor(loop));
  const Task<void> again = create_task(loop, shutdown_default_executor(loop));
  loop.run_until_idle();
  EXPECT_EQ(end_of(once), "done");
  EXPECT_EQ(end_of(again), "done");
}

}  // namespace
}  // namespace rondo
