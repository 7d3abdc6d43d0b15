// SPDX-License-Identifier: MIT
#include "futures/wait_for.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/sleep.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// Probe p24, with 3.12's behaviour. With coroutines: coro/wait_for_test.cc.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

double seconds(const EventLoop& loop) {
  return std::chrono::duration<double>(loop.time().time_since_epoch()).count();
}

TEST(WaitFor, GivesTheResultIfItComesInTime) {
  VirtualTimeLoop loop;
  const Task<int> of_operation = create_task(loop, wait_for(sleep(1, 7), 2));
  const Task<int> of_task =
      create_task(loop, wait_for(create_task(loop, sleep(1, 8)), 2));
  const Future<void> future(loop);
  const Task<void> of_future = create_task(loop, wait_for(future, 2));
  loop.call_later(1, [&] { future.set_result(); });
  loop.run_until_idle();
  EXPECT_EQ(of_operation.result(), 7);
  EXPECT_EQ(of_task.result(), 8);
  EXPECT_NO_THROW(of_future.result());
  EXPECT_EQ(seconds(loop), 1);  // no timer is left
}

TEST(WaitFor, GivesAValueThatCanOnlyBeMoved) {
  VirtualTimeLoop loop;
  const auto a =
      create_task(loop, wait_for(sleep(1, std::make_unique<int>(7)), 2));
  const auto b = create_task(
      loop, wait_for(create_task(loop, sleep(1, std::make_unique<int>(8))), 2));
  loop.run_until_idle();
  EXPECT_EQ(*a.result(), 7);
  EXPECT_EQ(*b.result(), 8);
}

TEST(WaitFor, FailsAsWhatItWaitsFor) {
  VirtualTimeLoop loop;
  const Future<int> bad(loop);
  const Task<int> of_future = create_task(loop, wait_for(bad, 2));
  const Task<void> of_operation =
      create_task(loop, wait_for(test::Throws<std::runtime_error>("worse"), 2));
  loop.call_later(1, [&] { bad.set_exception(std::runtime_error("bad")); });
  loop.run_until_idle();
  EXPECT_EQ(end_of(of_future), "std::runtime_error('bad')");
  EXPECT_EQ(end_of(of_operation), "std::runtime_error('worse')");
}

// "but not longer than `delay`: then cancels it, waits for its end, and throws
// TimeoutError"
TEST(WaitFor, CancelsWhatTakesTooLong) {
  VirtualTimeLoop loop;
  const Task<int> slow = create_task(loop, sleep(5, 7));
  const Future<int> future(loop);
  const Task<int> of_task = create_task(loop, wait_for(slow, 2));
  const Task<int> of_future = create_task(loop, wait_for(future, 2));
  const Task<int> of_operation = create_task(loop, wait_for(sleep(5, 7), 2));
  loop.run_until_idle();
  for (const Task<int>& task : {of_task, of_future, of_operation}) {
    EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
    EXPECT_EQ(task.cancelling(), 0u);
  }
  EXPECT_TRUE(slow.cancelled());
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(seconds(loop), 2);
}

TEST(WaitFor, WaitsForTheEndOfWhatItCancelled) {
  VirtualTimeLoop loop;
  const Task<void> cleans_up =
      create_task(loop, body([state = 0](Resumption& r) mutable {
                    switch (state++) {
                      case 0:
                        return test::wait_for_ever(r);
                      case 1: {
                        r.take_error();
                        const Future<void> cleaned(r.loop());
                        r.loop().call_later(3, [=] { cleaned.set_result(); });
                        return Step::wait(cleaned);
                      }
                      default:
                        throw CancelledError();
                    }
                  }));
  const Task<void> task = create_task(loop, wait_for(cleans_up, 2));
  loop.advance(4s);
  EXPECT_FALSE(task.done());
  loop.advance(1s);
  EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
}

TEST(WaitFor, GivesTheResultOfWhatRefusesTheCancel) {
  VirtualTimeLoop loop;
  Lines log;
  const Task<void> refuses =
      create_task(loop, Awaits(Future<void>(loop), log, "a", true));
  const Task<void> task = create_task(loop, wait_for(refuses, 2));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(refuses), "done");
  // 3.12: no CancelledError comes out of the block, so no TimeoutError.
  EXPECT_EQ(end_of(task), "done");
}

TEST(WaitFor, LetsAnotherExceptionPass) {
  VirtualTimeLoop loop;
  const Task<void> fails =
      create_task(loop, body([begun = false](Resumption& r) mutable -> Step {
                    if (std::exchange(begun, true)) {
                      throw std::runtime_error("in its cleanup");
                    }
                    return test::wait_for_ever(r);
                  }));
  const Task<void> task = create_task(loop, wait_for(fails, 2));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "std::runtime_error('in its cleanup')");
}

TEST(WaitFor, WithoutALimitWaitsForEver) {
  VirtualTimeLoop loop;
  const Task<int> task = create_task(loop, wait_for(sleep(1e6, 7), kNoLimit));
  loop.advance(3600s);
  EXPECT_EQ(loop.snapshot().timers.size(), 1u);  // that of the sleep
  loop.run_until_idle();
  EXPECT_EQ(task.result(), 7);
}

// Awaiting a future that is done does not go through the loop.
TEST(WaitFor, OfAFutureThatIsDoneNeedNotWait) {
  EventLoop loop;
  const Future<int> done(loop);
  done.set_result(7);
  for (const double delay : {2.0, 0.0, -1.0}) {
    const Task<int> task = create_task(loop, wait_for(done, delay));
    run_one_pass(loop);
    ASSERT_TRUE(task.done()) << delay;
    EXPECT_EQ(task.result(), 7);
  }
}

