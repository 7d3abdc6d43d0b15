// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/timeout.h"
#include "futures/wait_for.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// `async with TaskGroup()` with coroutines: CPython's test_taskgroups.

namespace rondo {
namespace {

using test::end_of;
using test::Lines;

Coro<int> gives(int n) {
  co_await sleep(0.1);
  co_return n;
}
Coro<void> fails(std::string text, double after = 0) {
  if (after > 0) co_await sleep(after);
  throw std::runtime_error(text);
}
Coro<void> notes(Lines& log, std::string name, double delay) {
  try {
    co_await sleep(delay);
  } catch (const CancelledError&) {
    log.push_back(name + " cancelled");
    throw;
  }
  log.push_back(name + " ends");
}

template <class F>
std::string outcome(F main) {
  VirtualTimeLoop loop;
  Task<void> task = create_task(loop, main());
  loop.run_until_idle();
  return end_of(task) + " cancelling=" + std::to_string(task.cancelling());
}

// test_taskgroup_01, 02, 03
TEST(WithTaskGroup, GivesItsTasksAndTheBlocksValue) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(
                loop,
                []() -> Coro<int> {
                  TaskGroup group;
                  Task<int> a;
                  const int b = co_await with(
                      group, [](TaskGroup& g, Task<int>& t) -> Coro<int> {
                        t = g.create_task(gives(40));
                        co_return 2;
                      }(group, a));
                  co_return a.result() + b;
                }()),
            42);
}

// test_children_complete_on_child_error
TEST(WithTaskGroup, WaitsForTheCleanUpOfThoseItCancels) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup group;
              const auto block = [](TaskGroup& g, Lines& l) -> Coro<void> {
                g.create_task(notes(l, "slow", 10));
                g.create_task(fails("boom", 1));
                co_await notes(l, "block", 5);
              };
              co_await with(group, block(group, log));
            }),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('boom')]) cancelling=0");
  EXPECT_EQ(log, (Lines{"slow cancelled", "block cancelled"}));
}

// test_taskgroup_14, 15: the block fails, the children are cancelled.
TEST(WithTaskGroup, CancelsItsTasksWhenTheBlockFails) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup group;
              const auto block = [](TaskGroup& g, Lines& l) -> Coro<void> {
                g.create_task(notes(l, "child", 10));
                co_await sleep(1);
                throw std::logic_error("block");
              };
              co_await with(group, block(group, log));
            }),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::logic_error('block')]) cancelling=0");
  EXPECT_EQ(log, (Lines{"child cancelled"}));
}

// test_taskgroup_20: cancelled from outside, then a child fails.
TEST(WithTaskGroup, ThrowsWhatFailsInTheCleanUpOfACancel) {
  VirtualTimeLoop loop;
  const auto main = []() -> Coro<void> {
    TaskGroup group;
    const auto crash = []() -> Coro<void> {
      try {
        co_await sleep(10);
      } catch (const CancelledError&) {
        throw std::runtime_error("in its clean-up");
      }
    };
    const auto block = [crash](TaskGroup& g) -> Coro<void> {
      g.create_task(crash());
      co_await sleep(5);
    };
    co_await with(group, block(group));
  };
  const Task<void> task = create_task(loop, main());
  loop.advance(std::chrono::seconds(1));
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(end_of(task),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('in its clean-up')])");
  EXPECT_EQ(task.cancelling(), 1u);
}

// test_taskgroup_13, 18: nested groups.
TEST(WithTaskGroup, NestsItsErrors) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup outer;
              const auto inner_block = [](TaskGroup& g) -> Coro<void> {
                g.create_task(fails("inner", 1));
                co_await sleep(10);
              };
              const auto outer_block = [inner_block](TaskGroup& g,
                                                     Lines& l) -> Coro<void> {
                g.create_task(notes(l, "outer's", 10));
                TaskGroup inner;
                co_await with(inner, inner_block(inner));
              };
              co_await with(outer, outer_block(outer, log));
            }),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('inner')])]) cancelling=0");
  EXPECT_EQ(log, (Lines{"outer's cancelled"}));
}

// gh-116720: what the task was asked before the group is still
// asked behind it. As in 3.13, a group that fails asks again, so that it is
// heard at the next wait.
TEST(WithTaskGroup, KeepsTheLevelOfCancelsFromBefore) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              AnyTask self = current_task();
              self.cancel();
              try {
                co_await sleep(0);
              } catch (const CancelledError&) {
              }
              TaskGroup group;
              const auto block = [](TaskGroup& g) -> Coro<void> {
                g.create_task(fails("x"));
                co_return;
              };
              try {
                co_await with(group, block(group));
                ADD_FAILURE() << "threw nothing";
              } catch (const ExceptionGroup& e) {
                log.push_back(repr(e.exceptions()[0]));
              }
              EXPECT_EQ(self.cancelling(), 1u);
              co_await notes(log, "behind", 1);
            }),
            "CancelledError() cancelling=1");
  EXPECT_EQ(log, (Lines{"std::runtime_error('x')", "behind cancelled"}));
}

