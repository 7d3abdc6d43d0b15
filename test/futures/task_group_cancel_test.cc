// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/sleep.h"
#include "futures/task_group.h"
#include "futures/timeout.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// Cancels from outside, from inside, and by TaskGroup::cancel(): an outside
// cancel is never hidden, and the parent's count is right at the end.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Throws;
using test::With;

template <class Begin>
auto block(Begin begin) {
  return body([begin](Resumption& r) {
    r.check();
    begin();
    return Step::done();
  });
}

template <class Begin>
auto block_that_waits(Begin begin) {
  return body([begin, begun = false](Resumption& r) mutable {
    r.check();
    if (!std::exchange(begun, true)) begin();
    return test::wait_for_ever(r);
  });
}

// "A cancel from outside cancels them all, and comes out as CancelledError
// unless something failed."
TEST(TaskGroupCancel, FromOutsideInTheBlockCancelsAll) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block_that_waits([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "a"));
                   group.create_task(Awaits(Future<void>(loop), log, "b"));
                 })));
  run_passes(loop, 2);
  parent.cancel("outside");
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()", "b: CancelledError()"}));
  EXPECT_EQ(end_of(parent), "CancelledError('outside')");
  EXPECT_EQ(parent.cancelling(), 1u);
}

TEST(TaskGroupCancel, FromOutsideWhileItWaitsCancelsAll) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "a"));
                 })));
  run_passes(loop, 2);
  parent.cancel("outside");
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(parent), "CancelledError('outside')");
  EXPECT_EQ(parent.cancelling(), 1u);
}

TEST(TaskGroupCancel, FromOutsideGivesWayToWhatFailed) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(
                       body([begun = false](Resumption& r) mutable -> Step {
                         if (std::exchange(begun, true)) {
                           throw std::runtime_error("in its cleanup");
                         }
                         return test::wait_for_ever(r);
                       }));
                 })));
  run_passes(loop, 2);
  parent.cancel("outside");
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('in its cleanup')])");
  // gh-116720: the request is not forgotten.
  EXPECT_EQ(parent.cancelling(), 1u);
}

// gh-95289: the group takes its own request back even if the block has thrown
// something else.
TEST(TaskGroupCancel, Gh95289TakesItsOwnRequestBackWhateverTheBlockThrew) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Lines log;
  const Task<void> parent = create_task(
      loop,
      body([&, state = 0,
            inner = With(
                group, body([&, begun = false](Resumption& r) mutable -> Step {
                  if (std::exchange(begun, true)) {
                    throw std::logic_error("instead of the cancel");
                  }
                  group.create_task(Throws<std::runtime_error>("boom"));
                  return test::wait_for_ever(r);
                }))](Resumption& r) mutable {
        if (state == 0) {
          try {
            const Step step = inner.step(r);
            if (step.kind() != Step::Kind::kDone) return step;
          } catch (const ExceptionGroup& e) {
            log.push_back(to_string(e));
          }
          state = 1;
          EXPECT_EQ(r.task().cancelling(), 0u);
          return Step::yield();
        }
        log.push_back(end_of(r.error()));
        return Step::done();
      }));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"ExceptionGroup('unhandled errors in a TaskGroup', "
                        "[std::runtime_error('boom'), "
                        "std::logic_error('instead of the cancel')])",
                        "done"}));
  EXPECT_EQ(end_of(parent), "done");
}

// The failure comes while the block is over and exit() waits: the count of
// the parent is right all the same.
TEST(TaskGroupCancel, LeavesNoRequestBehindWhenATaskFailsWhileItWaits) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(sleep(5));
                   group.create_task(Throws<std::runtime_error>("boom"));
                 })));
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('boom')])");
  EXPECT_EQ(parent.cancelling(), 0u);
}

// gh-128588: "cancellation leaks out of TaskGroup when using eager tasks".
TEST(TaskGroupCancel, Gh128588DoesNotLeakAnEagerTasksFailure) {
  VirtualTimeLoop loop;
  for (const bool waits : {false, true}) {
    TaskGroup group;
    const Task<void> parent = create_task(
        loop, With(group, body([&, begun = false](Resumption& r) mutable {
                     r.check();
                     if (!std::exchange(begun, true)) {
                       group.create_task(Throws<std::runtime_error>("eager"),
                                         TaskOptions().eager_start());
                     }
                     return waits ? test::wait_for_ever(r) : Step::done();
                   })));
    loop.run_until_idle();
    EXPECT_EQ(end_of(parent),
              "ExceptionGroup('unhandled errors in a TaskGroup', "
              "[std::runtime_error('eager')])");
    EXPECT_EQ(parent.cancelling(), 0u);
  }
}

// gh-128550: a task that starts a failing task before it is itself known to
// the group is cancelled too; in CPython 3.12 the group hung.
TEST(TaskGroupCancel, Gh128550ReachesAnEagerTaskThatStartsAFailingOne) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Task<void> second;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   second = group.create_task(
                       block_that_waits([&] {
                         group.create_task(Throws<std::runtime_error>("third"),
                                           TaskOptions().eager_start());
                       }),
                       TaskOptions().eager_start());
                 })));
  loop.run_until_idle();
  EXPECT_TRUE(second.cancelled());
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('third')])");
}

