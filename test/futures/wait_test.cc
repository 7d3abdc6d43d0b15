// SPDX-License-Identifier: MIT
#include "futures/wait.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/sleep.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// Probe p31.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::end_of;
using test::Lines;

/// Futures with one letter each.
class Named {
 public:
  explicit Named(EventLoop& loop) {
    for (int i = 0; i < 3; ++i) futures.emplace_back(loop);
  }
  std::string names(const std::vector<Future<int>>& some) const {
    std::string text;
    for (const Future<int>& future : some) {
      for (std::size_t i = 0; i < futures.size(); ++i) {
        if (futures[i] == future) text += static_cast<char>('a' + i);
      }
    }
    return text;
  }
  std::string text(const WaitResult<Future<int>>& result) const {
    return names(result.done) + "|" + names(result.pending);
  }
  std::vector<Future<int>> futures;
};

TEST(Wait, IsOverWhenAllAreDone) {
  EventLoop loop;
  const Named some(loop);
  const auto wait = create_task(loop, rondo::wait(some.futures));
  run_one_pass(loop);
  some.futures[2].set_result(1);
  some.futures[0].set_exception(std::runtime_error("bad"));
  run_passes(loop, 3);
  EXPECT_FALSE(wait.done());
  some.futures[1].cancel();
  run_passes(loop, 2);
  // "the futures, each in one of the two, in the order given"
  EXPECT_EQ(some.text(wait.result()), "abc|");
  static_cast<void>(some.futures[0].exception());
}

TEST(Wait, IsOverWhenTheFirstIsDone) {
  EventLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, ReturnWhen::kFirstCompleted));
  run_one_pass(loop);
  some.futures[1].set_result(1);
  run_passes(loop, 2);
  EXPECT_EQ(some.text(wait.result()), "b|ac");
}

TEST(Wait, GivesAllThatAreDoneByThen) {
  EventLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, ReturnWhen::kFirstCompleted));
  run_one_pass(loop);
  some.futures[2].set_result(1);
  some.futures[0].set_result(1);
  run_passes(loop, 2);
  EXPECT_EQ(some.text(wait.result()), "ac|b");
}

// "One has failed (not: was cancelled), or all are done."
TEST(Wait, IsOverWhenTheFirstHasFailed) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Named some(loop);
    const auto wait = create_task(
        loop, rondo::wait(some.futures, ReturnWhen::kFirstException));
    run_one_pass(loop);
    some.futures[0].set_result(1);
    run_passes(loop, 2);
    some.futures[1].cancel();
    run_passes(loop, 2);
    EXPECT_FALSE(wait.done());
    some.futures[2].set_exception(std::runtime_error("bad"));
    run_passes(loop, 2);
    EXPECT_EQ(some.text(wait.result()), "abc|");
    // The last one is not looked at by asyncio either.
    static_cast<void>(some.futures[2].exception());
  }
  {
    const Named some(loop);
    const auto wait = create_task(
        loop, rondo::wait(some.futures, ReturnWhen::kFirstException));
    run_one_pass(loop);
    some.futures[1].set_exception(std::runtime_error("bad"));
    run_passes(loop, 2);
    EXPECT_EQ(some.text(wait.result()), "b|ac");
  }
  EXPECT_TRUE(reports.messages.empty());
}

TEST(Wait, IsOverWhenAllAreDoneThoughNoneHasFailed) {
  EventLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, ReturnWhen::kFirstException));
  run_one_pass(loop);
  for (const Future<int>& future : some.futures) future.cancel();
  run_passes(loop, 2);
  EXPECT_EQ(some.text(wait.result()), "abc|");
}

TEST(Wait, ForOnesThatAreDoneIsOverAtOnce) {
  EventLoop loop;
  const Named some(loop);
  some.futures[0].set_result(1);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, ReturnWhen::kFirstCompleted));
  run_passes(loop, 3);
  EXPECT_EQ(some.text(wait.result()), "a|bc");
}

// "Gives up after that; the futures go on."
TEST(Wait, GivesUpAfterItsTimeout) {
  VirtualTimeLoop loop;
  const Named some(loop);
  some.futures[0].set_result(1);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, WaitOptions().timeout(2)));
  loop.advance(1s);
  EXPECT_FALSE(wait.done());
  loop.advance(1s);
  EXPECT_EQ(some.text(wait.result()), "a|bc");
  EXPECT_FALSE(some.futures[1].cancelled());
  EXPECT_EQ(to_string(some.futures[1]), "<Future pending>");
}

