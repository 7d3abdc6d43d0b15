// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"

// `async with timeout(...)`: nested, racing and rescheduled ones; probe p26
// and CPython's test_timeouts.

namespace rondo {
namespace {

using test::end_of;
using test::Lines;

double now() {
  return std::chrono::duration<double>(
             get_running_loop().time().time_since_epoch())
      .count();
}

Coro<void> sleeps(double delay) { co_await sleep(delay); }
Coro<int> gives(int n) {
  co_await sleep(1);
  co_return n;
}

/// What became of the block, and the count of the task behind it.
Coro<std::string> ended(Coro<void> coro) {
  std::string text = "done";
  try {
    co_await coro;
  } catch (...) {
    text = repr(std::current_exception());
  }
  co_return text + " cancelling=" + std::to_string(current_task().cancelling());
}

TEST(WithTimeout, GivesTheBlocksValueInTime) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop,
                               []() -> Coro<int> {
                                 Timeout limit = timeout(2);
                                 co_return co_await with(limit, gives(7));
                               }()),
            7);
  EXPECT_EQ(run_until_complete(loop,
                               []() -> Coro<int> {
                                 co_return co_await with(timeout(2), gives(8));
                               }()),
            8);
}

Coro<void> nested(Lines& log, double outer_delay, double inner_delay) {
  Timeout outer = timeout(outer_delay);
  Timeout inner = timeout(inner_delay);
  const auto inner_block = [](Timeout& limit, Lines& lines) -> Coro<void> {
    try {
      co_await with(limit, sleeps(10));
    } catch (...) {
      lines.push_back("inner: " + repr(std::current_exception()));
      throw;
    }
  };
  try {
    co_await with(outer, inner_block(inner, log));
  } catch (...) {
    log.push_back("outer: " + repr(std::current_exception()));
  }
  log.push_back(std::string(inner.expired() ? "inner" : "") +
                (outer.expired() ? "outer" : "") + " at " +
                std::to_string(static_cast<int>(now() * 100)) + " " +
                std::to_string(current_task().cancelling()));
}

TEST(WithTimeout, NestedTheOneThatIsOverFirstIsTheOneThatThrows) {
  VirtualTimeLoop outer_first;
  Lines log;
  run_until_complete(outer_first, nested(log, 0.08, 0.80));
  EXPECT_EQ(log, (Lines{"inner: CancelledError()",
                        "outer: rondo::TimeoutError()", "outer at 8 0"}));
  VirtualTimeLoop inner_first;
  log.clear();
  run_until_complete(inner_first, nested(log, 0.80, 0.08));
  EXPECT_EQ(log, (Lines{"inner: rondo::TimeoutError()",
                        "outer: rondo::TimeoutError()", "inner at 8 0"}));
}

// p26: both are over in one pass: the outer one throws.
TEST(WithTimeout, NestedWithTheSameDeadlineTheOuterThrows) {
  VirtualTimeLoop loop;
  Lines log;
  run_until_complete(loop, nested(log, 0.40, 0.40));
  EXPECT_EQ(log, (Lines{"inner: CancelledError()",
                        "outer: rondo::TimeoutError()", "innerouter at 40 0"}));
}

// An inner block that swallows the outer one's cancel is left; the outer block
// goes on, and its timeout is no error.
TEST(WithTimeout, IsNoErrorIfTheBlockSwallowedIt) {
  VirtualTimeLoop loop;
  Lines log;
  const auto block = [](Lines& lines) -> Coro<void> {
    try {
      co_await sleep(10);
    } catch (const CancelledError&) {
      lines.push_back("swallowed");
    }
  };
  EXPECT_EQ(run_until_complete(
                loop, ended(with(timeout_at(TimePoint(Delay(1).value())),
                                 block(log)))),
            "done cancelling=0");
  EXPECT_EQ(log, (Lines{"swallowed"}));
}

// p26: "body without suspension: left without TimeoutError".
TEST(WithTimeout, OfZeroEndsTheBlockAtItsFirstWait) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, ended([]() -> Coro<void> {
                                 co_await with(timeout(0), sleeps(0));
                               }())),
            "rondo::TimeoutError() cancelling=0");
  EXPECT_EQ(run_until_complete(loop, ended([]() -> Coro<void> {
                                 co_await with(timeout(-1), []() -> Coro<void> {
                                   co_return;
                                 }());
                               }())),
            "done cancelling=0");
}

TEST(WithTimeout, IsRescheduledOutOfItsBlock) {
  VirtualTimeLoop loop;
  const auto block = [](Timeout& limit) -> Coro<void> {
    co_await sleep(1);
    limit.reschedule(get_running_loop().time() + std::chrono::seconds(5));
    co_await sleep(4);
    limit.reschedule(std::nullopt);
    co_await sleep(100);
    limit.reschedule(get_running_loop().time());
    co_await sleep(1);
  };
  double end = 0;
  EXPECT_EQ(
      run_until_complete(loop, ended([](auto inner, double& at) -> Coro<void> {
                           Timeout limit = timeout(2);
                           try {
                             co_await with(limit, inner(limit));
                           } catch (...) {
                             at = now();
                             throw;
                           }
                         }(block, end))),
      "rondo::TimeoutError() cancelling=0");
  EXPECT_DOUBLE_EQ(end, 105);
}

