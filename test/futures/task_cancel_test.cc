// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "futures/gather.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// Cancelling a task: probes p16 to p21. In coroutines: coro/cancel_test.cc.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;

// "or before its first step, it is thrown ... in place of the first step"
TEST(TaskCancel, BeforeTheFirstStepIsThrownInItsPlace) {
  EventLoop loop;
  int checked = 0;
  const Task<void> task = create_task(loop, body([&](Resumption& r) {
                                        ++checked;
                                        r.check();
                                        ADD_FAILURE() << "ran";
                                        return Step::done();
                                      }));
  EXPECT_TRUE(task.cancel());
  EXPECT_FALSE(task.done());
  EXPECT_FALSE(task.cancelled());
  EXPECT_EQ(task.cancelling(), 1u);
  run_one_pass(loop);
  EXPECT_EQ(checked, 1);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(end_of(task), "CancelledError()");
  // "Returns false, and changes nothing, if it was done."
  EXPECT_FALSE(task.cancel());
  EXPECT_EQ(task.cancelling(), 1u);
}

// "the body is thrown a CancelledError where it waits, in a later pass, after
// what it waits for was cancelled too"
TEST(TaskCancel, CancelsWhatTheTaskWaitsForAtOnce) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> a = create_task(loop, Awaits(future, log, "a"));
  const Task<void> b = create_task(loop, Awaits(future, log, "b"));
  run_one_pass(loop);
  EXPECT_TRUE(a.cancel());
  EXPECT_TRUE(future.cancelled());
  EXPECT_FALSE(a.done());
  run_one_pass(loop);
  // The future is everybody's: both see it cancelled.
  EXPECT_EQ(log, (Lines{"a: CancelledError()", "b: CancelledError()"}));
  EXPECT_TRUE(a.cancelled());
  EXPECT_TRUE(b.cancelled());
  EXPECT_EQ(a.cancelling(), 1u);
  EXPECT_EQ(b.cancelling(), 0u);
}

TEST(TaskCancel, ReachesTheInnermostOfThoseThatWaitForEachOther) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> inner = create_task(loop, Awaits(future, log, "inner"));
  const Task<void> middle = create_task(loop, Awaits(inner, log, "middle"));
  const Task<void> outer = create_task(loop, Awaits(middle, log, "outer"));
  run_one_pass(loop);
  outer.cancel("the message");
  EXPECT_EQ(outer.cancelling(), 1u);
  EXPECT_EQ(middle.cancelling(), 1u);
  EXPECT_EQ(inner.cancelling(), 1u);
  EXPECT_TRUE(future.cancelled());
  run_passes(loop, 3);
  EXPECT_EQ(log, (Lines{"inner: CancelledError('the message')",
                        "middle: CancelledError('the message')",
                        "outer: CancelledError('the message')"}));
}

// "It may clean up, and it may refuse."
TEST(TaskCancel, MayBeRefusedByWhatIsAwaited) {
  EventLoop loop;
  Lines log;
  const Task<void> child =
      create_task(loop, Awaits(Future<void>(loop), log, "child", true));
  const Task<void> parent = create_task(loop, Awaits(child, log, "parent"));
  run_one_pass(loop);
  parent.cancel();
  run_passes(loop, 2);
  EXPECT_EQ(log, (Lines{"child: CancelledError()", "parent: done"}));
  EXPECT_FALSE(parent.cancelled());
  EXPECT_EQ(parent.cancelling(), 1u);
}

TEST(TaskCancel, MayBeRefusedByTheTask) {
  EventLoop loop;
  Lines log;
  const Task<void> task =
      create_task(loop, Awaits(Future<void>(loop), log, "a", true));
  run_one_pass(loop);
  EXPECT_TRUE(task.cancel());
  run_one_pass(loop);
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(task.cancelled());
  EXPECT_EQ(end_of(task), "done");
}

// "To be called first, or the cancellation is swallowed."
TEST(TaskCancel, IsSwallowedByABodyThatDoesNotLook) {
  EventLoop loop;
  const Task<void> task =
      create_task(loop, body([n = 0](Resumption&) mutable {
                    return n++ == 0 ? Step::yield() : Step::done();
                  }));
  run_one_pass(loop);
  task.cancel("why");
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "done");
}

