// SPDX-License-Identifier: MIT
#include "futures/as_completed.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/call_graph.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/futures/scrubbed.h"
#include "test/support/cancel_everywhere.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"
#include "test/support/script.h"

// See also parity/p32_as_completed.cc, which runs beside CPython's.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using test::end_of;
using test::Lines;
using test::Script;

/// What `make()` gives when `loop` runs it: as_completed() needs that.
template <class Make>
auto made_on(EventLoop& loop, Make make) {
  using Made = decltype(make());
  std::unique_ptr<Made> made;
  loop.call_soon([&] { made.reset(new Made(make())); });
  run_one_pass(loop);
  return made;
}

/// as_completed() of three futures, for the test to settle.
struct Three {
  explicit Three(EventLoop& on) : loop(on) {
    for (int i = 0; i < 3; ++i) futures.emplace_back(loop);
    completed = made_on(loop, [this] { return as_completed(futures); });
  }
  Three(EventLoop& on, Delay timeout) : loop(on) {
    for (int i = 0; i < 3; ++i) futures.emplace_back(loop);
    completed = made_on(loop, [&] { return as_completed(futures, timeout); });
  }
  Task<int> next() const { return create_task(loop, completed->next()); }
  /// What the next one ends with, in a few passes.
  std::string outcome() const {
    const Task<int> task = next();
    run_passes(loop, 4);
    const std::string end = end_of(task);
    return end == "done" ? std::to_string(task.result()) : end;
  }

  EventLoop& loop;
  std::vector<Future<int>> futures;
  std::unique_ptr<AsCompleted<int>> completed;
};

// -- order -------------------------------------------------------------------

TEST(AsCompleted, GivesThemInTheOrderInWhichTheyAreDone) {
  EventLoop loop;
  const Three three(loop);
  three.futures[1].set_result(1);
  EXPECT_EQ(three.outcome(), "1");
  three.futures[2].set_result(2);
  run_one_pass(loop);
  three.futures[0].set_result(0);
  EXPECT_EQ(three.outcome(), "2");
  EXPECT_TRUE(three.completed->has_next());
  EXPECT_EQ(three.outcome(), "0");
  EXPECT_FALSE(three.completed->has_next());
}

TEST(AsCompleted, GivesThoseDoneBeforeInTheirOwnOrder) {
  EventLoop loop;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 3; ++i) futures.emplace_back(loop);
  for (const int i : {2, 0, 1}) futures[i].set_result(i);
  const auto completed =
      made_on(loop, [&] { return as_completed(futures, 3600); });
  std::string order;
  while (completed->has_next()) {
    const auto next = create_task(loop, completed->next());
    run_passes(loop, 3);
    order += std::to_string(next.result());
  }
  EXPECT_EQ(order, "012");
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

TEST(AsCompleted, ServesThoseWhoAskInTheirOrder) {
  EventLoop loop;
  const Three three(loop);
  const auto first = three.next();
  const auto second = three.next();
  run_one_pass(loop);
  three.futures[2].set_result(2);
  three.futures[0].set_result(0);
  run_passes(loop, 4);
  EXPECT_EQ(first.result(), 2);
  EXPECT_EQ(second.result(), 0);
}

// "throws its exception"
TEST(AsCompleted, ThrowsWhatTheOneWhoseTurnItIsHasEndedWith) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Three three(loop);
    three.futures[0].set_exception(std::runtime_error("bad"));
    three.futures[1].cancel("why");
    three.futures[2].set_result(2);
    EXPECT_EQ(three.outcome(), "std::runtime_error('bad')");
    EXPECT_EQ(three.outcome(), "CancelledError('why')");
    EXPECT_EQ(three.outcome(), "2");
  }
  EXPECT_TRUE(reports.messages.empty());
}

// "what is not a future is made a task"
TEST(AsCompleted, RunsItsAwaitablesBesideEachOther) {
  VirtualTimeLoop loop;
  const auto completed = made_on(loop, [] {
    std::vector<Sleep<std::unique_ptr<int>>> sleeps;
    for (const int n : {3, 1, 2}) {
      sleeps.push_back(sleep(n, std::make_unique<int>(n)));
    }
    return as_completed(std::move(sleeps));
  });
  std::string order;
  for (int n = 1; n <= 3; ++n) {
    const auto next = create_task(loop, completed->next());
    loop.advance(1s);
    order += std::to_string(*next.take_result());
  }
  EXPECT_EQ(order, "123");
}

TEST(AsCompleted, GivesTheEndOfWhatGivesNothing) {
  VirtualTimeLoop loop;
  const auto completed = made_on(loop, [] {
    std::vector<Sleep<void>> sleeps;
    sleeps.push_back(sleep(1));
    return as_completed(std::move(sleeps));
  });
  const auto next = create_task(loop, completed->next());
  run_passes(loop, 3);
  EXPECT_FALSE(next.done());
  loop.run_until_idle();
  EXPECT_EQ(end_of(next), "done");
}