// -- a delay of zero or less --------------------------------------------------

// "With a delay of zero or less it is cancelled at once, unless it is a future
// that is done."
TEST(WaitFor, WithoutAnyTimeCancelsAtOnce) {
  VirtualTimeLoop loop;
  for (const double delay : {0.0, -1.0}) {
    bool ran = false;
    const Future<int> future(loop);
    const Task<int> of_future = create_task(loop, wait_for(future, delay));
    const Task<void> of_body =
        create_task(loop, wait_for(body([&](Resumption& r) {
                                     r.check();
                                     ran = true;
                                     return Step::done();
                                   }),
                                   delay));
    loop.run_until_idle();
    EXPECT_EQ(end_of(of_future), "rondo::TimeoutError()");
    EXPECT_TRUE(future.cancelled());
    EXPECT_EQ(end_of(of_body), "rondo::TimeoutError()");
    EXPECT_FALSE(ran);
    EXPECT_EQ(of_future.cancelling(), 0u);
  }
  EXPECT_EQ(seconds(loop), 0);
}

TEST(WaitFor, WithoutAnyTimeGivesTheResultOfWhatRefusesTheCancel) {
  VirtualTimeLoop loop;
  Lines log;
  const Task<void> refuses =
      create_task(loop, Awaits(Future<void>(loop), log, "a", true));
  run_one_pass(loop);
  const Task<void> task = create_task(loop, wait_for(refuses, 0));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "done");
  EXPECT_EQ(log.size(), 1u);
}

TEST(WaitFor, WithoutAnyTimeLetsADoneOnesCancelPass) {
  EventLoop loop;
  const Future<int> cancelled(loop);
  cancelled.cancel("before");
  const Task<int> task = create_task(loop, wait_for(cancelled, 0));
  run_one_pass(loop);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(end_of(task), "CancelledError('before')");
}

TEST(WaitFor, WithoutAnyTimeIsCancelledThoughWhatItWaitsForGoesOn) {
  VirtualTimeLoop loop;
  const Task<void> stays =
      create_task(loop, body([state = 0](Resumption& r) mutable {
                    if (state++ == 1) r.take_error();
                    r.check();
                    return test::wait_for_ever(r);
                  }));
  run_one_pass(loop);
  const Task<void> task = create_task(loop, wait_for(stays, 0));
  run_passes(loop, 3);
  EXPECT_FALSE(task.done());
  // "not by awaiting it, so that a second cancel of who waits gets through"
  task.cancel("enough");
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "CancelledError('enough')");
  EXPECT_FALSE(stays.done());
  stays.cancel();
  run_one_pass(loop);
}

// -- cancelled from outside ---------------------------------------------------

// "Cancelling the wait cancels `awaitable`, and is never hidden: neither by a
// result nor by the timeout."
TEST(WaitForCancel, CancelsWhatItWaitsFor) {
  VirtualTimeLoop loop;
  const Task<int> slow = create_task(loop, sleep(5, 7));
  const Task<int> task = create_task(loop, wait_for(slow, 2));
  run_passes(loop, 2);
  task.cancel("why");
  loop.run_until_idle();
  EXPECT_TRUE(slow.cancelled());
  EXPECT_EQ(end_of(task), "CancelledError('why')");
  EXPECT_EQ(task.cancelling(), 1u);
  EXPECT_EQ(seconds(loop), 0);
}

// python/cpython#86296: "wait_for() hides a cancel" that comes in the pass in
// which what it waits for ends.
TEST(WaitForCancel, Gh86296IsNotHiddenByAResult) {
  for (const bool inner_first : {true, false}) {
    VirtualTimeLoop loop;
    const Future<int> inner(loop);
    const Task<int> task = create_task(loop, wait_for(inner, 10));
    run_one_pass(loop);
    if (inner_first) inner.set_result(7);
    task.cancel();
    if (!inner_first) {
      EXPECT_THROW(inner.set_result(7), InvalidStateError);
    }
    loop.run_until_idle();
    EXPECT_TRUE(task.cancelled());
  }
}

TEST(WaitForCancel, Gh86296IsNotHiddenByAnException) {
  VirtualTimeLoop loop;
  const Future<int> inner(loop);
  const Task<int> task = create_task(loop, wait_for(inner, 10));
  run_one_pass(loop);
  inner.set_exception(std::runtime_error("x"));
  task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  static_cast<void>(inner.exception());
}

// A cancel before, in and after the pass in which the time is over.
TEST(WaitForCancel, IsNotHiddenByTheTimeout) {
  for (const int passes : {0, 1, 2}) {
    VirtualTimeLoop loop;
    const Task<int> task = create_task(loop, wait_for(sleep(5, 7), 2));
    run_one_pass(loop);
    std::function<void(int)> later = [&](int left) {
      if (left == 0) {
        task.cancel("outside");
      } else {
        loop.call_soon([&, left] { later(left - 1); });
      }
    };
    loop.call_later(2, [&] { later(passes); });
    loop.run_until_idle();
    if (passes < 1) {
      EXPECT_TRUE(task.cancelled()) << passes;
    }
    // Either it was taken, or the task was done: never lost.
    EXPECT_EQ(task.cancelled(), task.cancelling() == 1) << passes;
  }
}

TEST(WaitForCancel, BeforeItsFirstStepStartsNothing) {
  VirtualTimeLoop loop;
  bool ran = false;
  const Task<void> task = create_task(loop, wait_for(body([&](Resumption&) {
                                                       ran = true;
                                                       return Step::done();
                                                     }),
                                                     2));
  task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(ran);
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

}  // namespace
}  // namespace rondo