// "If a request comes while it runs, ... it is thrown at the next wait."
TEST(TaskCancel, OutOfItsOwnBodyIsThrownAtTheNextWait) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> task =
      create_task(loop, body([&, state = 0](Resumption& r) mutable {
                    if (state++ == 0) {
                      EXPECT_TRUE(r.task().cancel("own"));
                      log.push_back("goes on");
                      return Step::wait(future);
                    }
                    log.push_back(end_of(r.error()));
                    r.check();
                    return Step::done();
                  }));
  run_one_pass(loop);
  // What it goes to wait for is cancelled in its place.
  EXPECT_TRUE(future.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"goes on", "CancelledError('own')"}));
  EXPECT_TRUE(task.cancelled());
}

TEST(TaskCancel, OutOfItsOwnBodyIsThrownAtTheNextYield) {
  EventLoop loop;
  Lines log;
  const Task<void> task =
      create_task(loop, body([&, state = 0](Resumption& r) mutable {
                    if (state++ == 0) {
                      r.task().cancel();
                      return Step::yield();
                    }
                    log.push_back(end_of(r.error()));
                    r.check();
                    return Step::done();
                  }));
  run_passes(loop, 2);
  EXPECT_EQ(log, (Lines{"CancelledError()"}));
  EXPECT_TRUE(task.cancelled());
}

TEST(TaskCancel, OutOfItsOwnBodyIsThrownIfWhatItWaitsForIsDone) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  future.set_result();
  const Task<void> task =
      create_task(loop, body([&, state = 0](Resumption& r) mutable {
                    if (state++ == 0) {
                      r.task().cancel();
                      return Step::wait(future);
                    }
                    log.push_back(end_of(r.error()));
                    r.check();
                    return Step::done();
                  }));
  run_passes(loop, 2);
  EXPECT_EQ(log, (Lines{"CancelledError()"}));
  EXPECT_TRUE(task.cancelled());
}

// p20: "cancels itself again and returns without suspending".
TEST(TaskCancel, CountsEvenIfTheTaskComesToItsEnd) {
  EventLoop loop;
  const Task<void> task = create_task(loop, body([](Resumption& r) {
                                        r.task().cancel("at the end");
                                        return Step::done();
                                      }));
  run_one_pass(loop);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(end_of(task), "CancelledError('at the end')");
}

TEST(TaskCancel, InTheStepThatThrowsIsLostToTheException) {
  EventLoop loop;
  const Task<void> task = create_task(loop, body([](Resumption& r) -> Step {
                                        r.task().cancel();
                                        throw std::runtime_error("bad");
                                      }));
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "std::runtime_error('bad')");
}

// The future is done, but the task has not heard of it yet.
TEST(TaskCancel, IsNotHiddenByAResultOfTheSamePass) {
  EventLoop loop;
  Lines log;
  const Future<void> good(loop);
  const Future<void> bad(loop);
  const Task<void> a = create_task(loop, Awaits(good, log, "a"));
  const Task<void> b = create_task(loop, Awaits(bad, log, "b"));
  run_one_pass(loop);
  good.set_result();
  bad.set_exception(std::runtime_error("bad"));
  EXPECT_TRUE(a.cancel());
  EXPECT_TRUE(b.cancel("why"));
  EXPECT_FALSE(good.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"a: CancelledError()", "b: CancelledError('why')"}));
  EXPECT_TRUE(a.cancelled());
  EXPECT_TRUE(b.cancelled());
}

TEST(TaskCancel, OfAFutureThatTheTaskHasNotHeardOfYetIsCancelledToo) {
  EventLoop loop;
  Lines log;
  const Future<void> future(loop);
  const Task<void> task = create_task(loop, Awaits(future, log, "a"));
  run_one_pass(loop);
  future.cancel("future");
  task.cancel("task");
  run_one_pass(loop);
  // As in asyncio: a CancelledError on its way is not replaced.
  EXPECT_EQ(log, (Lines{"a: CancelledError('future')"}));
  EXPECT_TRUE(task.cancelled());
}

// -- counting ----------------------------------------------------------------

TEST(TaskCancel, IsCountedAndThrownOnceHoweverOftenItIsAsked) {
  EventLoop loop;
  Lines log;
  Lines waits;
  const Task<void> task =
      create_task(loop, body([&, state = 0](Resumption& r) mutable {
                    switch (state++) {
                      case 0:
                        return test::wait_for_ever(r);
                      case 1:
                        log.push_back(end_of(r.error()));
                        EXPECT_EQ(r.task().cancelling(), 2u);
                        return Step::yield();
                      default:
                        log.push_back(end_of(r.error()));
                        EXPECT_EQ(r.task().uncancel(), 1u);
                        EXPECT_EQ(r.task().uncancel(), 0u);
                        EXPECT_EQ(r.task().uncancel(), 0u);
                        return Step::done();
                    }
                  }));
  run_one_pass(loop);
  EXPECT_TRUE(task.cancel());
  EXPECT_TRUE(task.cancel());
  run_passes(loop, 2);
  EXPECT_EQ(log, (Lines{"CancelledError()", "done"}));
  EXPECT_EQ(end_of(task), "done");
  EXPECT_EQ(task.cancelling(), 0u);
}