TEST(AsCompleted, GivesTheSameOneOnce) {
  EventLoop loop;
  const Future<int> a(loop);
  const Future<int> b(loop);
  const auto completed = made_on(
      loop, [&] { return as_completed(std::vector<Future<int>>{a, b, a, a}); });
  b.set_result(2);
  run_one_pass(loop);
  a.set_result(1);
  std::string order;
  while (completed->has_next()) {
    const auto next = create_task(loop, completed->next());
    run_passes(loop, 3);
    order += std::to_string(next.result());
  }
  EXPECT_EQ(order, "21");
}

TEST(AsCompleted, OfNothingHasNoNext) {
  EventLoop loop;
  const auto completed =
      made_on(loop, [] { return as_completed(std::vector<Future<int>>(), 1); });
  EXPECT_FALSE(completed->has_next());
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

TEST(AsCompleted, NeedsARunningLoopAndFuturesOfIt) {
  EventLoop loop;
  EventLoop other;
  const std::vector<Future<int>> futures{Future<int>(loop), Future<int>(other)};
  EXPECT_THROW(static_cast<void>(as_completed(futures)), RuntimeError);
  std::string thrown;
  loop.call_soon([&] {
    thrown = test::thrown_by([&] { static_cast<void>(as_completed(futures)); });
  });
  run_one_pass(loop);
  EXPECT_EQ(thrown,
            "std::invalid_argument('The future belongs to a different loop "
            "than the one specified as the loop argument')");
  EXPECT_EQ(to_string(futures[0]), "<Future pending>");
}

// -- the time is over --------------------------------------------------------

// "TimeoutError once the time is over"; "nothing is cancelled".
TEST(AsCompleted, ThrowsTimeoutErrorForThoseThatAreLeft) {
  VirtualTimeLoop loop;
  const Three three(loop, 2);
  const auto first = three.next();
  const auto second = three.next();
  loop.advance(1s);
  three.futures[1].set_result(1);
  loop.advance(0s);
  EXPECT_EQ(first.result(), 1);
  EXPECT_FALSE(second.done());
  loop.advance(1s);
  EXPECT_EQ(end_of(second), "rondo::TimeoutError()");
  EXPECT_TRUE(three.completed->has_next());
  EXPECT_EQ(three.outcome(), "rondo::TimeoutError()");
  EXPECT_FALSE(three.completed->has_next());
  EXPECT_EQ(to_string(three.futures[0]), "<Future pending>");
  three.futures[0].set_result(0);
  EXPECT_EQ(three.futures[0].result(), 0);
}

// What was done in time is given, however late it is asked for.
TEST(AsCompleted, GivesWhatWasDoneInTimeFirst) {
  VirtualTimeLoop loop;
  const Three three(loop, 1);
  three.futures[2].set_result(2);
  loop.run_until_idle();
  three.futures[0].set_result(0);
  EXPECT_EQ(three.outcome(), "2");
  EXPECT_EQ(three.outcome(), "rondo::TimeoutError()");
  EXPECT_EQ(three.outcome(), "rondo::TimeoutError()");
}

// Its callback is queued already: "_on_timeout() was here first".
TEST(AsCompleted, IsTooLateInThePassOfTheTimeout) {
  VirtualTimeLoop loop;
  std::vector<Future<int>> futures(1, Future<int>(loop));
  loop.call_later(1, [&] { futures[0].set_result(7); });
  const auto completed =
      made_on(loop, [&] { return as_completed(futures, 1); });
  const auto next = create_task(loop, completed->next());
  loop.run_until_idle();
  EXPECT_EQ(end_of(next), "rondo::TimeoutError()");
  EXPECT_EQ(futures[0].result(), 7);
}

TEST(AsCompleted, WithATimeoutOfZeroGivesWhatIsDone) {
  VirtualTimeLoop loop;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 2; ++i) futures.emplace_back(loop);
  futures[1].set_result(1);
  const auto completed =
      made_on(loop, [&] { return as_completed(futures, 0); });
  const auto first = create_task(loop, completed->next());
  const auto second = create_task(loop, completed->next());
  loop.run_until_idle();
  EXPECT_EQ(first.result(), 1);
  EXPECT_EQ(end_of(second), "rondo::TimeoutError()");
}

TEST(AsCompleted, TakesItsTimerBackWhenAllAreDone) {
  VirtualTimeLoop loop;
  const Three three(loop, 3600);
  for (const Future<int>& future : three.futures) {
    EXPECT_EQ(loop.snapshot().timers.size(), 1u);
    future.set_result(7);
    run_one_pass(loop);
  }
  EXPECT_TRUE(loop.snapshot().timers.empty());
  EXPECT_EQ(three.outcome(), "7");
}

// -- cancelled, and destroyed ------------------------------------------------