TEST(Wait, WithATimeoutOfZeroLooksOnce) {
  VirtualTimeLoop loop;
  const Named some(loop);
  const auto wait = create_task(
      loop, rondo::wait(some.futures, WaitOptions().timeout(0).return_when(
                                          ReturnWhen::kFirstCompleted)));
  loop.run_until_idle();
  EXPECT_EQ(some.text(wait.result()), "|abc");
}

TEST(Wait, TakesItsTimerBackWhenItIsOver) {
  VirtualTimeLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, WaitOptions().timeout(3600)));
  run_one_pass(loop);
  EXPECT_EQ(loop.snapshot().timers.size(), 1u);
  for (const Future<int>& future : some.futures) future.set_result(1);
  run_passes(loop, 2);
  EXPECT_TRUE(wait.done());
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

TEST(Wait, TakesEachFutureOnce) {
  EventLoop loop;
  const Future<int> future(loop);
  const auto wait =
      create_task(loop, rondo::wait(std::vector<Future<int>>(3, future)));
  run_one_pass(loop);
  future.set_result(1);
  run_passes(loop, 2);
  EXPECT_EQ(wait.result().done.size(), 1u);
  EXPECT_TRUE(wait.result().pending.empty());
}

TEST(Wait, TakesFuturesOfAnyTypeTogether) {
  VirtualTimeLoop loop;
  const std::vector<AnyFuture> some = {create_task(loop, sleep(1)),
                                       create_task(loop, sleep(2, 7))};
  const auto wait = create_task(loop, rondo::wait(some));
  loop.run_until_idle();
  EXPECT_EQ(wait.result().done.size(), 2u);
}

// "Throws std::invalid_argument if there are none."
TEST(Wait, RefusesToWaitForNothing) {
  EventLoop loop;
  const auto wait = create_task(loop, rondo::wait(std::vector<Future<int>>()));
  run_one_pass(loop);
  EXPECT_EQ(end_of(wait),
            "std::invalid_argument('Set of Tasks/Futures is empty.')");
}

// -- cancelled ---------------------------------------------------------------

// "a cancel of the wait changes nothing for them"
TEST(Wait, LeavesTheFuturesWhenItIsCancelled) {
  VirtualTimeLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, WaitOptions().timeout(3600)));
  run_one_pass(loop);
  EXPECT_EQ(to_string(some.futures[0]),
            "<Future pending cb=[_wait.<locals>._on_completion()]>");
  wait.cancel("why");
  run_one_pass(loop);
  EXPECT_EQ(end_of(wait), "CancelledError('why')");
  for (const Future<int>& future : some.futures) {
    EXPECT_EQ(to_string(future), "<Future pending>");
  }
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

// The cancel is not hidden by the end of what it waits for.
TEST(Wait, IsCancelledThoughItIsOverInTheSamePass) {
  EventLoop loop;
  const Named some(loop);
  const auto wait =
      create_task(loop, rondo::wait(some.futures, ReturnWhen::kFirstCompleted));
  run_one_pass(loop);
  some.futures[0].set_result(1);
  loop.call_soon([&] { wait.cancel(); });
  run_passes(loop, 3);
  EXPECT_TRUE(wait.cancelled());
  EXPECT_EQ(some.futures[0].result(), 1);
}

TEST(Wait, IsCancelledBeforeItsFirstStep) {
  EventLoop loop;
  const Named some(loop);
  const auto wait = create_task(loop, rondo::wait(some.futures));
  wait.cancel();
  run_one_pass(loop);
  EXPECT_TRUE(wait.cancelled());
  EXPECT_EQ(to_string(some.futures[0]), "<Future pending>");
}

// "Destroying one that waits takes it back, as a cancel would."
TEST(Wait, TakesItsCallbacksBackWhenItIsDestroyed) {
  VirtualTimeLoop loop;
  const Named some(loop);
  std::optional<Wait<Future<int>>> wait(
      rondo::wait(some.futures, WaitOptions().timeout(1)));
  const auto task = create_task(loop, test::body([&](Resumption& r) {
                                  return wait ? wait->step(r) : Step::done();
                                }));
  run_one_pass(loop);
  some.futures[0].set_result(1);  // its callback is queued already
  wait.reset();
  EXPECT_EQ(to_string(some.futures[1]), "<Future pending>");
  EXPECT_TRUE(loop.snapshot().timers.empty());
  task.cancel();
  run_passes(loop, 2);
}

}  // namespace
}  // namespace rondo
