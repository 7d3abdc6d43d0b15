// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/gather.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// "An exception that nobody reads, by result(), exception() or an await, is
// told to the loop's exception handler when the last copy is dropped": probe
// p44. And what is said of tasks that their loop leaves behind.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::Lines;
using test::Throws;

/// All that is told to a loop's exception handler, whole.
class Contexts {
 public:
  explicit Contexts(EventLoop& loop) {
    loop.set_exception_handler(
        [this](EventLoop&, const ExceptionContext& context) {
          texts.push_back(to_string(context));
          keys = context.keys();
        });
  }
  std::vector<std::string> texts;
  std::vector<std::string> keys;
};

TEST(NeverRetrieved, IsReportedInAsynciosWords) {
  EventLoop loop;
  Contexts told(loop);
  {
    const Future<int> future(loop);
    future.set_exception(std::runtime_error("future"));
    EXPECT_TRUE(told.texts.empty());
  }
  ASSERT_EQ(told.texts.size(), 1u);
  EXPECT_EQ(told.texts[0],
            "Future exception was never retrieved\n"
            "future: <Future finished exception=std::runtime_error('future')>\n"
            "std::runtime_error: future");
  EXPECT_EQ(told.keys, (Lines{"exception", "future", "message"}));
  create_task(loop, Throws<std::runtime_error>("task"),
              TaskOptions().name("dropped"));
  run_one_pass(loop);
  ASSERT_EQ(told.texts.size(), 2u);
  EXPECT_EQ(told.texts[1],
            "Task exception was never retrieved\n"
            "future: <Task finished name='dropped' coro=<throws() done> "
            "exception=std::runtime_error('task')>\n"
            "std::runtime_error: task");
  EXPECT_EQ(told.keys, (Lines{"exception", "future", "message"}));
}

TEST(NeverRetrieved, IsReportedOnceAndByTheLastCopy) {
  EventLoop loop;
  Reports reports(loop);
  auto future = std::make_unique<Future<int>>(loop);
  auto copy = std::make_unique<Future<int>>(*future);
  future->set_exception(std::runtime_error("x"));
  future.reset();
  EXPECT_EQ(reports.messages.size(), 0u);
  copy.reset();
  EXPECT_EQ(reports.messages.size(), 1u);
}

TEST(NeverRetrieved, IsReportedOfAFutureThatOnlyHadACallback) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Future<int> future(loop);
    future.add_done_callback([](AnyFuture) {});
    future.set_exception(std::runtime_error("x"));
  }
  EXPECT_EQ(reports.messages.size(), 0u);
  run_one_pass(loop);
  EXPECT_EQ(reports.messages.size(), 1u);
}

TEST(NeverRetrieved, IsNotSaidOfOneThatWasRead) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  Lines log;
  const auto failed = [&] {
    const Future<int> future(loop);
    future.set_exception(std::runtime_error("x"));
    return future;
  };
  EXPECT_THROW(static_cast<void>(failed().result()), std::runtime_error);
  EXPECT_THROW(static_cast<void>(failed().take_result()), std::runtime_error);
  failed().exception();
  create_task(loop, Awaits(failed(), log, "a", /*swallows=*/true));
  loop.run_until_idle();
  failed().cancel();  // as in asyncio
  EXPECT_EQ(reports.messages.size(), 0u);
  EXPECT_EQ(log.size(), 1u);
}

TEST(NeverRetrieved, IsNotSaidOfACancel) {
  EventLoop loop;
  Reports reports(loop);
  Future<int>(loop).cancel("nobody asks");
  create_task(loop, Throws<std::runtime_error>("x")).cancel();
  run_one_pass(loop);
  EXPECT_EQ(reports.messages.size(), 0u);
}

TEST(NeverRetrieved, IsSaidOfAGatherByItsName) {
  EventLoop loop;
  Reports reports(loop);
  const Future<int> child(loop);
  gather(loop, child);
  child.set_exception(std::runtime_error("x"));
  run_one_pass(loop);
  EXPECT_EQ(reports.messages,
            (Lines{"_GatheringFuture exception was never retrieved"}));
}

TEST(NeverRetrieved, IsLoggedWhenTheLoopIsGone) {
  LogCapture captured;
  auto loop = std::make_unique<EventLoop>();
  auto future = std::make_unique<Future<int>>(*loop);
  future->set_exception(std::runtime_error("late"));
  loop->close();
  loop.reset();
  future.reset();
  EXPECT_EQ(captured.lines(),
            (Lines{"error: Future exception was never retrieved\n"
                   "future: <Future finished "
                   "exception=std::runtime_error('late')>\n"
                   "std::runtime_error: late"}));
}

// -- tasks that their loop leaves behind --------------------------------------

