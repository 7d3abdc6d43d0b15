// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/gather.h"
#include "futures/sleep.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// "Cancelling the gather cancels all that are not done; it then ends when they
// have ended."

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;

TEST(GatherCancel, CancelsTheChildrenAndWaitsForThem) {
  EventLoop loop;
  Lines log;
  const Task<void> a = create_task(loop, Awaits(Future<void>(loop), log, "a"));
  const Task<void> b = create_task(loop, Awaits(Future<void>(loop), log, "b"));
  const auto all = gather(loop, a, b);
  run_one_pass(loop);
  EXPECT_TRUE(all.cancel("gather message"));
  EXPECT_FALSE(all.done());
  run_passes(loop, 2);
  EXPECT_EQ(log, (Lines{"a: CancelledError('gather message')",
                        "b: CancelledError('gather message')"}));
  EXPECT_EQ(repr(all.state()->failure()), "CancelledError('gather message')");
  EXPECT_TRUE(a.cancelled());
  EXPECT_TRUE(b.cancelled());
}

TEST(GatherCancel, ReachesTheChildrenOfATaskThatAwaitsIt) {
  EventLoop loop;
  Lines log;
  const Future<void> child(loop);
  const auto all = gather(loop, child);
  const Task<void> task = create_task(loop, Awaits(all, log, "task"));
  run_one_pass(loop);
  task.cancel("why");
  EXPECT_TRUE(child.cancelled());
  run_passes(loop, 3);
  EXPECT_EQ(log, (Lines{"task: CancelledError('why')"}));
  EXPECT_TRUE(task.cancelled());
}

// asyncio's test_return_exceptions and its "cancel with return_exceptions":
// a cancel that somebody asked for is never turned into a result.
TEST(GatherCancel, IsNotHiddenByReturnExceptions) {
  EventLoop loop;
  const Future<int> a(loop);
  const Future<int> b(loop);
  const auto all = gather(loop, return_exceptions, a, b);
  const auto range =
      gather(loop, return_exceptions, std::vector<Future<int>>{b});
  b.set_result(7);
  EXPECT_TRUE(all.cancel());
  EXPECT_FALSE(range.cancel());
  run_one_pass(loop);
  EXPECT_EQ(repr(all.state()->failure()), "CancelledError()");
  EXPECT_TRUE(range.done());
  EXPECT_TRUE(range.result()[0].has_value());
}

TEST(GatherCancel, IsNotHiddenByAChildThatRefuses) {
  EventLoop loop;
  Lines log;
  const Task<void> refuses =
      create_task(loop, Awaits(Future<void>(loop), log, "a", true));
  const auto all = gather(loop, refuses);
  run_one_pass(loop);
  EXPECT_TRUE(all.cancel("why"));
  run_passes(loop, 2);
  EXPECT_EQ(end_of(refuses), "done");
  EXPECT_EQ(repr(all.state()->failure()), "CancelledError()");
}

TEST(GatherCancel, ReturnsFalseIfNothingIsLeftToCancel) {
  EventLoop loop;
  const Future<int> child(loop);
  const auto all = gather(loop, child);
  child.set_result(7);
  // The child is done, the gather has not heard of it yet.
  EXPECT_FALSE(all.done());
  EXPECT_FALSE(all.cancel());
  run_one_pass(loop);
  EXPECT_EQ(std::get<0>(all.result()), 7);
  EXPECT_FALSE(all.cancel());
}

// A task that awaits such a gather is told all the same.
TEST(GatherCancel, OfATaskIsDeliveredThoughEveryChildIsDone) {
  EventLoop loop;
  Lines log;
  const Future<int> child(loop);
  const auto all = gather(loop, child);
  const Task<void> task = create_task(loop, Awaits(all, log, "task"));
  run_one_pass(loop);
  child.set_result(7);
  task.cancel();
  run_passes(loop, 3);
  EXPECT_EQ(log, (Lines{"task: CancelledError()"}));
}

TEST(GatherCancel, GoesThroughGathersOfGathers) {
  EventLoop loop;
  const Future<int> child(loop);
  const auto inner = gather(loop, child);
  const auto outer = gather(loop, inner);
  EXPECT_TRUE(outer.cancel("why"));
  EXPECT_TRUE(child.cancelled());
  run_passes(loop, 3);
  EXPECT_EQ(repr(outer.state()->failure()), "CancelledError('why')");
}

// A callback may cancel anything: what a cancel destroys, too.
TEST(GatherCancel, MayComeBackOutOfWhatItDestroys) {
  EventLoop loop;
  Lines log;
  Future<std::tuple<int, int>> all;
  const Future<int> a(loop);
  const Future<int> b(loop);
  all = gather(loop, a, b);
  a.add_done_callback([&](AnyFuture) {
    all.cancel("again");
    all = Future<std::tuple<int, int>>();
  });
  all.cancel();
  run_passes(loop, 3);
  EXPECT_TRUE(b.cancelled());
}

/// A task that waits for `future`, which need not be there yet.
Task<void> waits_for(EventLoop& loop, const AnyFuture& future) {
  return create_task(
      loop, body([&future, begun = false](Resumption& resumption) mutable {
        resumption.check();
        if (std::exchange(begun, true)) return Step::done();
        return Step::wait(future);
      }));
}

