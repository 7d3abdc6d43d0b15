// SPDX-License-Identifier: MIT
#include "futures/run_in_executor.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/errors.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/at_death.h"
#include "test/support/child_process.h"

// Threads live in real time and the loop in virtual time, which stands still
// while a call is out: run_until_idle() comes back when all have answered.

namespace rondo {
namespace {

using test::AtDeath;
using test::end_of;
using test::thrown_by;

int twice(int n) { return 2 * n; }

std::string thread_name() {
  char name[16];
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

/// A pool of one thread, which is busy until release().
class BusyPool {
 public:
  explicit BusyPool(EventLoop& loop)
      : busy_(run_in_executor(loop, pool, [this] {
          began_.count_down();
          release_.wait();
        })) {
    began_.wait();
  }
  ~BusyPool() { release(); }
  void release() {
    if (!released_) release_.count_down();
    released_ = true;
  }

  ThreadPool pool{1};

 private:
  std::latch began_{1};
  std::latch release_{1};
  bool released_ = false;
  Future<void> busy_;
};

// -- what goes there and what comes back ------------------------------------

TEST(RunInExecutor, GivesWhatTheFunctionReturns) {
  VirtualTimeLoop loop;
  ThreadPool pool(2);
  const Future<int> by_pointer = run_in_executor(loop, &pool, twice, 21);
  const Future<int> by_reference = run_in_executor(loop, pool, twice, 4);
  const Future<void> nothing = run_in_executor(loop, pool, [] {});
  EXPECT_FALSE(by_pointer.done());
  loop.run_until_idle();
  EXPECT_EQ(by_pointer.result(), 42);
  EXPECT_EQ(by_reference.result(), 8);
  EXPECT_TRUE(nothing.done());
}

TEST(RunInExecutor, RunsItOnAThread) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const Future<std::thread::id> thread =
      run_in_executor(loop, pool, [] { return std::this_thread::get_id(); });
  loop.run_until_idle();
  EXPECT_NE(thread.result(), std::this_thread::get_id());
}

TEST(RunInExecutor, MovesWhatCanOnlyBeMoved) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  Future<std::unique_ptr<int>> future = run_in_executor(
      loop, pool,
      [own = std::make_unique<int>(40)](std::unique_ptr<int> more) mutable {
        *own += *more;
        return std::move(own);
      },
      std::make_unique<int>(2));
  loop.run_until_idle();
  EXPECT_EQ(*future.take_result(), 42);
}

TEST(RunInExecutor, CopiesItsArgumentsAndKeepsAReferenceOnRequest) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  int by_value = 1;
  int by_reference = 1;
  const auto change = [](int value, int& reference) {
    value = 7;
    reference = value;
  };
  run_in_executor(loop, pool, change, by_value, std::ref(by_reference));
  loop.run_until_idle();
  EXPECT_EQ(by_value, 1);
  EXPECT_EQ(by_reference, 7);
}

TEST(RunInExecutor, GivesAReferencesValue) {
  static const std::string text = "of a static object";
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const Future<std::string> future =
      run_in_executor(loop, pool, []() -> const std::string& { return text; });
  loop.run_until_idle();
  EXPECT_EQ(future.result(), text);
}

TEST(RunInExecutor, CarriesExceptionsBack) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const Future<int> future = run_in_executor(
      loop, pool, []() -> int { throw std::invalid_argument("no such file"); });
  const Future<void> cancelled =
      run_in_executor(loop, pool, [] { throw CancelledError("by itself"); });
  const Future<void> number = run_in_executor(loop, pool, [] { throw 42; });
  loop.run_until_idle();
  EXPECT_EQ(end_of(future), "std::invalid_argument('no such file')");
  // As in asyncio: the future is not cancelled, it holds what was thrown.
  EXPECT_FALSE(cancelled.cancelled());
  EXPECT_EQ(end_of(cancelled), "CancelledError('by itself')");
  EXPECT_EQ(end_of(number), "int()");
}

