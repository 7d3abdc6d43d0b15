// SPDX-License-Identifier: MIT
#include "futures/gather.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// gather() that is not cancelled: probes p28 and p29. Cancelling is in
// gather_cancel_test.cc.

namespace rondo {
namespace {

using test::Awaits;
using test::end_of;
using test::Lines;
using test::Returns;
using test::Throws;

// "gives their results in the order of the arguments: a std::tuple, with None
// for void. What is not a future is made a task."
TEST(Gather, GivesTheResultsInTheOrderOfTheArguments) {
  VirtualTimeLoop loop;
  const Future<int> future(loop);
  const auto all = gather(loop, sleep(2, std::string("slow")), future,
                          create_task(loop, sleep(1)));
  static_assert(
      std::is_same_v<decltype(all),
                     const Future<std::tuple<std::string, int, None>>>);
  future.set_result(7);
  loop.run_until_idle();
  EXPECT_EQ(all.result(), std::make_tuple(std::string("slow"), 7, None()));
}

TEST(Gather, TakesARangeAndGivesAVector) {
  VirtualTimeLoop loop;
  std::vector<Sleep<int>> sleeps;
  for (const int n : {3, 1, 2}) sleeps.push_back(sleep(n, n));
  const auto all = gather(loop, std::move(sleeps));
  static_assert(std::is_same_v<decltype(all), const Future<std::vector<int>>>);
  // Of an lvalue they are left.
  std::vector<Task<int>> tasks;
  for (const int n : {5, 4}) tasks.push_back(create_task(loop, sleep(n, n)));
  const auto more = gather(loop, tasks);
  EXPECT_TRUE(tasks[0]);
  loop.run_until_idle();
  EXPECT_EQ(all.result(), (std::vector<int>{3, 1, 2}));
  EXPECT_EQ(more.result(), (std::vector<int>{5, 4}));
}

TEST(Gather, OfNothingIsDoneAtOnce) {
  EventLoop loop;
  EXPECT_TRUE(gather(loop).done());
  const auto none = gather(loop, std::vector<Future<int>>());
  ASSERT_TRUE(none.done());
  EXPECT_TRUE(none.result().empty());
  EXPECT_TRUE(gather(loop, return_exceptions).done());
}

TEST(Gather, WorksOnTheRunningLoop) {
  VirtualTimeLoop loop;
  Future<std::tuple<int, int>> pack;
  Future<std::vector<int>> range;
  Future<std::tuple<Outcome<int>>> outcomes;
  Future<std::vector<Outcome<int>>> range_of_outcomes;
  loop.call_soon([&] {
    pack = gather(Returns(1), Returns(2));
    std::vector<Sleep<int>> sleeps;
    sleeps.push_back(sleep(1, 6));
    range_of_outcomes = gather(return_exceptions, std::move(sleeps));
    outcomes = gather(return_exceptions, sleep(0, 5));
    std::vector<Future<int>> futures(2, create_task(Returns(4)));
    range = gather(futures);
  });
  loop.run_until_idle();
  EXPECT_EQ(pack.result(), std::make_tuple(1, 2));
  EXPECT_EQ(range.result(), (std::vector<int>{4, 4}));
  EXPECT_EQ(std::get<0>(outcomes.result()).value(), 5);
  EXPECT_EQ(range_of_outcomes.result()[0].value(), 6);
}

// The loop is that of the first future: no other is needed.
TEST(Gather, FindsTheLoopByItsFutures) {
  VirtualTimeLoop loop;
  const Future<int> future(loop);
  const auto all = gather(future);
  const auto outcomes = gather(return_exceptions, future);
  future.set_result(7);
  loop.run_until_idle();
  EXPECT_EQ(std::get<0>(all.result()), 7);
  EXPECT_EQ(std::get<0>(outcomes.result()).value(), 7);
  EXPECT_THROW(gather(Returns(1)), RuntimeError);
}

TEST(Gather, GivesTheSameOneTwiceIfItIsGivenTwice) {
  VirtualTimeLoop loop;
  const Task<int> task = create_task(loop, sleep(1, 7));
  const auto all = gather(loop, task, sleep(2, 8), task);
  const auto range = gather(loop, std::vector<Task<int>>(3, task));
  loop.run_until_idle();
  EXPECT_EQ(all.result(), std::make_tuple(7, 8, 7));
  EXPECT_EQ(range.result(), (std::vector<int>{7, 7, 7}));
}

TEST(Gather, TakesFuturesThatAreDone) {
  EventLoop loop;
  const Future<int> done(loop);
  done.set_result(7);
  const auto all = gather(loop, done, done);
  EXPECT_FALSE(all.done());
  run_one_pass(loop);
  EXPECT_EQ(all.result(), std::make_tuple(7, 7));
}

TEST(Gather, MovesValuesThatCanOnlyBeMoved) {
  VirtualTimeLoop loop;
  const auto all = gather(loop, sleep(1, std::make_unique<int>(7)),
                          sleep(1, std::make_unique<int>(8)));
  loop.run_until_idle();
  EXPECT_EQ(*std::get<0>(all.result()), 7);
  EXPECT_EQ(*std::get<1>(all.take_result()), 8);
}

// -- exceptions --------------------------------------------------------------

// "The first exception is gather's at once; the others go on, and their
// results are dropped."
TEST(Gather, FailsWithTheFirstExceptionAndLetsTheOthersGoOn) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  const Future<int> bad(loop);
  const Future<int> worse(loop);
  const Task<int> slow = create_task(loop, sleep(5, 1));
  const auto all = gather(loop, slow, bad, worse);
  loop.call_later(1, [&] { bad.set_exception(std::runtime_error("bad")); });
  loop.call_later(2, [&] { worse.set_exception(std::logic_error("worse")); });
  loop.advance(std::chrono::seconds(1));
  EXPECT_EQ(end_of(all), "std::runtime_error('bad')");
  EXPECT_FALSE(slow.done());
  EXPECT_FALSE(all.cancel());
  loop.run_until_idle();
  EXPECT_EQ(slow.result(), 1);
  // The second exception counts as read, as in asyncio.
  EXPECT_TRUE(reports.messages.empty());
}

// "A cancelled one counts as an exception."
TEST(Gather, FailsWithTheCancelOfOneOfThem) {
  VirtualTimeLoop loop;
  const Task<int> slow = create_task(loop, sleep(5, 1));
  const Future<int> cancelled(loop);
  const auto all = gather(loop, slow, cancelled);
  cancelled.cancel("why");
  run_one_pass(loop);
  ASSERT_TRUE(all.done());
  // asyncio sets it as an exception: the gather was not cancelled.
  EXPECT_FALSE(all.cancelled());
  EXPECT_EQ(repr(all.exception()), "CancelledError('why')");
  loop.run_until_idle();
  EXPECT_TRUE(slow.done());
}

// "With return_exceptions, exceptions are results: Outcome<T> each."
TEST(Gather, GivesExceptionsAsResultsIfAsked) {
  VirtualTimeLoop loop;
  const Future<void> cancelled(loop);
  const auto all =
      gather(loop, return_exceptions, sleep(1, 7),
             Throws<std::runtime_error>("bad"), cancelled, sleep(2));
  cancelled.cancel("why");
  loop.run_until_idle();
  const auto& results = all.result();
  EXPECT_EQ(to_string(std::get<0>(results)), "7");
  EXPECT_EQ(to_string(std::get<1>(results)), "std::runtime_error('bad')");
  EXPECT_EQ(to_string(std::get<2>(results)), "CancelledError('why')");
  EXPECT_EQ(to_string(std::get<3>(results)), "None");
}

TEST(Gather, GivesARangesExceptionsAsResultsIfAsked) {
  VirtualTimeLoop loop;
  const Future<int> good(loop);
  const Future<int> bad(loop);
  const auto all =
      gather(loop, return_exceptions, std::vector<Future<int>>{bad, good, bad});
  bad.set_exception(std::runtime_error("bad"));
  good.set_result(7);
  loop.run_until_idle();
  std::string text;
  for (const Outcome<int>& outcome : all.result()) {
    text += to_string(outcome) + " ";
  }
  EXPECT_EQ(text, "std::runtime_error('bad') 7 std::runtime_error('bad') ");
}

/// Cannot be copied when it comes to it.
struct CopyThrows {
  CopyThrows() = default;
  CopyThrows(CopyThrows&&) = default;
  CopyThrows(const CopyThrows&) { throw std::runtime_error("copied"); }
};

TEST(Gather, FailsIfAResultCannotBeCopied) {
  EventLoop loop;
  const Future<CopyThrows> child(loop);
  const auto all = gather(loop, child);
  child.set_result(CopyThrows());
  run_one_pass(loop);
  EXPECT_EQ(end_of(all), "std::runtime_error('copied')");
}

TEST(Gather, RefusesAFutureOfAnotherLoop) {
  EventLoop loop;
  EventLoop other;
  const Future<int> here(loop);
  const Future<int> there(other);
  EXPECT_EQ(test::thrown_by([&] { gather(loop, here, there); }),
            "std::invalid_argument('The future belongs to a different loop "
            "than the one specified as the loop argument')");
  EXPECT_EQ(to_string(here), "<Future pending>");
}

// -- lifetime ----------------------------------------------------------------

TEST(Gather, LivesUntilItsChildrenAreDoneThoughNobodyKeepsIt) {
  EventLoop loop;
  const Future<int> child(loop);
  int calls = 0;
  gather(loop, child).add_done_callback([&](AnyFuture) { ++calls; });
  child.set_result(7);
  run_passes(loop, 2);
  EXPECT_EQ(calls, 1);
}

TEST(Gather, OfFuturesThatAreNeverDoneGoesWithTheLoop) {
  // Under address sanitizer: nothing leaks.
  auto loop = std::make_unique<EventLoop>();
  Future<std::tuple<int>> kept;
  {
    const Future<int> child(*loop);
    gather(*loop, child);
    gather(*loop, gather(*loop, child));
    kept = gather(*loop, Future<int>(*loop));
  }
  loop.reset();
  EXPECT_FALSE(kept.done());
}

}  // namespace
}  // namespace rondo