// As deep as one likes: CPython's ends in a RecursionError.
TEST(GatherCancel, OfALongChainNeedsNoStack) {
  constexpr std::size_t kLength = 100'000;
  EventLoop loop;
  const Future<void> leaf(loop);
  std::vector<AnyFuture> awaited{leaf};
  awaited.reserve(kLength + 1);
  std::vector<Task<void>> tasks;
  for (std::size_t n = 0; n < kLength; ++n) {
    tasks.push_back(waits_for(loop, awaited[n]));
    awaited.push_back(gather(loop, tasks.back()));
  }
  run_passes(loop, 1);
  EXPECT_TRUE(tasks.back().cancel());
  EXPECT_TRUE(leaf.cancelled());
  run_passes(loop, 4 * kLength);
  for (const Task<void>& task : tasks) ASSERT_TRUE(task.cancelled());
}

// Tasks that wait for each other in rings, through gathers: the ways round are
// more than could be walked. CPython's ends in a RecursionError. There is
// nobody to wake, so they are told, and go on waiting.
TEST(GatherCancel, OfRingsComesToAnEnd) {
  constexpr std::size_t kTasks = 64;
  const LogCapture captured;  // of tasks that are still pending
  VirtualTimeLoop loop;
  std::vector<AnyFuture> awaited(kTasks);
  std::vector<Task<void>> tasks;
  for (const AnyFuture& future : awaited) {
    tasks.push_back(waits_for(loop, future));
  }
  for (std::size_t n = 0; n < kTasks; ++n) {
    awaited[n] = gather(loop, tasks[(n + 1) % kTasks], tasks[(n + 2) % kTasks],
                        tasks[(n + 7) % kTasks]);
  }
  run_passes(loop, 1);
  EXPECT_TRUE(tasks[0].cancel());
  run_passes(loop, 4 * kTasks);
  for (const Task<void>& task : tasks) EXPECT_GT(task.cancelling(), 0u);
}

// An exception on the way drops what had to wait for the walk to come back.
TEST(GatherCancelDeathTest, ThatIsRefusedKeepsNothing) {
  constexpr std::size_t kLength = 150;
  const LogCapture captured;  // of tasks that are still pending
  EventLoop loop;
  const Future<void> leaf(loop);
  const Future<void> other(loop);
  std::vector<AnyFuture> awaited{leaf};
  awaited.reserve(kLength + 1);
  std::vector<Task<void>> tasks;
  for (std::size_t n = 0; n < kLength; ++n) {
    tasks.push_back(waits_for(loop, awaited[n]));
    awaited.push_back(gather(loop, tasks.back()));
  }
  const auto all = gather(loop, tasks.back(), other);
  run_one_pass(loop);
  const auto references = [&] {
    std::uint32_t sum = 0;
    for (const AnyFuture& future : awaited) sum += future.state()->references();
    return sum;
  };
  // A forked child may not use its parent's loop: `other` says so.
  EXPECT_EXIT(
      {
        const std::uint32_t before = references();
        try {
          all.cancel("why");
        } catch (const RuntimeError&) {
          std::_Exit(references() == before ? 0 : 1);
        }
        std::_Exit(2);
      },
      testing::ExitedWithCode(0), "");
}

// -- gather_ends -------------------------------------------------------------

TEST(GatherEnds, IsDoneWhenAllAreHoweverTheyEnd) {
  EventLoop loop;
  Reports reports(loop);
  const Future<int> good(loop);
  const Future<void> bad(loop);
  const Future<std::string> cancelled(loop);
  const Future<void> all =
      detail::gather_ends(loop, {good, bad, cancelled, bad});
  EXPECT_EQ(to_string(all), "<_GatheringFuture pending>");
  good.set_result(7);
  bad.set_exception(std::runtime_error("bad"));
  run_one_pass(loop);
  EXPECT_FALSE(all.done());
  cancelled.cancel();
  run_one_pass(loop);
  EXPECT_TRUE(all.done());
  EXPECT_NO_THROW(all.result());
  EXPECT_TRUE(detail::gather_ends(loop, {}).done());
}

TEST(GatherEnds, CountsAsReadingTheExceptions) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Future<void> bad(loop);
    detail::gather_ends(loop, {bad});
    bad.set_exception(std::runtime_error("bad"));
  }
  run_one_pass(loop);
  EXPECT_TRUE(reports.messages.empty());
}

TEST(GatherEnds, IsCancelledWithItsChildren) {
  EventLoop loop;
  const Future<void> child(loop);
  const Future<void> all = detail::gather_ends(loop, {child});
  EXPECT_TRUE(all.cancel());
  EXPECT_TRUE(child.cancelled());
  run_one_pass(loop);
  EXPECT_TRUE(is_cancelled_error(all.state()->failure()));
  EXPECT_FALSE(all.cancel());
}

/// Turns a cancel into another exception.
Task<void> stubborn(EventLoop& loop) {
  return create_task(loop, body([](Resumption& resumption) {
                       if (resumption.take_error() != nullptr) {
                         throw std::runtime_error("bad");
                       }
                       return test::wait_for_ever(resumption);
                     }));
}

// "res = fut.exception()", before they are thrown away (tasks.py,
// _done_callback).
TEST(GatherCancel, CountsAsReadingTheExceptions) {
  EventLoop loop;
  Reports reports(loop);
  {
    const auto all = gather(loop, return_exceptions, stubborn(loop));
    run_one_pass(loop);
    all.cancel();
    run_passes(loop, 4);
    EXPECT_EQ(repr(all.exception()), "CancelledError()");
  }
  EXPECT_EQ(reports.messages, Lines());
}

TEST(GatherEnds, CountsAsReadingThemWhenItIsCancelled) {
  EventLoop loop;
  Reports reports(loop);
  {
    const auto all = detail::gather_ends(loop, {stubborn(loop)});
    run_one_pass(loop);
    all.cancel();
    run_passes(loop, 4);
    EXPECT_EQ(repr(all.exception()), "CancelledError()");
  }
  EXPECT_EQ(reports.messages, Lines());
}

}  // namespace
}  // namespace rondo
