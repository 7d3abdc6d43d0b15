// SPDX-License-Identifier: MIT
#include "futures/call_graph.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "futures/gather.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/futures/scrubbed.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"
#include "test/support/passes.h"
#include "test/support/scale.h"

// Call graphs of tasks over hand-written bodies; those over coroutines are in
// coro/call_graph_coro_test.cc.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::Lines;
using test::scrubbed;
using test::thrown_by;
using Again = FutureCallGraph::Again;

/// A loop with tasks that wait for ever.
struct Waiting {
  ~Waiting() {
    const LogCapture captured;  // of tasks that are still pending
    loop.close();
  }

  /// A task that waits for `future`.
  Task<void> awaits(AnyFuture future, std::string name) {
    return create_task(loop, Awaits(std::move(future), log, "x", true),
                       TaskOptions().name(std::move(name)));
  }
  /// The same for a future that need not be there yet.
  Task<void> awaits_later(const AnyFuture& future, std::string name) {
    return create_task(loop,
                       body([&future, begun = false](Resumption&) mutable {
                         if (std::exchange(begun, true)) return Step::done();
                         return Step::wait(future);
                       }),
                       TaskOptions().name(std::move(name)));
  }
  std::string graph(const AnyFuture& future) {
    return scrubbed(format_call_graph(future));
  }

  VirtualTimeLoop loop;
  Lines log;
};

TEST(CallGraph, ShowsWhereATaskStandsAndWhoAwaitsIt) {
  Waiting w;
  const AnyTask inner =
      create_task(w.loop, sleep(1), TaskOptions().name("inner"));
  const AnyTask outer = w.awaits(inner, "outer");
  run_passes(w.loop, 1);
  EXPECT_EQ(w.graph(inner),
            "* Task(name='inner', id=*)\n"
            "  + Call stack:\n"
            "  |   in async sleep()\n"
            "  + Awaited by:\n"
            "    * Task(name='outer', id=*)\n"
            "      + Call stack:\n"
            "      |   in async awaits()");
  EXPECT_EQ(w.graph(outer),
            "* Task(name='outer', id=*)\n"
            "  + Call stack:\n"
            "  |   in async awaits()");
}

TEST(CallGraph, OfAFutureHasItsAwaitersInTheOrderInWhichTheyCame) {
  Waiting w;
  const Future<void> future(w.loop);
  w.awaits(future, "b");
  w.awaits(future, "a");
  run_passes(w.loop, 1);
  const FutureCallGraph graph = capture_call_graph(future);
  EXPECT_EQ(graph.future, future);
  EXPECT_TRUE(graph.call_stack.empty());
  ASSERT_EQ(graph.awaited_by.size(), 2u);
  EXPECT_EQ(scrubbed(to_string(graph)),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='b', id=*)\n"
            "      + Call stack:\n"
            "      |   in async awaits()\n"
            "    * Task(name='a', id=*)\n"
            "      + Call stack:\n"
            "      |   in async awaits()");
}

TEST(CallGraph, HasTheAddressAsTheId) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  char id[40];
  std::snprintf(id, sizeof id, "* Future(id=%p)",
                static_cast<const void*>(future.state()));
  EXPECT_EQ(format_call_graph(future), id);
}

TEST(CallGraph, QuotesAName) {
  Waiting w;
  const AnyTask task = w.awaits(Future<void>(w.loop), "it's\n");
  EXPECT_EQ(w.graph(task).substr(0, 27), "* Task(name=\"it's\\n\", id=*)");
}

TEST(CallGraph, LooksThroughGatherAndShieldAtWhoAwaitsThem) {
  Waiting w;
  const Future<void> future(w.loop);
  w.awaits(shield(gather(w.loop, future, Future<void>(w.loop))), "waits");
  run_passes(w.loop, 1);
  EXPECT_EQ(w.graph(future),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='waits', id=*)\n"
            "      + Call stack:\n"
            "      |   in async awaits()");
}

