// SPDX-License-Identifier: MIT
#include "futures/wrap_future.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/at_death.h"

namespace rondo {
namespace {

using test::AtDeath;
using test::end_of;
using test::thrown_by;

TEST(WrapFuture, EndsAsItsSourceDoes) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<int> value, error, cancelled;
  const ConcurrentFuture<void> nothing;
  const Future<int> a = wrap_future(loop, value);
  const Future<int> b = wrap_future(loop, error);
  const Future<int> c = wrap_future(loop, cancelled);
  const Future<void> d = wrap_future(loop, nothing);
  std::thread other([&] {
    value.set_result(42);
    error.set_exception(std::runtime_error("there"));
    cancelled.cancel();
    nothing.set_result();
  });
  other.join();
  EXPECT_FALSE(a.done()) << "not before the loop runs";
  loop.run_until_idle();
  EXPECT_EQ(a.result(), 42);
  EXPECT_EQ(end_of(b), "std::runtime_error('there')");
  EXPECT_EQ(end_of(c), "CancelledError()");
  EXPECT_EQ(end_of(d), "done");
}

TEST(WrapFuture, EndsInTheNextPassIfItsSourceIsDone) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<int> source;
  source.set_result(1);
  const Future<int> future = wrap_future(loop, source);
  EXPECT_FALSE(future.done());
  loop.run_once();
  EXPECT_EQ(future.result(), 1);
}

TEST(WrapFuture, WakesALoopThatSleeps) {
  EventLoop loop;
  const ConcurrentFuture<int> source;
  std::thread other;
  Future<int> future;
  loop.call_soon([&] {
    future = wrap_future(source);
    future.add_done_callback([&](const Future<int>&) { loop.stop(); });
    other = std::thread([&] { source.set_result(1); });
  });
  loop.run_forever();
  other.join();
  EXPECT_EQ(future.result(), 1);
}

TEST(WrapFuture, MovesWhatCanOnlyBeMoved) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<std::unique_ptr<int>> source;
  Future<std::unique_ptr<int>> future = wrap_future(loop, source);
  source.set_result(std::make_unique<int>(7));
  loop.run_until_idle();
  EXPECT_EQ(*future.take_result(), 7);
}

TEST(WrapFuture, ACancelCancelsTheSourceInTheNextPass) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<int> source;
  const Future<int> future = wrap_future(loop, source);
  EXPECT_EQ(
      to_string(future).substr(0, 65),
      "<Future pending cb=[_chain_future.<locals>._call_check_cancel() a");
  future.cancel();
  EXPECT_FALSE(source.cancelled());
  loop.run_once();
  EXPECT_TRUE(source.cancelled());
  loop.run_until_idle();
}

TEST(WrapFuture, ACancelLeavesASourceThatRunsToItself) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<int> source;
  source.set_running_or_notify_cancel();
  const Future<int> future = wrap_future(loop, source);
  future.cancel();
  loop.run_until_idle();
  EXPECT_FALSE(source.done());
  source.set_result(1);
  loop.run_until_idle();
  EXPECT_TRUE(future.cancelled());
}

TEST(WrapFuture, KeepsAnAnswerThatSomebodyElseGave) {
  VirtualTimeLoop loop;
  const ConcurrentFuture<int> source;
  const Future<int> future = wrap_future(loop, source);
  future.set_result(5);
  source.set_result(1);
  loop.run_until_idle();
  EXPECT_EQ(future.result(), 5);
}

TEST(WrapFuture, EndsWithWhatCopyingTheResultThrows) {
  struct Heavy {
    Heavy() = default;
    Heavy(const Heavy&) { throw std::runtime_error("too heavy"); }
    Heavy(Heavy&&) noexcept = default;
  };
  VirtualTimeLoop loop;
  const ConcurrentFuture<Heavy> source;
  const Future<Heavy> future = wrap_future(loop, source);
  source.set_result(Heavy());
  loop.run_until_idle();
  EXPECT_EQ(end_of(future), "std::runtime_error('too heavy')");
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
TEST(WrapFuture, LosesNoAnswerForWantOfMemory) {
  bool fired = true;
  for (std::uint64_t nth = 1; fired; ++nth) {
    VirtualTimeLoop loop;
    const ConcurrentFuture<int> source;
    const Future<int> future = wrap_future(loop, source);
    {
      const test::FailingAllocations failing(
          nth, test::FailingAllocations::Mode::kOnce);
      source.set_result(1);
      fired = failing.fired();
    }
    loop.run_until_idle();
    EXPECT_EQ(future.result(), 1);
  }
}
#endif

// -- who lives how long -----------------------------------------------------

TEST(WrapFuture, IsLetGoWhenNobodyCanEndItsSourceAnyMore) {
  VirtualTimeLoop loop;
  std::optional<ConcurrentFuture<int>> source(std::in_place);
  int deaths = 0;
  wrap_future(loop, *source).add_done_callback([dies = AtDeath([&] {
                                                  ++deaths;
                                                })](const auto&) {});
  std::thread other([&] { source.reset(); });
  other.join();
  EXPECT_EQ(deaths, 0) << "a future is destroyed on its loop's thread";
  loop.run_until_idle();
  EXPECT_EQ(deaths, 1);
}

TEST(WrapFuture, StaysPendingIfTheLoopClosesBefore) {
  const ConcurrentFuture<int> source;
  auto loop = std::make_unique<VirtualTimeLoop>();
  int deaths = 0;
  const Future<int> future = wrap_future(*loop, source);
  wrap_future(*loop, source).add_done_callback([dies = AtDeath([&] {
                                                  ++deaths;
                                                })](const auto&) {});
  loop->close();
  EXPECT_EQ(deaths, 1) << "nobody else had it";
  loop.reset();
  std::thread other([&] { source.set_result(1); });
  other.join();
  EXPECT_FALSE(future.done());
}

TEST(WrapFuture, DropsAnAnswerOnItsWayToALoopThatCloses) {
  const ConcurrentFuture<int> source;
  VirtualTimeLoop loop;
  const Future<int> future = wrap_future(loop, source);
  source.set_result(1);
  loop.close();
  EXPECT_FALSE(future.done());
}

TEST(WrapFuture, RefusesAClosedLoop) {
  VirtualTimeLoop loop;
  loop.close();
  const ConcurrentFuture<int> source;
  EXPECT_EQ(thrown_by([&] { wrap_future(loop, source); }),
            "rondo::RuntimeError('Event loop is closed')");
}

}  // namespace
}  // namespace rondo