// gh-116720: "nested TaskGroup can silently swallow cancellation request from
// parent TaskGroup".
TEST(TaskGroupCancel, Gh116720AnInnerGroupDoesNotHideTheOutersRequest) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup outer;
  TaskGroup inner;
  const Task<void> parent = create_task(
      loop,
      With(outer, body([&, state = 0,
                        nested = With(inner, block([&] {
                                        inner.create_task(body(
                                            [begun = false](
                                                Resumption& r) mutable -> Step {
                                              if (std::exchange(begun, true)) {
                                                throw std::logic_error("inner");
                                              }
                                              return test::wait_for_ever(r);
                                            }));
                                      }))](Resumption& r) mutable {
             if (state == 0) {
               state = 1;
               outer.create_task(Throws<std::runtime_error>("outer"));
             }
             if (state == 1) {
               try {
                 const Step step = nested.step(r);
                 if (step.kind() != Step::Kind::kDone) return step;
               } catch (const ExceptionGroup& e) {
                 log.push_back(to_string(e));  // swallowed
               }
               state = 2;
               return test::wait_for_ever(r);
             }
             log.push_back(end_of(r.error()));
             r.check();
             return Step::done();
           })));
  loop.run_until_idle();
  // The outer group has asked for the end of its block: that is heard at the
  // next wait, though the inner group threw.
  ASSERT_EQ(log, (Lines{"ExceptionGroup('unhandled errors in a TaskGroup', "
                        "[std::logic_error('inner')])",
                        "CancelledError()"}));
  EXPECT_EQ(end_of(parent),
            "ExceptionGroup('unhandled errors in a TaskGroup', "
            "[std::runtime_error('outer')])");
  EXPECT_EQ(parent.cancelling(), 0u);
}

// -- TaskGroup::cancel() ------------------------------------------------------

// "Cancels its tasks and the block. That is no error: exit() throws nothing of
// it."
TEST(TaskGroupOwnCancel, EndsTasksAndBlockWithoutAnError) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block_that_waits([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "a"));
                   loop.call_later(1, [&] { group.cancel(); });
                 })));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(parent), "done");
  EXPECT_EQ(parent.cancelling(), 0u);
}

TEST(TaskGroupOwnCancel, ComesWhileItWaits) {
  VirtualTimeLoop loop;
  Lines log;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(Awaits(Future<void>(loop), log, "a"));
                   loop.call_later(1, [&] { group.cancel(); });
                 })));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"a: CancelledError()"}));
  EXPECT_EQ(end_of(parent), "done");
  EXPECT_EQ(parent.cancelling(), 0u);
}

// "No effect once it is shutting down or has ended."
TEST(TaskGroupOwnCancel, HasNoEffectTwiceOrAfterTheEnd) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block_that_waits([&] {
                   group.cancel();
                   group.cancel();
                   EXPECT_THROW(group.create_task(sleep(1)), RuntimeError);
                 })));
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent), "done");
  EXPECT_EQ(parent.cancelling(), 0u);
  group.cancel();
  EXPECT_EQ(parent.cancelling(), 0u);
}

// gh-155418: "TaskGroup hangs on cancel with eager task factory".
TEST(TaskGroupOwnCancel, Gh155418ReachesAnEagerTaskThatCallsIt) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Task<void> child;
  const Task<void> parent =
      create_task(loop, With(group, block([&] {
                               child = group.create_task(
                                   block_that_waits([&] { group.cancel(); }),
                                   TaskOptions().eager_start());
                             })));
  loop.run_until_idle();
  EXPECT_TRUE(child.cancelled());
  EXPECT_EQ(end_of(parent), "done");
}

// gh-155433: "TaskGroup swallows cancellations coming from outside of it"
// after its own cancel().
TEST(TaskGroupOwnCancel, Gh155433DoesNotHideACancelFromOutside) {
  VirtualTimeLoop loop;
  TaskGroup group;
  const Task<void> parent = create_task(
      loop, With(group, block([&] {
                   group.create_task(body([state = 0](Resumption& r) mutable {
                     switch (state++) {
                       case 0:
                         return test::wait_for_ever(r);
                       case 1: {
                         r.take_error();
                         const Future<void> cleaned(r.loop());
                         r.loop().call_later(2, [=] { cleaned.set_result(); });
                         return Step::wait(cleaned);
                       }
                       default:
                         return Step::done();
                     }
                   }));
                   loop.call_later(1, [&] { group.cancel(); });
                 })));
  loop.advance(2s);
  EXPECT_FALSE(parent.done());
  parent.cancel("from outside");
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent), "CancelledError('from outside')");
  EXPECT_EQ(parent.cancelling(), 1u);
}

TEST(TaskGroupOwnCancel, Gh155433DoesNotHideATimeout) {
  VirtualTimeLoop loop;
  TaskGroup group;
  Timeout limit = timeout_at(TimePoint(Delay(2).value()));
  const Task<void> parent = create_task(
      loop, With(limit, With(group, block([&] {
                               group.create_task(
                                   body([state = 0](Resumption& r) mutable {
                                     switch (state++) {
                                       case 0:
                                         return test::wait_for_ever(r);
                                       case 1: {
                                         r.take_error();
                                         const Future<void> cleaned(r.loop());
                                         r.loop().call_later(
                                             5, [=] { cleaned.set_result(); });
                                         return Step::wait(cleaned);
                                       }
                                       default:
                                         return Step::done();
                                     }
                                   }));
                               loop.call_later(1, [&] { group.cancel(); });
                             }))));
  loop.run_until_idle();
  EXPECT_EQ(end_of(parent), "rondo::TimeoutError()");
  EXPECT_EQ(parent.cancelling(), 0u);
}

}  // namespace
}  // namespace rondo
