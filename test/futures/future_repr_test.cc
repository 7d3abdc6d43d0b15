// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "futures/gather.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/partial.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// What to_string() says of futures and tasks: probe p43.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::Lines;
using test::Returns;
using test::Throws;

void on_done(AnyFuture) {}
void on_done_too(AnyFuture) {}

/// `text` with each place of this file as "HERE".
std::string without_places(std::string text) {
  const std::string file = __FILE__;
  for (std::size_t at; (at = text.find(file)) != std::string::npos;) {
    std::size_t end = at + file.size() + 1;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    text.replace(at, end - at, "HERE");
  }
  return text;
}

template <class F>
std::string text_of(const F& future) {
  return without_places(to_string(future));
}

TEST(FutureRepr, ShowsTheState) {
  EventLoop loop;
  const Future<int> pending(loop);
  EXPECT_EQ(to_string(pending), "<Future pending>");
  const Future<std::string> finished(loop);
  finished.set_result(std::string(100, 'r'));
  EXPECT_EQ(to_string(finished),
            "<Future finished result='rrrrrrrrrrrr...rrrrrrrrrrrrr'>");
  const Future<void> nothing(loop);
  nothing.set_result();
  EXPECT_EQ(to_string(nothing), "<Future finished result=None>");
  const Future<int> failed(loop);
  failed.set_exception(std::runtime_error("k"));
  EXPECT_EQ(to_string(failed),
            "<Future finished exception=std::runtime_error('k')>");
  static_cast<void>(failed.exception());
  const Future<int> cancelled(loop);
  cancelled.cancel("why");
  EXPECT_EQ(to_string(cancelled), "<Future cancelled>");
  EXPECT_EQ(to_string(AnyFuture(cancelled)), "<Future cancelled>");
}

TEST(FutureRepr, ShowsTheFirstAndTheLastCallback) {
  EventLoop loop;
  const Future<int> future(loop);
  future.add_done_callback(on_done);
  EXPECT_EQ(text_of(future),
            "<Future pending cb=[rondo::on_done() at "
            "HERE]>");
  future.add_done_callback(on_done_too);
  EXPECT_EQ(text_of(future),
            "<Future pending cb=[rondo::on_done() at "
            "HERE, rondo::on_done_too() at HERE]>");
  future.add_done_callback(on_done);
  future.add_done_callback(on_done_too);
  EXPECT_EQ(text_of(future),
            "<Future pending cb=[rondo::on_done() at "
            "HERE, <2 more>, rondo::on_done_too() at "
            "HERE]>");
}

void with_number(int, AnyFuture) {}

/// A callable that says what it is.
struct Says {
  void operator()(AnyFuture) const {}
  std::string description() const { return "says"; }
};

TEST(FutureRepr, ShowsACallbacksArgumentsOrItsOwnWords) {
  EventLoop loop;
  const Future<int> future(loop);
  future.add_done_callback(partial(with_number, 7));
  future.add_done_callback(Says());
  const std::string text = text_of(future);
  EXPECT_NE(text.find("with_number(7)"), std::string::npos) << text;
  EXPECT_NE(text.find("says at HERE]"), std::string::npos) << text;
}

TEST(FutureRepr, DoesNotShowACallbackThatWasTakenBack) {
  EventLoop loop;
  const Future<int> future(loop);
  future.add_done_callback(on_done).cancel();
  EXPECT_EQ(to_string(future), "<Future pending>");
}

TEST(FutureRepr, OfAGatherAndAShieldSaysWhatTheyAre) {
  EventLoop loop;
  const Future<int> inner(loop);
  const auto both = gather(loop, inner);
  EXPECT_EQ(to_string(both), "<_GatheringFuture pending>");
  EXPECT_EQ(to_string(inner),
            "<Future pending cb=[gather.<locals>._done_callback()]>");
  const Future<int> shielded(loop);
  const Future<int> outer = shield(shielded);
  EXPECT_EQ(to_string(shielded),
            "<Future pending cb=[shield.<locals>._inner_done_callback()]>");
  EXPECT_EQ(to_string(outer).find("<Future pending cb=[shield"), 0u);
}

TEST(TaskRepr, FollowsTheTaskThroughItsLife) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> task =
      create_task(loop, Awaits(future, log, "a"), TaskOptions().name("17"));
  EXPECT_EQ(to_string(task),
            "<Task pending name='17' coro=<awaits() running>>");
  run_one_pass(loop);
  EXPECT_EQ(to_string(task),
            "<Task pending name='17' coro=<awaits() running> "
            "wait_for=<Future pending cb=[Task.task_wakeup()]>>");
  EXPECT_EQ(to_string(future), "<Future pending cb=[Task.task_wakeup()]>");
  task.cancel();
  EXPECT_EQ(to_string(task),
            "<Task cancelling name='17' coro=<awaits() running> "
            "wait_for=<Future cancelled>>");
  run_one_pass(loop);
  EXPECT_EQ(to_string(task), "<Task cancelled name='17' coro=<awaits() done>>");
}

TEST(TaskRepr, ShowsResultExceptionAndCallbacks) {
  EventLoop loop;
  const Task<int> good =
      create_task(loop, Returns(7), TaskOptions().name("good"));
  const Task<void> bad = create_task(loop, Throws<std::runtime_error>("bad"),
                                     TaskOptions().name("bad"));
  good.add_done_callback(on_done);
  EXPECT_EQ(text_of(good),
            "<Task pending name='good' coro=<returns() running> "
            "cb=[rondo::on_done() at HERE]>");
  run_one_pass(loop);
  EXPECT_EQ(to_string(good),
            "<Task finished name='good' coro=<returns() done> result=7>");
  EXPECT_EQ(to_string(bad),
            "<Task finished name='bad' coro=<throws() done> "
            "exception=std::runtime_error('bad')>");
  EXPECT_EQ(to_string(AnyTask(bad)), to_string(bad));
  static_cast<void>(bad.exception());
}

struct NamedByItsType {
  Step step(Resumption&) { return Step::done(); }
  void result() {}
};

TEST(TaskRepr, NamesABodyThatHasNoNameByItsType) {
  EventLoop loop;
  const Task<void> task =
      create_task(loop, NamedByItsType(), TaskOptions().name("a"));
  EXPECT_EQ(to_string(task),
            "<Task pending name='a' coro=<rondo::NamedByItsType() running>>");
  run_one_pass(loop);
  EXPECT_EQ(to_string(task),
            "<Task finished name='a' coro=<rondo::NamedByItsType() done> "
            "result=None>");
}

// "empty for a body that is no coroutine, and for a task that is done"
TEST(TaskStack, IsEmptyWithoutACoroutine) {
  EventLoop loop;
  const Task<int> task = create_task(loop, Returns(7), TaskOptions().name("a"));
  EXPECT_TRUE(task.get_stack().empty());
  EXPECT_EQ(task.format_stack(),
            "No stack for <Task pending name='a' coro=<returns() running>>\n");
  run_one_pass(loop);
  EXPECT_TRUE(AnyTask(task).get_stack().empty());
}

TEST(SleepRepr, ShowsTheFutureThatItsTimerSets) {
  VirtualTimeLoop loop;
  const Task<void> task = create_task(loop, sleep(1), TaskOptions().name("a"));
  run_one_pass(loop);
  EXPECT_EQ(to_string(task),
            "<Task pending name='a' coro=<sleep() running> wait_for=<Future "
            "pending cb=[Task.task_wakeup()]>>");
  loop.run_until_idle();
}

}  // namespace
}  // namespace rondo