// "A CancelledError on its way comes nevertheless, as in 3.11 and 3.12."
TEST(Uncancel, DoesNotTakeBackWhatIsOnItsWay) {
  EventLoop loop;
  Lines log;
  const Task<void> waiting =
      create_task(loop, Awaits(Future<void>(loop), log, "waiting"));
  run_one_pass(loop);
  const Task<int> unstarted = create_task(loop, Returns(7));
  waiting.cancel();
  unstarted.cancel();
  EXPECT_EQ(waiting.uncancel(), 0u);
  EXPECT_EQ(unstarted.uncancel(), 0u);
  run_one_pass(loop);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(unstarted.cancelled());
  EXPECT_EQ(unstarted.cancelling(), 0u);
}

// -- the message (p21) -------------------------------------------------------

TEST(TaskCancel, KeepsTheLastMessageBeforeTheStartAndTheFirstWhileItWaits) {
  EventLoop loop;
  Lines log;
  const Task<int> unstarted = create_task(loop, Returns(7));
  const Task<void> waiting =
      create_task(loop, Awaits(Future<void>(loop), log, "a"));
  unstarted.cancel("one");
  unstarted.cancel("two");
  const Task<int> plain = create_task(loop, Returns(7));
  plain.cancel("one");
  plain.cancel();
  run_one_pass(loop);
  EXPECT_EQ(end_of(unstarted), "CancelledError('two')");
  EXPECT_EQ(end_of(plain), "CancelledError()");
  waiting.cancel("one");
  waiting.cancel("two");
  run_one_pass(loop);
  EXPECT_EQ(end_of(waiting), "CancelledError('one')");
}

// -- rings -------------------------------------------------------------------

// Cancel of a task that awaits a task that awaits it. asyncio ends
// in a RecursionError; here the request is taken and nobody is thrown it, as
// the tasks can never go on.
TEST(TaskCancel, OfTasksThatAwaitEachOtherComesToAnEnd) {
  for (const int count : {2, 3, 4, 5}) {
    VirtualTimeLoop loop;
    Lines log;
    std::vector<Task<void>> ring;
    for (int i = 0; i < count; ++i) {
      ring.push_back(
          create_task(loop, body([&, i, begun = false](Resumption& r) mutable {
                        if (std::exchange(begun, true)) {
                          r.check();
                          return Step::done();
                        }
                        return Step::wait(ring[(i + 1) % count]);
                      })));
    }
    run_one_pass(loop);
    for (const Task<void>& task : ring) EXPECT_TRUE(task.cancel());
    loop.run_until_idle();
    EXPECT_FALSE(ring[0].done());
    for (const Task<void>& task : ring) {
      task.state()->mark_retrieved();
      static_cast<detail::TaskState*>(task.state())->do_not_report_pending();
    }
  }
}

TEST(TaskCancel, OfATaskThatAwaitsARingComesToAnEnd) {
  VirtualTimeLoop loop;
  Lines log;
  Task<void> a;
  Task<void> b;
  a = create_task(loop, body([&](Resumption&) { return Step::wait(b); }));
  b = create_task(loop, body([&](Resumption&) { return Step::wait(a); }));
  const Task<void> outside = create_task(loop, Awaits(a, log, "outside"));
  run_one_pass(loop);
  EXPECT_TRUE(outside.cancel());
  EXPECT_EQ(outside.cancelling(), 1u);
  loop.run_until_idle();
  for (const AnyTask& task : all_tasks(loop)) {
    static_cast<detail::TaskState*>(task.state())->do_not_report_pending();
  }
}

// A gather that has a task several times cancels it as often, and those in it
// in turn: the numbers get large (the fuzzer counted to 14,348,905).
TEST(TaskCancel, CountsFarMoreRequestsThanAnybodyMakes) {
  EventLoop loop;
  const Task<int> task = create_task(loop, Returns(1));
  for (int n = 0; n < 70'000; ++n) task.cancel();
  EXPECT_EQ(task.cancelling(), 70'000u);
  run_one_pass(loop);
  EXPECT_TRUE(task.cancelled());
}

}  // namespace
}  // namespace rondo