// wait_for(f, 0) cancels first and then waits: not by awaiting `f`.
TEST(CallGraph, SeesAWaitForThatHasCancelled) {
  Waiting w;
  const Future<void> end(w.loop);
  const Task<void> stays =
      create_task(w.loop, body([&](Resumption& resumption) {
                    static_cast<void>(resumption.take_error());
                    return Step::wait(end);
                  }),
                  TaskOptions().name("stays"));
  run_passes(w.loop, 1);
  create_task(w.loop, wait_for(stays, 0), TaskOptions().name("waits"));
  run_passes(w.loop, 3);
  EXPECT_EQ(w.graph(stays),
            "* Task(name='stays', id=*)\n"
            "  + Call stack:\n"
            "  |   in async body()\n"
            "  + Awaited by:\n"
            "    * Task(name='waits', id=*)\n"
            "      + Call stack:\n"
            "      |   in async wait_for()");
}

TEST(CallGraph, HasAGatherThatNobodyAwaits) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  const auto all = gather(loop, future);
  const FutureCallGraph graph = capture_call_graph(future);
  ASSERT_EQ(graph.awaited_by.size(), 1u);
  EXPECT_EQ(graph.awaited_by.front().future, all);
  EXPECT_EQ(scrubbed(to_string(graph)),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Future(id=*)");
}

TEST(CallGraph, NamesATaskOnceThatWaitsInTwoWays) {
  Waiting w;
  const Future<void> future(w.loop);
  const auto once = gather(w.loop, future);
  const auto twice = gather(w.loop, future);
  w.awaits(gather(w.loop, once, twice), "both");
  run_passes(w.loop, 1);
  EXPECT_EQ(capture_call_graph(future).awaited_by.size(), 1u);
}

TEST(CallGraph, DoesNotCountCallbacksOfTheUser) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  future.add_done_callback([](const Future<void>&) {});
  EXPECT_EQ(scrubbed(format_call_graph(future)), "* Future(id=*)");
}

// "Nobody waits for what is done": its awaiters are on their way.
TEST(CallGraph, OfADoneFutureHasNoAwaiters) {
  Waiting w;
  const Future<void> future(w.loop);
  const AnyTask task = w.awaits(future, "waits");
  run_passes(w.loop, 1);
  future.set_result();
  EXPECT_EQ(w.graph(future), "* Future(id=*)");
  run_passes(w.loop, 1);
  EXPECT_EQ(w.graph(task), "* Task(name='waits', id=*)");
}

TEST(CallGraph, OutlivesItsTasksAndTheirLoop) {
  std::optional<FutureCallGraph> graph;
  {
    Waiting w;
    const Future<void> future(w.loop);
    w.awaits(future, "waits");
    run_passes(w.loop, 1);
    graph = capture_call_graph(future);
  }
  EXPECT_EQ(scrubbed(to_string(*graph)),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='waits', id=*)\n"
            "      + Call stack:\n"
            "      |   in async awaits()");
}

// "Drops what it had."
TEST(CallGraph, CanBeAssigned) {
  Waiting w;
  const Future<void> future(w.loop);
  const AnyTask task = w.awaits(future, "waits");
  run_passes(w.loop, 1);
  FutureCallGraph graph = capture_call_graph(future, 0);
  graph = capture_call_graph(task, 0);
  EXPECT_EQ(scrubbed(to_string(graph)), "* Task(name='waits', id=*)");
  graph = capture_call_graph(future, 0);
  EXPECT_EQ(graph.awaited_by.at(0).future, task);
}

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN
TEST(CallGraph, IsDestroyedWithoutMemory) {
  using Mode = test::FailingAllocations::Mode;
  Waiting w;
  const Future<void> future(w.loop);
  w.awaits(future, "few");
  const Task<void> many = w.awaits(future, "many");
  for (int i = 0; i < 5; ++i) w.awaits(w.awaits(many, "one"), "behind");
  run_passes(w.loop, 1);
  const std::int64_t blocks = test::live_blocks();
  std::optional<FutureCallGraph> graph = capture_call_graph(future);
  EXPECT_GT(test::live_blocks(), blocks);
  bool fired = false;
  {
    const test::FailingAllocations failing(1, Mode::kFromThenOn);
    graph.reset();
    fired = failing.fired();
  }
  EXPECT_TRUE(fired);
  EXPECT_EQ(test::live_blocks(), blocks);
}
#endif

