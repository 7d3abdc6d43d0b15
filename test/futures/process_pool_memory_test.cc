// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <string>

#include "futures/process_pool.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"
#include "test/support/workers.h"

// A ProcessPool without memory, here and in its workers. FAULTS H6.

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)

namespace rondo {
namespace {

using test::end_of;
using test::FailingAllocations;
using test::result_of;
using test::wait_for_end;
using Mode = FailingAllocations::Mode;

int twice(int n) { return 2 * n; }
std::size_t length(const std::string& text) { return text.size(); }

/// From the nth allocation on this process is without memory, or once.
void lose_memory(std::uint64_t nth, bool for_good) {
  static FailingAllocations failing(nth,
                                    for_good ? Mode::kFromThenOn : Mode::kOnce);
}

TEST(ProcessPoolMemory, IsMissedByAWorkerWhichSaysSo) {
  EventLoop loop;
  const std::string text(100'000, 'x');
  int refused = 0;
  bool in_vain = false;
  for (std::uint64_t nth = 1; !in_vain; ++nth) {
    SCOPED_TRACE(nth);
    ProcessPool pool(1);
    const Future<void> loses = pool.submit(loop, lose_memory, nth, false);
    const Future<std::size_t> large = pool.submit(loop, length, text);
    const Future<int> small = pool.submit(loop, twice, 2);
    in_vain = true;
    for (const AnyFuture& each :
         {AnyFuture(loses), AnyFuture(large), AnyFuture(small)}) {
      ASSERT_TRUE(wait_for_end(loop, each));
      if (end_of(each) == "done") continue;
      EXPECT_EQ(end_of(each), "std::bad_alloc('std::bad_alloc')");
      in_vain = false;
      ++refused;
    }
  }
  EXPECT_GT(refused, 2);
}

TEST(ProcessPoolMemory, IsNotNeededByAWorkerToSayThatThereIsNone) {
  EventLoop loop;
  ProcessPool pool(1);
  const Future<void> loses =
      pool.submit(loop, lose_memory, std::uint64_t{1}, true);
  ASSERT_TRUE(wait_for_end(loop, loses));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(test::error_of(loop, pool, length, std::string(100'000, 'x')),
              "std::bad_alloc('std::bad_alloc')");
  }
}

TEST(ProcessPoolMemory, IsMissedHereWithoutALoss) {
  EventLoop loop;
  ProcessPool pool(1);
  const std::string large(100'000, 'x');
  const auto echo = [](std::string text) { return text; };
  EXPECT_EQ(result_of(loop, pool, echo, large), large);
  bool fired = true;
  for (std::uint64_t nth = 1; fired; ++nth) {
    SCOPED_TRACE(nth);
    Future<std::string> future;
    {
      const FailingAllocations failing(nth, Mode::kOnce);
      try {
        future = pool.submit(loop, echo, large);
      } catch (const std::bad_alloc&) {
        EXPECT_EQ(pool.queued(), 0u);
        EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
      }
      fired = failing.fired();
    }
    if (future) {
      ASSERT_TRUE(wait_for_end(loop, future));
      EXPECT_EQ(end_of(future), "done");
    }
  }
}

TEST(ProcessPoolMemory, IsMissedWhenAnAnswerComes) {
  LogCapture log;
  EventLoop loop;
  loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
  const std::string large(100'000, 'x');
  const auto echo = [](std::string text) { return text; };
  bool fired = true;
  for (std::uint64_t nth = 1; fired; ++nth) {
    SCOPED_TRACE(nth);
    ProcessPool pool(1);
    const Future<std::string> future = pool.submit(loop, echo, large);
    {
      const FailingAllocations failing(nth, Mode::kOnce);
      ASSERT_TRUE(wait_for_end(loop, future));
      fired = failing.fired();
    }
    // The result, or that it did not fit, or that the worker was given up.
    EXPECT_TRUE(end_of(future) == "done" || fired) << end_of(future);
    EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  }
}

}  // namespace
}  // namespace rondo

#endif
