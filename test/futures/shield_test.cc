// SPDX-License-Identifier: MIT
#include "futures/shield.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// Probe p23.

namespace rondo {
namespace {

using test::Awaits;
using test::end_of;
using test::Lines;
using test::Returns;

// "A future that ends as `awaitable` does"
TEST(Shield, EndsAsTheInnerOneDoes) {
  EventLoop loop;
  const Future<int> good(loop);
  const Future<void> nothing(loop);
  const Future<int> bad(loop);
  const Future<int> cancelled(loop);
  const Future<int> of_good = shield(good);
  const Future<void> of_nothing = shield(nothing);
  const Future<int> of_bad = shield(bad);
  const Future<int> of_cancelled = shield(cancelled);
  good.set_result(7);
  nothing.set_result();
  bad.set_exception(std::runtime_error("bad"));
  cancelled.cancel("why");
  EXPECT_FALSE(of_good.done());
  run_one_pass(loop);
  EXPECT_EQ(of_good.result(), 7);
  EXPECT_EQ(end_of(of_nothing), "done");
  EXPECT_EQ(end_of(of_bad), "std::runtime_error('bad')");
  // "If `awaitable` itself is cancelled, so is the shield."
  EXPECT_TRUE(of_cancelled.cancelled());
  EXPECT_EQ(end_of(of_cancelled), "CancelledError('why')");
}

// "but cancelling it does not cancel that"
TEST(Shield, KeepsACancelFromTheInnerOne) {
  VirtualTimeLoop loop;
  Lines log;
  const Task<int> inner = create_task(loop, sleep(1, 7));
  const Future<int> outer = shield(inner);
  const Task<void> task = create_task(loop, Awaits(outer, log, "task"));
  loop.advance(Duration::zero());
  EXPECT_TRUE(task.cancel());
  EXPECT_TRUE(outer.cancelled());
  loop.advance(Duration::zero());
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(inner.done());
  EXPECT_EQ(inner.cancelling(), 0u);
  loop.run_until_idle();
  EXPECT_EQ(inner.result(), 7);
}

TEST(Shield, OfAFutureThatIsDoneIsThatFuture) {
  EventLoop loop;
  const Future<int> done(loop);
  done.set_result(7);
  EXPECT_TRUE(shield(done) == done);
}

TEST(Shield, MakesATaskOfWhatIsNoFuture) {
  VirtualTimeLoop loop;
  EXPECT_THROW(shield(Returns(7)), RuntimeError);
  Future<int> outer;
  loop.call_soon([&] { outer = shield(Returns(7)); });
  run_one_pass(loop);
  outer.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(outer.cancelled());
}

TEST(Shield, GivesAValueThatCanOnlyBeMoved) {
  VirtualTimeLoop loop;
  const Future<std::unique_ptr<int>> outer =
      shield(create_task(loop, sleep(1, std::make_unique<int>(7))));
  loop.run_until_idle();
  EXPECT_EQ(*outer.result(), 7);
}

struct CopyThrows {
  CopyThrows() = default;
  CopyThrows(CopyThrows&&) = default;
  CopyThrows(const CopyThrows&) { throw std::runtime_error("copied"); }
};

TEST(Shield, FailsIfTheResultCannotBeCopied) {
  EventLoop loop;
  const Future<CopyThrows> inner(loop);
  const Future<CopyThrows> outer = shield(inner);
  inner.set_result(CopyThrows());
  run_one_pass(loop);
  EXPECT_EQ(end_of(outer), "std::runtime_error('copied')");
}

// "If the shield was cancelled and the inner one then fails, nobody is told by
// the shield: the inner one's own report is made, unless it failed in the pass
// of the cancel."
TEST(Shield, LeavesAnExceptionToTheInnerOnesReport) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Future<void> inner(loop);
    const Future<void> outer = shield(inner);
    outer.cancel();
    run_one_pass(loop);
    inner.set_exception(std::runtime_error("later"));
    run_one_pass(loop);
  }
  EXPECT_EQ(reports.messages, (Lines{"Future exception was never retrieved"}));
  {
    const Future<void> inner(loop);
    const Future<void> outer = shield(inner);
    inner.set_exception(std::runtime_error("in the same pass"));
    outer.cancel();
    run_one_pass(loop);
  }
  EXPECT_EQ(reports.messages.size(), 1u);
}

TEST(Shield, ThatWasCancelledDoesNotMindTheInnerOnesEnd) {
  EventLoop loop;
  for (const int how : {0, 1}) {
    const Future<int> inner(loop);
    const Future<int> outer = shield(inner);
    outer.cancel("mine");
    if (how == 0) {
      inner.set_result(7);
    } else {
      inner.cancel();
    }
    run_one_pass(loop);
    EXPECT_EQ(end_of(outer), "CancelledError('mine')");
  }
}

TEST(Shield, TakesItsCallbackBackOnceItIsDone) {
  EventLoop loop;
  const Future<int> inner(loop);
  const Future<int> outer = shield(inner);
  outer.cancel();
  run_one_pass(loop);
  EXPECT_EQ(to_string(inner), "<Future pending>");
}

TEST(Shield, MayBeNested) {
  EventLoop loop;
  const Future<int> inner(loop);
  const Future<int> outer = shield(shield(inner));
  inner.set_result(7);
  run_passes(loop, 2);
  EXPECT_EQ(outer.result(), 7);
}

TEST(Shield, GoesWithTheLoop) {
  // Under address sanitizer: nothing leaks.
  auto loop = std::make_unique<EventLoop>();
  const Future<int> inner(*loop);
  shield(inner);
  shield(Future<int>(*loop));
  const Future<int> outer = shield(inner);
  loop.reset();
  EXPECT_FALSE(outer.done());
}

}  // namespace
}  // namespace rondo