TEST(RunInExecutor, EndsWithWhatMovingTheResultThrows) {
  struct Heavy {
    Heavy() = default;
    Heavy(Heavy&& other) : moves(other.moves + 1) {
      if (moves > 1) throw std::runtime_error("too heavy");
    }
    int moves = 0;
  };
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const Future<Heavy> future =
      run_in_executor(loop, pool, [] { return Heavy(); });
  loop.run_until_idle();
  EXPECT_EQ(end_of(future), "std::runtime_error('too heavy')");
}

TEST(RunInExecutor, ReportsAnExceptionThatNobodyReads) {
  VirtualTimeLoop loop;
  std::string report;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext& c) { report = c.message; });
  ThreadPool pool(1);
  run_in_executor(loop, pool, [] { throw std::runtime_error("unseen"); });
  loop.run_until_idle();
  EXPECT_EQ(report, "Future exception was never retrieved");
}

TEST(RunInExecutor, LeavesTheLoopToItsCallbacks) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch told(1);
  const Future<void> future = run_in_executor(loop, pool, [&] { told.wait(); });
  loop.call_soon([&] { told.count_down(); });
  loop.run_until_idle();
  EXPECT_TRUE(future.done());
}

TEST(RunInExecutor, RunsTheCallsOfOneThreadInTheOrderOfTheCalls) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) {
    run_in_executor(loop, pool, [&order, i] { order.push_back(i); });
  }
  loop.run_until_idle();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(order.at(i), i);
}

TEST(RunInExecutor, FindsTheRunningLoop) {
  VirtualTimeLoop loop;
  Future<int> future;
  loop.call_soon([&] { future = run_in_executor(nullptr, twice, 3); });
  loop.run_until_idle();
  EXPECT_EQ(future.result(), 6);
}

// -- cancelling (H5) --------------------------------------------------------

TEST(RunInExecutor, CancelPreventsACallThatNoThreadHasBegun) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  bool ran = false;
  int deaths = 0;
  const Future<void> future = run_in_executor(
      loop, busy.pool, [&, dies = AtDeath([&] { ++deaths; })] { ran = true; });
  EXPECT_TRUE(future.cancel("changed my mind"));
  EXPECT_EQ(deaths, 1) << "the captures go in cancel(), on this thread";
  EXPECT_EQ(end_of(future), "CancelledError('changed my mind')");
  EXPECT_FALSE(future.cancel());
  busy.release();
  loop.run_until_idle();
  EXPECT_FALSE(ran);
}

TEST(RunInExecutor, CancelOfACallThatRunsDropsItsResultOnly) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch began(1), go_on(1);
  std::atomic<bool> finished = false;
  std::atomic<int> deaths = 0;
  const auto work = [&] {
    began.count_down();
    go_on.wait();
    finished = true;
    return AtDeath([&] { ++deaths; });
  };
  const auto future = run_in_executor(loop, pool, work);
  began.wait();
  EXPECT_TRUE(future.cancel());
  EXPECT_TRUE(future.cancelled());
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(finished);
  EXPECT_EQ(deaths, 1);
}

TEST(RunInExecutor, CancelAfterTheEndIsNone) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const Future<int> future = run_in_executor(loop, pool, twice, 1);
  loop.run_until_idle();
  EXPECT_FALSE(future.cancel());
  EXPECT_EQ(future.result(), 2);
}

TEST(RunInExecutor, IgnoresTheResultOfAFutureThatHasOne) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  const Future<int> future = run_in_executor(loop, busy.pool, twice, 1);
  future.set_result(5);
  busy.release();
  loop.run_until_idle();
  EXPECT_EQ(future.result(), 5);
}

// -- the loop goes first (H3) -----------------------------------------------

TEST(RunInExecutor, ClosingTheLoopLeavesTheFuturePendingAndDropsTheResult) {
  auto loop = std::make_unique<VirtualTimeLoop>();
  std::atomic<int> deaths = 0;
  std::latch began(1), go_on(1);
  ThreadPool pool(1);
  const auto future = run_in_executor(*loop, pool, [&] {
    began.count_down();
    go_on.wait();
    return AtDeath([&] { ++deaths; });
  });
  const Future<void> queued = run_in_executor(*loop, pool, [] {});
  began.wait();
  loop->close();
  loop.reset();
  EXPECT_EQ(deaths, 0);
  go_on.count_down();
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(deaths, 1) << "destroyed on the thread";
  EXPECT_FALSE(future.done());
  EXPECT_FALSE(queued.done());
}