// "its body is destroyed, the exception handler is told "Task was destroyed
// but it is pending!", and the task stays pending."
TEST(PendingTask, IsReportedOnceWhenItsLoopCloses) {
  VirtualTimeLoop loop;
  Contexts told(loop);
  const auto local = std::make_shared<int>(7);
  const Future<void> future(loop);
  const Task<void> waiting = create_task(
      loop, body([local, future](Resumption&) { return Step::wait(future); }),
      TaskOptions().name("waiting"));
  run_one_pass(loop);
  const Task<void> unstarted =
      create_task(loop, body([local](Resumption&) { return Step::done(); }),
                  TaskOptions().name("unstarted"));
  EXPECT_EQ(local.use_count(), 3);
  loop.close();
  EXPECT_EQ(local.use_count(), 1);
  EXPECT_EQ(told.texts,
            (Lines{"Task was destroyed but it is pending!\n"
                   "task: <Task pending name='waiting' coro=<body() running> "
                   "wait_for=<Future pending cb=[Task.task_wakeup()]>>",
                   "Task was destroyed but it is pending!\n"
                   "task: <Task pending name='unstarted' coro=<body() "
                   "running>>"}));
  EXPECT_EQ(told.keys, (Lines{"message", "task"}));
  loop.close();
  EXPECT_EQ(told.texts.size(), 2u);
  for (const Task<void>& task : {waiting, unstarted}) {
    EXPECT_FALSE(task.done());
    EXPECT_FALSE(task.get_awaited());
    EXPECT_NO_THROW(task.cancel());
    EXPECT_FALSE(task.done());
    EXPECT_THROW(task.result(), InvalidStateError);
    EXPECT_NO_THROW(to_string(task));
  }
  EXPECT_TRUE(all_tasks(loop).empty());
  // What it waited for does not know it any more.
  EXPECT_EQ(to_string(future), "<Future pending>");
}

TEST(PendingTask, IsReportedWhenItsLoopIsDestroyed) {
  LogCapture captured;
  Task<void> task;
  {
    VirtualTimeLoop loop;
    task = create_task(loop, sleep(1), TaskOptions().name("left"));
    run_one_pass(loop);
  }
  EXPECT_EQ(captured.lines(),
            (Lines{"error: Task was destroyed but it is pending!\n"
                   "task: <Task pending name='left' coro=<sleep() running> "
                   "wait_for=<Future pending cb=[Task.task_wakeup()]>>"}));
  EXPECT_FALSE(task.done());
}

TEST(PendingTask, IsReportedThoughItsWakeUpIsQueued) {
  EventLoop loop;
  Reports reports(loop);
  Lines log;
  const Future<void> future(loop);
  create_task(loop, Awaits(future, log, "a"));
  const Task<void> yields =
      create_task(loop, body([](Resumption&) { return Step::yield(); }));
  run_one_pass(loop);
  future.set_result();
  loop.close();
  EXPECT_EQ(reports.messages.size(), 2u);
  EXPECT_TRUE(log.empty());
}

TEST(PendingTask, IsReportedOfEachThatAwaitsTheOther) {
  EventLoop loop;
  Reports reports(loop);
  Lines log;
  const Task<void> inner =
      create_task(loop, Awaits(Future<void>(loop), log, "inner"));
  create_task(loop, Awaits(inner, log, "outer"));
  Task<void> a;
  Task<void> b;
  a = create_task(loop, body([&](Resumption&) { return Step::wait(b); }));
  b = create_task(loop, body([&](Resumption&) { return Step::wait(a); }));
  run_one_pass(loop);
  loop.close();
  EXPECT_EQ(reports.messages,
            Lines(4, "Task was destroyed but it is pending!"));
}

// A task that swallows CancelledError for ever is reported, and does not keep
// the loop from closing.
TEST(PendingTask, ThatRefusesEveryCancelDoesNotKeepTheLoopFromClosing) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  int refused = 0;
  const Task<void> task = create_task(loop, body([&](Resumption& r) {
                                        if (r.take_error() != nullptr)
                                          ++refused;
                                        return test::wait_for_ever(r);
                                      }));
  run_one_pass(loop);
  for (int i = 0; i < 3; ++i) {
    task.cancel();
    loop.run_until_idle();
  }
  EXPECT_EQ(refused, 3);
  loop.close();
  EXPECT_EQ(reports.messages, (Lines{"Task was destroyed but it is pending!"}));
}

/// A body that, when it goes, does something.
template <class F>
class AtItsEnd {
 public:
  explicit AtItsEnd(F function) : function_(std::move(function)) {}
  AtItsEnd(AtItsEnd&& other) noexcept
      : function_(std::move(other.function_)), armed_(other.armed_) {
    other.armed_ = false;
  }
  ~AtItsEnd() {
    if (armed_) function_();
  }
  Step step(Resumption& r) { return test::wait_for_ever(r); }
  void result() const noexcept {}

 private:
  F function_;
  bool armed_ = true;
};

TEST(PendingTask, MayLetGoOfOthersAsItIsDestroyed) {
  EventLoop loop;
  Reports reports(loop);
  Task<void> other = create_task(
      loop, body([](Resumption& r) { return test::wait_for_ever(r); }));
  bool refused = false;
  const Task<void> task = create_task(loop, AtItsEnd([&] {
                                        other = Task<void>();
                                        try {
                                          loop.call_soon([] {});
                                        } catch (const RuntimeError&) {
                                          refused = true;
                                        }
                                        EXPECT_FALSE(current_task(loop));
                                      }));
  run_one_pass(loop);
  loop.close();
  EXPECT_TRUE(refused);
  EXPECT_EQ(reports.messages.size(), 2u);
}

}  // namespace
}  // namespace rondo
