// SPDX-License-Identifier: MIT
#include "futures/timeout.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// enter() and exit() without coroutines; nested and racing ones are in
// coro/timeout_test.cc.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::body;
using test::end_of;
using test::Lines;
using test::thrown_by;
using test::With;

TimePoint at(double seconds) { return TimePoint(Delay(seconds).value()); }

TEST(Timeout, LetsABlockThatIsInTimePass) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(loop, With(limit, sleep(1)));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "done");
  EXPECT_FALSE(limit.expired());
  EXPECT_EQ(to_string(limit), "<Timeout [finished]>");
  EXPECT_EQ(loop.time(), at(1));  // no timer is left
}

// "When the time is over, the task is cancelled, and exit() turns the
// CancelledError that comes out of the block into a TimeoutError."
TEST(Timeout, EndsABlockThatTakesTooLong) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(loop, With(limit, sleep(5)));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
  EXPECT_TRUE(limit.expired());
  EXPECT_EQ(task.cancelling(), 0u);
  EXPECT_EQ(to_string(limit), "<Timeout [expired]>");
  EXPECT_EQ(loop.time(), at(2));
}

TEST(Timeout, LetsAnotherExceptionPass) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> early =
      create_task(loop, With(limit, test::Throws<std::runtime_error>("early")));
  Timeout late = timeout_at(at(2));
  const Task<void> in_cleanup = create_task(
      loop, With(late, body([begun = false](Resumption& r) mutable -> Step {
                   if (std::exchange(begun, true))
                     throw std::logic_error("cleanup");
                   return test::wait_for_ever(r);
                 })));
  loop.run_until_idle();
  EXPECT_EQ(end_of(early), "std::runtime_error('early')");
  EXPECT_EQ(end_of(in_cleanup), "std::logic_error('cleanup')");
  EXPECT_TRUE(late.expired());
  EXPECT_EQ(in_cleanup.cancelling(), 0u);
}

TEST(Timeout, IsNoErrorIfTheBlockSwallowsTheCancel) {
  VirtualTimeLoop loop;
  Lines log;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(
      loop, With(limit, test::Awaits(Future<void>(loop), log, "a", true)));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(task), "done");
  EXPECT_TRUE(limit.expired());
  EXPECT_EQ(task.cancelling(), 0u);
}

TEST(Timeout, WithoutADeadlineNeverComes) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(std::nullopt);
  EXPECT_EQ(limit.when(), std::nullopt);
  const Task<void> task = create_task(loop, With(limit, sleep(1e6)));
  run_one_pass(loop);
  EXPECT_EQ(to_string(limit), "<Timeout [active] when=None>");
  EXPECT_EQ(loop.snapshot().timers.size(), 1u);  // that of the sleep
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "done");
}

// "A cancel from outside stays a CancelledError, whenever it comes."
TEST(Timeout, LeavesACancelFromOutside) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(loop, With(limit, sleep(5)));
  run_one_pass(loop);
  task.cancel("outside");
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "CancelledError('outside')");
  EXPECT_FALSE(limit.expired());
  EXPECT_EQ(task.cancelling(), 1u);
}

TEST(Timeout, LeavesACancelFromOutsideInItsOwnPass) {
  for (const bool outside_first : {true, false}) {
    VirtualTimeLoop loop;
    Timeout limit = timeout_at(at(2));
    std::optional<Task<void>> task;
    const auto cancel = [&] { task->cancel("outside"); };
    if (outside_first) loop.call_at(at(2), cancel);
    task = create_task(loop, With(limit, sleep(5)));
    run_one_pass(loop);
    if (!outside_first) loop.call_at(at(2), cancel);
    loop.run_until_idle();
    EXPECT_TRUE(task->cancelled()) << outside_first;
    EXPECT_EQ(task->cancelling(), 1u) << outside_first;
  }
}

// gh-102780, 3.12: what was asked before the block is not the timeout's.
TEST(Timeout, IsATimeoutThoughTheTaskWasCancelledBeforeTheBlock) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  Lines log;
  const Task<void> task =
      create_task(loop, body([&, state = 0, block = With(limit, sleep(5))](
                                 Resumption& r) mutable {
                    if (state == 0) {
                      state = 1;
                      return test::wait_for_ever(r);
                    }
                    if (state == 1) {
                      state = 2;
                      log.push_back(end_of(r.take_error()));  // swallowed
                    }
                    return block.step(r);
                  }));
  run_one_pass(loop);
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"CancelledError()"}));
  EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
  EXPECT_EQ(task.cancelling(), 1u);
}