// -- the current task --------------------------------------------------------

TEST(CallGraph, OfTheCurrentTaskBeginsWhereItIsCaptured) {
  VirtualTimeLoop loop;
  std::vector<std::string> texts;
  unsigned line = 0;
  const AnyTask task = create_task(loop, body([&](Resumption& resumption) {
                                     line = __LINE__ + 1;
                                     texts.push_back(format_call_graph());
                                     const AnyTask self = resumption.task();
                                     texts.push_back(format_call_graph(self));
                                     return Step::done();
                                   }),
                                   TaskOptions().name("t"));
  loop.run_until_idle();
  const auto expected = [&](unsigned at) {
    return "* Task(name='t', id=*)\n  + Call stack:\n  |   File '" +
           std::string(__FILE__) + "', line " + std::to_string(at) +
           ", in <lambda>()\n  |   in async body()";
  };
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(scrubbed(texts[0]), expected(line));
  EXPECT_EQ(scrubbed(texts[1]), expected(line + 2));
}

TEST(CallGraph, OfNoCurrentTaskIsNothing) {
  VirtualTimeLoop loop;
  std::optional<bool> has_graph;
  std::string text = "?";
  loop.call_soon([&] {
    has_graph = capture_call_graph().has_value();
    text = format_call_graph();
  });
  loop.run_until_idle();
  EXPECT_EQ(has_graph, false);
  EXPECT_EQ(text, "");
}

TEST(CallGraph, OfTheCurrentTaskNeedsARunningLoop) {
  EXPECT_EQ(thrown_by([] { static_cast<void>(capture_call_graph()); }),
            "rondo::RuntimeError('capture_call_graph() is called outside of a "
            "running "
            "event loop and no *future* to introspect was provided')");
}

TEST(CallGraph, WithALimitOfNoneHasNoCallStacks) {
  Waiting w;
  const AnyTask inner = w.awaits(Future<void>(w.loop), "inner");
  w.awaits(inner, "outer");
  run_passes(w.loop, 1);
  EXPECT_EQ(scrubbed(format_call_graph(inner, 0)),
            "* Task(name='inner', id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='outer', id=*)");
}

TEST(CallGraph, IsPrintedWithANewline) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(),
                                                             &std::fclose);
  ASSERT_NE(file, nullptr);
  print_call_graph(future, file.get());
  std::rewind(file.get());
  char text[100] = "";
  ASSERT_NE(std::fgets(text, sizeof text, file.get()), nullptr);
  EXPECT_EQ(text, format_call_graph(future) + "\n");
}

TEST(CallGraph, OfTheCurrentTaskIsPrinted) {
  VirtualTimeLoop loop;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(),
                                                             &std::fclose);
  ASSERT_NE(file, nullptr);
  loop.call_soon([&] { print_call_graph(file.get(), 0); });
  create_task(loop, body([&](Resumption&) {
                print_call_graph(file.get(), 0);
                return Step::done();
              }),
              TaskOptions().name("t"));
  loop.run_until_idle();
  std::rewind(file.get());
  char text[100] = "";
  const std::size_t size = std::fread(text, 1, sizeof text, file.get());
  EXPECT_EQ(scrubbed(std::string(text, size)), "\n* Task(name='t', id=*)\n");
}

// -- shapes ------------------------------------------------------------------

