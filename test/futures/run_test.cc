// SPDX-License-Identifier: MIT
#include "futures/run.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// run(), Runner and run_until_complete(): probes p07, p46 and p47. Ctrl-C is
// in run_interrupt_test.cc.

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::end_of;
using test::Lines;
using test::Returns;
using test::thrown_by;
using test::Throws;

// -- run_until_complete ------------------------------------------------------

// "Runs `loop` until `awaitable` is done, and gives its result; what is not a
// future is made a task first."
TEST(RunUntilComplete, GivesTheResult) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, sleep(1, 7)), 7);
  EXPECT_EQ(*run_until_complete(loop, sleep(1, std::make_unique<int>(8))), 8);
  const Task<int> task = create_task(loop, sleep(1, 9));
  EXPECT_EQ(run_until_complete(loop, task), 9);
  EXPECT_EQ(run_until_complete(loop, task), 9);  // is done already
  const Future<void> future(loop);
  loop.call_later(1, [&] { future.set_result(); });
  run_until_complete(loop, future);
  EXPECT_TRUE(future.done());
  EXPECT_FALSE(loop.is_running());
}

// "Throws what it ended with"
TEST(RunUntilComplete, ThrowsWhatItEndedWith) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  EXPECT_EQ(thrown_by([&] {
              run_until_complete(loop, Throws<std::runtime_error>("bad"));
            }),
            "std::runtime_error('bad')");
  const Task<void> cancelled = create_task(loop, sleep(1));
  cancelled.cancel("why");
  EXPECT_EQ(thrown_by([&] { run_until_complete(loop, cancelled); }),
            "CancelledError('why')");
  EXPECT_TRUE(reports.messages.empty());
}

// "Other tasks stay suspended, and go on in the next run."
TEST(RunUntilComplete, LeavesTheOtherTasksWhereTheyAre) {
  VirtualTimeLoop loop;
  const Task<void> other = create_task(loop, sleep(3));
  run_until_complete(loop, sleep(1));
  EXPECT_FALSE(other.done());
  run_until_complete(loop, sleep(2));
  EXPECT_TRUE(other.done());
}

TEST(RunUntilComplete, IsStoppedBefore) {
  VirtualTimeLoop loop;
  const Future<int> future(loop);
  loop.call_soon([&] { loop.stop(); });
  EXPECT_EQ(thrown_by([&] { run_until_complete(loop, future); }),
            "rondo::RuntimeError('Event loop stopped before Future "
            "completed.')");
  // Its callback was taken back: a later end does not stop a later run.
  EXPECT_EQ(to_string(future), "<Future pending>");
  loop.call_soon([&] { loop.stop(); });
  Reports reports(loop);
  EXPECT_THROW(run_until_complete(loop, sleep(1)), RuntimeError);
  loop.close();
  // It was ours, and nobody can finish it: not reported.
  EXPECT_TRUE(reports.messages.empty());
}

TEST(RunUntilComplete, NeedsALoopThatCanRun) {
  VirtualTimeLoop loop;
  std::string inside;
  loop.call_soon([&] {
    inside = thrown_by([&] { run_until_complete(loop, Returns(1)); });
    loop.stop();
  });
  loop.run_forever();
  EXPECT_EQ(inside,
            "rondo::RuntimeError('This event loop is already running')");
  loop.close();
  EXPECT_EQ(thrown_by([&] { run_until_complete(loop, Returns(1)); }),
            "rondo::RuntimeError('Event loop is closed')");
}

TEST(RunUntilComplete, LetsSystemExitPassAndReadsIt) {
  VirtualTimeLoop loop;
  Reports reports(loop);
  EXPECT_THROW(run_until_complete(loop, body([](Resumption&) -> Step {
                                    throw SystemExit(3);
                                  })),
               SystemExit);
  run_passes(loop, 2);
  EXPECT_TRUE(reports.messages.empty());
  // The next run is not ended by what the last has left.
  EXPECT_EQ(run_until_complete(loop, sleep(1, 7)), 7);
}

TEST(RunUntilComplete, SaysWhatItWaitsFor) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  std::string text;
  loop.call_soon([&] {
    text = to_string(future);
    future.set_result();
  });
  run_until_complete(loop, future);
  EXPECT_EQ(text.find("<Future pending cb=[_run_until_complete_cb()"), 0u)
      << text;
}

// -- run ----------------------------------------------------------------------

TEST(Run, GivesTheResultOfMain) {
  EXPECT_EQ(run(Returns(7)), 7);
  EXPECT_EQ(*run(Returns(std::make_unique<int>(8))), 8);
  int ran = 0;
  run(body([&](Resumption& r) {
    EXPECT_FALSE(r.loop().get_debug());
    ++ran;
    return Step::done();
  }));
  run(body([&](Resumption& r) {
        EXPECT_TRUE(r.loop().get_debug());
        ++ran;
        return Step::done();
      }),
      LoopOptions().debug(true));
  EXPECT_EQ(ran, 2);
}

TEST(Run, ThrowsWhatMainThrows) {
  EXPECT_EQ(thrown_by([] { run(Throws<std::runtime_error>("main failed")); }),
            "std::runtime_error('main failed')");
  EXPECT_EQ(thrown_by([] {
              run(body([](Resumption&) -> Step { throw CancelledError("x"); }));
            }),
            "CancelledError('x')");
}

TEST(Run, IsRefusedInARunningLoop) {
  EventLoop loop;
  std::string text;
  loop.call_soon([&] { text = thrown_by([] { run(Returns(1)); }); });
  run_one_pass(loop);
  EXPECT_NE(text.find("cannot be called from a running event loop"),
            std::string::npos)
      << text;
}