// gh-116720, its second shape: the outer group's cancel is heard by the code
// behind an inner group that failed in the same pass.
TEST(WithTaskGroup, Gh116720TheCodeBehindAFailedInnerGroupIsCancelled) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup outer;
              const auto inner_block = [](TaskGroup& g) -> Coro<void> {
                g.create_task(fails("inner", 1));
                co_await sleep(10);
              };
              const auto outer_block = [inner_block](TaskGroup& g,
                                                     Lines& l) -> Coro<void> {
                g.create_task(fails("outer", 1));
                try {
                  TaskGroup inner;
                  co_await with(inner, inner_block(inner));
                } catch (const ExceptionGroup& e) {
                  l.push_back(repr(e.exceptions()[0]));
                }
                co_await notes(l, "behind", 5);
              };
              co_await with(outer, outer_block(outer, log));
            }),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('outer')]) cancelling=0");
  EXPECT_EQ(log, (Lines{"std::runtime_error('inner')", "behind cancelled"}));
}

// The group has taken its own request back when its error is dealt with, so
// that a timeout around it all sees no request but its own.
TEST(WithTaskGroup, Gh133747ATimeoutIsOneBehindAGroupThatFailed) {
  EXPECT_EQ(outcome([]() -> Coro<void> {
              const auto group_fails = []() -> Coro<void> {
                TaskGroup group;
                const auto block = [](TaskGroup& g) -> Coro<void> {
                  g.create_task(fails("inner"));
                  co_return;
                };
                co_await with(group, block(group));
              };
              const auto delays = [group_fails]() -> Coro<void> {
                std::exception_ptr error;
                try {
                  co_await group_fails();
                } catch (const ExceptionGroup&) {
                  error = std::current_exception();
                }
                co_await sleep(1);
                std::rethrow_exception(error);
              };
              Task<void> delayed = create_task(delays());
              auto limited = wait_for(delayed, 0.1);
              co_await limited;
            }),
            "rondo::TimeoutError() cancelling=0");
  // The same inside one task, where the requests are counted together.
  EXPECT_EQ(outcome([]() -> Coro<void> {
              Timeout limit = timeout(0.1);
              const auto block = []() -> Coro<void> {
                try {
                  TaskGroup group;
                  const auto inner = [](TaskGroup& g) -> Coro<void> {
                    g.create_task(fails("inner"));
                    co_await sleep(10);
                  };
                  co_await with(group, inner(group));
                } catch (const ExceptionGroup&) {
                }
                co_await sleep(1);
              };
              co_await with(limit, block());
            }),
            "rondo::TimeoutError() cancelling=0");
}

// gh-108951: a group ended out of one of its tasks, with no error.
TEST(WithTaskGroup, IsEndedByItsOwnCancel) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup group;
              const auto child = [](TaskGroup& g) -> Coro<void> {
                co_await sleep(1);
                g.cancel();
                co_await sleep(1);
              };
              const auto block = [child](TaskGroup& g, Lines& l) -> Coro<void> {
                g.create_task(child(g));
                g.create_task(notes(l, "other", 10));
                co_await notes(l, "block", 10);
              };
              co_await with(group, block(group, log));
              log.push_back("behind");
              co_await sleep(0);
            }),
            "done cancelling=0");
  EXPECT_EQ(log, (Lines{"other cancelled", "block cancelled", "behind"}));
}

TEST(WithTaskGroup, ThrowsIfItsOwnCancelLeftABlockWithoutItsValue) {
  VirtualTimeLoop loop;
  const auto main = []() -> Coro<int> {
    TaskGroup group;
    const auto block = [](TaskGroup& g) -> Coro<int> {
      g.cancel();
      co_await sleep(10);
      co_return 7;
    };
    co_return co_await with(group, block(group));
  };
  const Task<int> task = create_task(loop, main());
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(task.cancelling(), 0u);
}

// "Throws RuntimeError if the group ... is shutting down; then `awaitable` is
// dropped without a report."
TEST(WithTaskGroup, DropsACoroutineItRefusesWithoutAReport) {
  LogCapture captured;
  TaskGroup group;
  EXPECT_THROW(group.create_task(gives(1)), RuntimeError);
  EXPECT_TRUE(captured.lines().empty());
}

// test_taskgroup_finished, test_taskgroup_body_cancel: a group whose parent
// cancels itself at its end.
TEST(WithTaskGroup, HearsACancelThatTheBlockAskedForAtItsEnd) {
  Lines log;
  EXPECT_EQ(outcome([&]() -> Coro<void> {
              TaskGroup group;
              const auto block = [](TaskGroup& g, Lines& l) -> Coro<void> {
                g.create_task(notes(l, "child", 1));
                current_task().cancel("own");
                co_return;
              };
              co_await with(group, block(group, log));
            }),
            "CancelledError('own') cancelling=1");
  EXPECT_EQ(log, (Lines{"child cancelled"}));
}

}  // namespace
}  // namespace rondo