// "Each future's awaiters are in the graph once".
TEST(CallGraph, GivesAwaitersThatComeAgainOnce) {
  Waiting w;
  const Future<void> future(w.loop);
  const Task<void> left = w.awaits(future, "left");
  const Task<void> right = w.awaits(future, "right");
  w.awaits(w.awaits(gather(w.loop, left, right), "both"), "root");
  run_passes(w.loop, 1);
  const FutureCallGraph graph = capture_call_graph(future, 0);
  EXPECT_EQ(scrubbed(to_string(graph)),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='left', id=*)\n"
            "      + Awaited by:\n"
            "        * Task(name='both', id=*)\n"
            "          + Awaited by:\n"
            "            * Task(name='root', id=*)\n"
            "    * Task(name='right', id=*)\n"
            "      + Awaited by:\n"
            "        * Task(name='both', id=*)\n"
            "          + Awaited by: (shown above)");
  EXPECT_EQ(graph.awaited_by[1].awaited_by[0].again, Again::kAbove);
}

TEST(CallGraph, EndsWhereTasksAwaitEachOther) {
  Waiting w;
  AnyFuture b;
  const AnyTask a = w.awaits_later(b, "a");
  b = w.awaits(a, "b");
  run_passes(w.loop, 1);
  const FutureCallGraph graph = capture_call_graph(a, 0);
  EXPECT_EQ(scrubbed(to_string(graph)),
            "* Task(name='a', id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='b', id=*)\n"
            "      + Awaited by:\n"
            "        * Task(name='a', id=*)\n"
            "          + Awaited by: (cycle)");
  EXPECT_EQ(graph.awaited_by[0].awaited_by[0].again, Again::kCycle);
}

TEST(CallGraph, EndsWhereATaskAwaitsAGatherOfItself) {
  Waiting w;
  AnyFuture all;
  const Task<void> task = w.awaits_later(all, "task");
  const Future<void> other(w.loop);
  all = gather(w.loop, task, other);
  run_passes(w.loop, 1);
  EXPECT_EQ(w.graph(task),
            "* Task(name='task', id=*)\n"
            "  + Call stack:\n"
            "  |   in async body()\n"
            "  + Awaited by:\n"
            "    * Task(name='task', id=*)\n"
            "      + Call stack:\n"
            "      |   in async body()\n"
            "      + Awaited by: (cycle)");
  other.cancel();
  w.loop.run_until_idle();
}

// "However deep it is, the stack does not grow."
TEST(CallGraph, OfALongChainNeedsNoStack) {
  const std::size_t length = test::scaled(100'000);
  Waiting w;
  const Future<void> first(w.loop);
  AnyFuture last = first;
  for (std::size_t i = 0; i < length; ++i) last = w.awaits(last, "t");
  run_passes(w.loop, 1);
  {
    const FutureCallGraph graph = capture_call_graph(first);
    std::size_t depth = 0;
    const FutureCallGraph* node = &graph;
    for (; !node->awaited_by.empty(); ++depth) node = &node->awaited_by.front();
    EXPECT_EQ(depth, length);
    EXPECT_EQ(node->future, last);
    const std::string text = to_string(graph);
    const std::string end =
        std::string(4 * kCallGraphIndentMax, ' ') + "  |   in async awaits()";
    EXPECT_EQ(text.substr(text.size() - end.size()), end);
  }
  first.set_result();
  w.loop.run_until_idle();
}

TEST(CallGraph, OfManyAwaitersIsAsLargeAsTheyAreMany) {
  const std::size_t count = test::scaled(100'000);
  Waiting w;
  const Future<void> future(w.loop);
  std::vector<Task<void>> tasks;
  for (std::size_t i = 0; i < count; ++i) {
    tasks.push_back(create_task(w.loop, Awaits(future, w.log, "x", true)));
  }
  w.awaits(w.awaits(gather(w.loop, tasks), "all"), "root");
  run_passes(w.loop, 1);
  const FutureCallGraph graph = capture_call_graph(future);
  ASSERT_EQ(graph.awaited_by.size(), count);
  EXPECT_EQ(graph.awaited_by.front().awaited_by.front().again, Again::kNo);
  EXPECT_EQ(graph.awaited_by.back().awaited_by.front().again, Again::kAbove);
  future.set_result();
  w.loop.run_until_idle();
}

}  // namespace
}  // namespace rondo