// "a cancel loses nothing, but counts as asked for: the result waits for one
// more next()"
TEST(AsCompleted, LosesNothingInACancel) {
  for (const bool is_woken : {false, true}) {
    EventLoop loop;
    const Three three(loop);
    while (three.completed->has_next()) {
      const auto cancelled = three.next();
      run_one_pass(loop);
      if (is_woken && !three.futures[0].done()) {
        three.futures[0].set_result(7);
        run_one_pass(loop);
      }
      EXPECT_TRUE(cancelled.cancel("why"));
      run_passes(loop, 2);
      EXPECT_EQ(end_of(cancelled), "CancelledError('why')");
      if (is_woken) break;
    }
    EXPECT_EQ(three.completed->has_next(), is_woken);
    for (const Future<int>& future : three.futures) {
      if (!future.done()) future.set_result(7);
    }
    for (int left = 0; left < 3; ++left) EXPECT_EQ(three.outcome(), "7");
    EXPECT_FALSE(three.completed->has_next());
  }
}

// "Destroying it changes nothing for the futures."
TEST(AsCompleted, TakesItsCallbacksBackWhenItIsDestroyed) {
  VirtualTimeLoop loop;
  Three three(loop, 3600);
  three.futures[0].set_result(0);  // its callback is queued already
  EXPECT_EQ(to_string(three.futures[1]),
            "<Future pending cb=[as_completed.<locals>._on_completion()]>");
  three.completed.reset();
  EXPECT_EQ(to_string(three.futures[1]), "<Future pending>");
  EXPECT_TRUE(loop.snapshot().timers.empty());
  loop.run_until_idle();
  EXPECT_EQ(three.futures[0].result(), 0);
}

TEST(AsCompleted, IsSeenInItsFuturesAndInWhoAsks) {
  VirtualTimeLoop loop;
  const Three three(loop);
  const auto task =
      create_task(loop, three.completed->next(), TaskOptions().name("asks"));
  EXPECT_EQ(test::scrubbed(format_call_graph(three.futures[0])),
            "* Future(id=*)");
  run_one_pass(loop);
  EXPECT_EQ(test::scrubbed(format_call_graph(three.futures[0])),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='asks', id=*)\n"
            "      + Call stack:\n"
            "      |   in async as_completed.<locals>._wait_for_one()");
  for (const Future<int>& future : three.futures) future.set_result(7);
  run_passes(loop, 4);
  EXPECT_EQ(task.result(), 7);
}

// Two ask for three that are done after 1, 2 and 4 seconds; the time is over
// after 3, or after the last.
struct TwoAsk : test::World {
  explicit TwoAsk(int timeout) {
    loop.call_soon([this, timeout] {
      std::vector<Sleep<int>> sleeps;
      for (const int n : {2, 1, 4}) sleeps.push_back(sleep(n, n));
      completed.reset(
          new AsCompleted<int>(as_completed(std::move(sleeps), timeout)));
    });
    run_one_pass(loop);
    victim = create_task(
        loop, Script(*this)
                  .await([this] { return completed->next(); },
                         [this](int n) { given += std::to_string(n); })
                  .await([this] { return completed->next(); },
                         [this](int n) { given += std::to_string(n); }));
    create_task(loop, Script(*this).await(
                          [this] { return completed->next(); },
                          [this](int n) { given += std::to_string(n); }));
  }
  /// What was not given is still there.
  void expect_sound() override {
    for (int left = 0; left < 3; ++left) {
      const auto next = create_task(loop, completed->next());
      loop.run_until_idle();
      if (end_of(next) == "done") given += std::to_string(next.result());
      next.cancel();
      loop.run_until_idle();
    }
    EXPECT_EQ(given, given_in_the_end);
  }
  std::unique_ptr<AsCompleted<int>> completed;
  std::string given;
  std::string given_in_the_end;
};

TEST(AsCompletedCancel, LosesNothingAtAnyMoment) {
  for (const bool in_time : {true, false}) {
    SCOPED_TRACE(in_time);
    const test::MakeWorld make = [in_time] {
      auto world = std::make_unique<TwoAsk>(in_time ? 5 : 3);
      world->given_in_the_end = in_time ? "124" : "12";
      return world;
    };
    EXPECT_GE(test::cancel_everywhere(make), 4);
    EXPECT_GE(test::destroy_everywhere(make), 4);
  }
}

TEST(AsCompleted, IsAwaitedOnlyWhileSomebodyAsks) {
  VirtualTimeLoop loop;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 2; ++i) futures.emplace_back(loop);
  std::optional<AsCompleted<int>> completed;
  loop.call_soon([&] {
    struct Body {
      Step step(Resumption& resumption) {
        if (stage == 0) {
          const Step step = next.step(resumption);
          if (step.kind() != Step::Kind::kDone) return step;
          stage = 1;
        }
        return nap.step(resumption);  // waits for a timer, and for nobody else
      }
      void result() const noexcept {}
      AsCompleted<int>::Next next;
      Sleep<void> nap = sleep(1);
      int stage = 0;
    };
    completed.emplace(loop, futures, std::nullopt);
    create_task(loop, Body{completed->next()}, TaskOptions().name("asked"));
  });
  run_passes(loop, 2);
  futures[0].set_result(1);
  run_passes(loop, 4);
  EXPECT_EQ(test::scrubbed(format_call_graph(futures[1], 0)), "* Future(id=*)");
}

}  // namespace
}  // namespace rondo