// test_timeouts: test_repeated, test_nested_timeout_in_finally.
TEST(WithTimeout, InTheCleanUpOfAnotherIsItsOwn) {
  VirtualTimeLoop loop;
  Lines log;
  const auto block = [](Lines& lines) -> Coro<void> {
    std::exception_ptr error;
    try {
      co_await sleep(10);
    } catch (...) {
      error = std::current_exception();
    }
    try {
      co_await with(timeout(1), sleeps(10));
    } catch (const TimeoutError&) {
      lines.push_back("the clean-up's own");
    }
    std::rethrow_exception(error);
  };
  EXPECT_EQ(run_until_complete(
                loop, ended([](auto inner, Lines& lines) -> Coro<void> {
                  co_await with(timeout(1), inner(lines));
                }(block, log))),
            "rondo::TimeoutError() cancelling=0");
  EXPECT_EQ(log, (Lines{"the clean-up's own"}));
}

// test_timeout_not_cancelling: a CancelledError that nobody has asked for.
TEST(WithTimeout, LeavesACancelledErrorOfTheBlocksOwn) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, ended([]() -> Coro<void> {
                                 co_await with(timeout(1), []() -> Coro<void> {
                                   co_await sleep(0);
                                   throw CancelledError("own");
                                 }());
                               }())),
            "CancelledError('own') cancelling=0");
}

// test_timeout_already_expired, test_cancel_in_timeout_after_cancellation.
TEST(WithTimeout, DoesNotHideACancelThatComesAfterIt) {
  VirtualTimeLoop loop;
  AnyTask task;
  const auto main = [](AnyTask& self) -> Coro<void> {
    self = current_task();
    co_await with(timeout(1), [](AnyTask& me) -> Coro<void> {
      try {
        co_await sleep(10);
      } catch (const CancelledError&) {
        me.cancel();  // from outside, as it were
        throw;
      }
    }(self));
  };
  const Task<void> ends = create_task(loop, main(task));
  loop.run_until_idle();
  EXPECT_EQ(end_of(ends), "CancelledError()");
  EXPECT_EQ(ends.cancelling(), 1u);
}

// -- wait_for of a coroutine --------------------------------------------------

TEST(WaitForCoro, GivesItsValueOrTimesOut) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, wait_for(gives(7), 2)), 7);
  EXPECT_EQ(run_until_complete(loop, ended(wait_for(sleeps(5), 2))),
            "rondo::TimeoutError() cancelling=0");
  EXPECT_EQ(run_until_complete(loop, wait_for(gives(8), Duration::max())), 8);
  for (const double none : {0.0, -1.0}) {
    EXPECT_EQ(run_until_complete(loop, ended(wait_for(sleeps(5), none))),
              "rondo::TimeoutError() cancelling=0");
  }
}

/// A resource that is held from the moment a coroutine has taken it.
struct Resource {
  int held = 0;
};

Coro<int> acquires(Resource& resource, Future<void> gate) {
  ++resource.held;
  try {
    co_await gate;
  } catch (...) {
    --resource.held;
    throw;
  }
  co_return 7;
}

// The bug museum's PR #28149 (bpo-37658): wait_for() is cancelled in the pass
// in which what it waits for gets its resource. Here that runs inside the same
// task and is told itself, so the resource is given back, or the result is
// ours; it is never lost.
TEST(WaitForCoro, Pr28149LosesNoResourceToACancelOfTheSamePass) {
  for (const bool gate_first : {true, false}) {
    VirtualTimeLoop loop;
    Resource resource;
    const Future<void> gate(loop);
    const auto main = [](Resource& r, Future<void> g) -> Coro<void> {
      const int got = co_await wait_for(acquires(r, g), 10);
      r.held -= got == 7 ? 1 : 0;
    };
    const Task<void> task = create_task(loop, main(resource, gate));
    run_one_pass(loop);
    EXPECT_EQ(resource.held, 1);
    if (gate_first) gate.set_result();
    task.cancel();
    loop.run_until_idle();
    EXPECT_EQ(resource.held, 0);
    EXPECT_TRUE(task.cancelled());
  }
}

// python/cpython#86296, with a coroutine.
TEST(WaitForCoro, Gh86296DoesNotHideACancel) {
  VirtualTimeLoop loop;
  const Future<void> gate(loop);
  Resource resource;
  const Task<int> task =
      create_task(loop, wait_for(acquires(resource, gate), 10));
  run_one_pass(loop);
  gate.set_result();
  task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
}

// -- with() drops what it cannot enter ----------------------------------------

TEST(WithTimeout, ThatWasEnteredDropsTheSecondBlock) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, ended([]() -> Coro<void> {
                                 Timeout limit = timeout(1);
                                 co_await with(limit, sleeps(0));
                                 Coro<void> again = sleeps(0);
                                 auto twice = with(limit, std::move(again));
                                 try {
                                   co_await twice;
                                 } catch (...) {
                                   again.close();
                                   throw;
                                 }
                               }())),
            "rondo::RuntimeError('Timeout has already been entered') "
            "cancelling=0");
}

}  // namespace
}  // namespace rondo