// "cancels all tasks that are left, waits for them"
TEST(Run, CancelsTheTasksThatAreLeftAndWaitsForThem) {
  Lines log;
  run(body([&, begun = false](Resumption& r) mutable {
    if (std::exchange(begun, true)) return Step::done();
    create_task(r.loop(), Awaits(Future<void>(r.loop()), log, "one"));
    create_task(r.loop(), body([&, state = 0](Resumption& again) mutable {
                  if (state++ == 0) {
                    return test::wait_for_ever(again);
                  }
                  log.push_back("refuses: " + end_of(again.take_error()));
                  return state < 4 ? Step::yield() : Step::done();
                }));
    return Step::yield();
  }));
  EXPECT_EQ(log, (Lines{"one: CancelledError()", "refuses: CancelledError()",
                        "refuses: done", "refuses: done"}));
}

// "and tells the exception handler of what they throw"
TEST(Run, TellsOfWhatTheTasksThatAreLeftThrow) {
  LogCapture captured;
  run(body([begun = false](Resumption& r) mutable {
    if (std::exchange(begun, true)) return Step::done();
    create_task(r.loop(),
                body([inner = false](Resumption& again) mutable -> Step {
                  if (std::exchange(inner, true)) {
                    throw std::runtime_error("while being cancelled");
                  }
                  return test::wait_for_ever(again);
                }),
                TaskOptions().name("leftover"));
    return Step::yield();
  }));
  EXPECT_EQ(captured.lines(),
            (Lines{"error: unhandled exception during asyncio.run() shutdown\n"
                   "task: <Task finished name='leftover' coro=<body() done> "
                   "exception=std::runtime_error('while being cancelled')>\n"
                   "std::runtime_error: while being cancelled"}));
}

TEST(Run, LetsSystemExitOfMainPass) {
  Lines log;
  EXPECT_THROW(run(body([&, begun = false](Resumption& r) mutable -> Step {
                 if (std::exchange(begun, true)) throw SystemExit(3);
                 create_task(r.loop(),
                             Awaits(Future<void>(r.loop()), log, "left"));
                 return Step::yield();
               })),
               SystemExit);
  EXPECT_EQ(log, (Lines{"left: CancelledError()"}));
}

// -- Runner -------------------------------------------------------------------

TEST(Runner, KeepsItsLoopFromRunToRun) {
  Runner runner;
  EventLoop* first = nullptr;
  runner.run(body([&](Resumption& r) {
    first = &r.loop();
    return Step::done();
  }));
  EXPECT_EQ(&runner.get_loop(), first);
  EXPECT_EQ(runner.run(Returns(7)), 7);
  EXPECT_FALSE(first->is_closed());
  runner.close();
  runner.close();  // "No effect the second time."
  EXPECT_EQ(thrown_by([&] { runner.run(Returns(1)); }),
            "rondo::RuntimeError('Runner is closed')");
  EXPECT_EQ(thrown_by([&] { runner.get_loop(); }),
            "rondo::RuntimeError('Runner is closed')");
}

// "Takes this loop: asyncio's loop_factory."
TEST(Runner, RunsOnALoopThatItIsGiven) {
  auto loop = std::make_unique<VirtualTimeLoop>();
  const VirtualTimeLoop* const address = loop.get();
  Runner runner(std::move(loop));
  EXPECT_EQ(&runner.get_loop(), address);
  EXPECT_EQ(runner.run(sleep(3600, 7)), 7);
}

TEST(Runner, ThatIsClosedUnusedMakesNoLoop) {
  Runner runner;
  runner.close();
  EXPECT_THROW(runner.get_loop(), RuntimeError);
}

TEST(Runner, TakesAFutureOrATask) {
  Runner runner(std::make_unique<VirtualTimeLoop>());
  const Task<int> task = create_task(runner.get_loop(), sleep(1, 7));
  EXPECT_EQ(runner.run(task), 7);
  const Future<int> future(runner.get_loop());
  future.set_result(8);
  EXPECT_EQ(runner.run(future), 8);
}

TEST(Runner, ClosesItsLoopInItsDestructor) {
  Lines log;
  {
    Runner runner(std::make_unique<VirtualTimeLoop>());
    runner.run(body([&, begun = false](Resumption& r) mutable {
      if (std::exchange(begun, true)) return Step::done();
      create_task(r.loop(), Awaits(Future<void>(r.loop()), log, "left"));
      return Step::yield();
    }));
    EXPECT_TRUE(log.empty());
  }
  EXPECT_EQ(log, (Lines{"left: CancelledError()"}));
}

// "As close(). What that throws is lost: call close() to hear of it."
TEST(Runner, LogsWhatItsDestructorCannotThrow) {
  LogCapture captured;
  const auto leave_one = [](Runner& runner) {
    runner.run(body([begun = false](Resumption& r) mutable {
      if (std::exchange(begun, true)) return Step::done();
      create_task(r.loop(),
                  body([inner = false](Resumption& again) mutable -> Step {
                    if (std::exchange(inner, true)) throw SystemExit(3);
                    return test::wait_for_ever(again);
                  }));
      return Step::yield();
    }));
  };
  {
    Runner runner(std::make_unique<VirtualTimeLoop>());
    leave_one(runner);
  }
  int told = 0;
  for (const std::string& line : captured.lines()) {
    told += line.find("error: runner: close failed: ") == 0 ? 1 : 0;
  }
  EXPECT_EQ(told, 1);
  Runner runner(std::make_unique<VirtualTimeLoop>());
  leave_one(runner);
  EventLoop& loop = runner.get_loop();
  EXPECT_THROW(runner.close(), SystemExit);
  EXPECT_TRUE(loop.is_closed());
}

}  // namespace
}  // namespace rondo