TEST(RunInExecutor, CancelsItsFutureOnlyInAForkedChild) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  const Future<int> future = run_in_executor(loop, busy.pool, twice, 1);
  EXPECT_EQ(in_child([&] {
              future.cancel();  // there are no threads to take it from
              return end_of(future);
            }),
            "CancelledError()");
  busy.release();
  loop.run_until_idle();
  EXPECT_EQ(future.result(), 2);
}

TEST(RunInExecutor, RefusesAClosedLoop) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  loop.close();
  EXPECT_EQ(thrown_by([&] { run_in_executor(loop, pool, twice, 1); }),
            "rondo::RuntimeError('Event loop is closed')");
}

// -- no pool, no thread (H4) ------------------------------------------------

TEST(RunInExecutor, RefusesAPoolThatIsShutDown) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  pool.shutdown();
  EXPECT_THROW(run_in_executor(loop, pool, twice, 1), RuntimeError);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(RunInExecutor, ThrowsIfThereIsNoThreadToBeHad) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kThreadCreate, EAGAIN);
  VirtualTimeLoop loop;
  ThreadPool pool(1, "rondo", kernel);
  EXPECT_THROW(run_in_executor(loop, pool, twice, 1), std::system_error);
  const Future<int> future = run_in_executor(loop, pool, twice, 1);
  loop.run_until_idle();
  EXPECT_EQ(future.result(), 2);
}

// -- the default executor ---------------------------------------------------

TEST(RunInExecutor, MakesADefaultExecutorOfAtMost32Threads) {
  VirtualTimeLoop loop;
  const detail::LoopState& home = detail::LoopState::of(loop);
  EXPECT_EQ(home.default_executor, nullptr);
  const Future<std::string> name = run_in_executor(loop, nullptr, thread_name);
  ASSERT_NE(home.default_executor, nullptr);
  EXPECT_EQ(&detail::default_executor(loop), home.default_executor.get());
  loop.run_until_idle();
  EXPECT_EQ(name.result().substr(0, 7), "asyncio");
}

TEST(RunInExecutor, UsesTheExecutorThatWasSet) {
  VirtualTimeLoop loop;
  set_default_executor(loop, std::make_shared<ThreadPool>(1, "mine"));
  const Future<std::string> name = run_in_executor(loop, nullptr, thread_name);
  loop.run_until_idle();
  EXPECT_EQ(name.result().substr(0, 4), "mine");
  EXPECT_THROW(set_default_executor(loop, nullptr), std::invalid_argument);
}

TEST(RunInExecutor, DoesNotWaitForAnExecutorThatIsReplaced) {
  VirtualTimeLoop loop;
  std::latch go_on(1);
  std::atomic<bool> finished = false;
  const Future<void> future = run_in_executor(loop, nullptr, [&] {
    go_on.wait();
    finished = true;
  });
  set_default_executor(loop, std::make_shared<ThreadPool>(1));
  EXPECT_FALSE(finished);
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(future.done());
}

// -- memory -----------------------------------------------------------------

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)

// The pool is busy, so what is submitted stays on this thread.
TEST(RunInExecutor, LeavesNothingBehindWithoutMemory) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  const auto attempt = [&] {
    run_in_executor(loop, busy.pool, twice, 1).cancel();
  };
  attempt();  // fills what is kept for good
  for (const auto mode : {test::FailingAllocations::Mode::kOnce,
                          test::FailingAllocations::Mode::kFromThenOn}) {
    bool fired = true;
    for (std::uint64_t nth = 1; fired; ++nth) {
      SCOPED_TRACE(nth);
      const std::int64_t before = test::live_blocks();
      {
        const test::FailingAllocations failing(nth, mode);
        bool threw = false;
        try {
          attempt();
        } catch (const std::bad_alloc&) {
          threw = true;
        }
        fired = failing.fired();
        EXPECT_EQ(threw, fired);
      }
      EXPECT_EQ(test::live_blocks(), before);
      EXPECT_EQ(busy.pool.queued(), 0u);
      EXPECT_EQ(loop.remote_queue()->external_work(), 1u);
    }
  }
}

#endif

}  // namespace
}  // namespace rondo