// -- reschedule ---------------------------------------------------------------

TEST(TimeoutReschedule, MovesTheDeadline) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(loop, With(limit, sleep(5)));
  run_one_pass(loop);
  EXPECT_EQ(to_string(limit), "<Timeout [active] when=2.000>");
  limit.reschedule(at(3));
  EXPECT_EQ(limit.when(), at(3));
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
  EXPECT_EQ(loop.time(), at(3));
}

TEST(TimeoutReschedule, TakesTheDeadlineAway) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  const Task<void> task = create_task(loop, With(limit, sleep(5)));
  run_one_pass(loop);
  limit.reschedule(std::nullopt);
  loop.run_until_idle();
  EXPECT_EQ(end_of(task), "done");
}

// "one that is over is due in the next pass"
TEST(TimeoutReschedule, ToThePastIsDueInTheNextPass) {
  VirtualTimeLoop loop;
  loop.advance(10s);
  Timeout limit = timeout_at(std::nullopt);
  const Task<void> task = create_task(loop, With(limit, sleep(5)));
  run_one_pass(loop);
  limit.reschedule(at(1));
  EXPECT_FALSE(limit.expired());
  run_one_pass(loop);
  EXPECT_TRUE(limit.expired());
  // Until the block has heard of it.
  EXPECT_EQ(to_string(limit), "<Timeout [expiring]>");
  EXPECT_EQ(thrown_by([&] { limit.reschedule(at(20)); }),
            "rondo::RuntimeError('Cannot change state of expiring Timeout')");
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "rondo::TimeoutError()");
  EXPECT_EQ(thrown_by([&] { limit.reschedule(at(20)); }),
            "rondo::RuntimeError('Cannot change state of expired Timeout')");
}

TEST(TimeoutReschedule, IsRefusedOutsideOfTheBlock) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  EXPECT_EQ(to_string(limit), "<Timeout [created]>");
  EXPECT_EQ(thrown_by([&] { limit.reschedule(at(3)); }),
            "rondo::RuntimeError('Timeout has not been entered')");
  create_task(loop, With(limit, sleep(1)));
  loop.run_until_idle();
  EXPECT_EQ(thrown_by([&] { limit.reschedule(at(3)); }),
            "rondo::RuntimeError('Cannot change state of finished Timeout')");
}

// -- misuse and lifetime ------------------------------------------------------

TEST(Timeout, IsEnteredOnceAndInATask) {
  VirtualTimeLoop loop;
  Timeout limit = timeout_at(at(2));
  std::string outside;
  loop.call_soon([&] { outside = thrown_by([&] { limit.enter(); }); });
  run_one_pass(loop);
  EXPECT_EQ(outside,
            "rondo::RuntimeError('Timeout should be used inside a task')");
  Timeout other = timeout_at(at(2));
  std::string again;
  create_task(loop, With(other, body([&](Resumption&) {
                           again = thrown_by([&] { other.enter(); });
                           return Step::done();
                         })));
  run_one_pass(loop);
  EXPECT_EQ(again, "rondo::RuntimeError('Timeout has already been entered')");
  EXPECT_THROW(static_cast<void>(timeout(1)), RuntimeError);
}

TEST(Timeout, OfADelayBeginsNowOnTheRunningLoop) {
  VirtualTimeLoop loop;
  loop.advance(10s);
  std::optional<TimePoint> when;
  std::optional<TimePoint> never;
  loop.call_soon([&] {
    when = timeout(1.5).when();
    never = timeout(Duration::max()).when();
  });
  run_one_pass(loop);
  EXPECT_EQ(when, at(11.5));
  EXPECT_EQ(never, TimePoint::max());
}

TEST(Timeout, MayBeMovedBeforeItIsEntered) {
  Timeout first = timeout_at(at(2));
  const Timeout second = std::move(first);
  EXPECT_EQ(second.when(), at(2));
}

// "Takes the timer back."
TEST(Timeout, ThatIsDestroyedInItsBlockTakesItsTimerBack) {
  VirtualTimeLoop loop;
  std::optional<Timeout> limit(timeout_at(at(2)));
  const Task<void> task = create_task(loop, body([&](Resumption& r) {
                                        if (!limit) return Step::done();
                                        limit->enter();
                                        return test::wait_for_ever(r);
                                      }));
  run_one_pass(loop);
  EXPECT_EQ(loop.snapshot().timers.size(), 1u);
  limit.reset();
  EXPECT_TRUE(loop.snapshot().timers.empty());
  task.cancel();
  run_one_pass(loop);
}

}  // namespace
}  // namespace rondo
