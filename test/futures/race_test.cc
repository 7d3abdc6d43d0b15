// SPDX-License-Identifier: MIT
#include "futures/race.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/call_graph.h"
#include "futures/sleep.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/futures/scrubbed.h"
#include "test/support/cancel_everywhere.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// asyncio.staggered.staggered_race, and what is said of it in race.h.

namespace rondo {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using test::body;
using test::end_of;

/// Attempts that are futures, for the test to settle: a, b, c, ...
class Runners {
 public:
  Runners(EventLoop& loop, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) futures.emplace_back(loop);
  }
  std::vector<Attempt<int>> attempts() {
    std::vector<Attempt<int>> all;
    for (std::size_t i = 0; i < futures.size(); ++i) {
      all.emplace_back([this, i] {
        begun += static_cast<char>('a' + i);
        return futures[i];
      });
    }
    return all;
  }
  void fail(std::size_t index) const {
    const std::string name(1, static_cast<char>('a' + index));
    futures[index].set_exception(std::runtime_error(name));
  }

  std::vector<Future<int>> futures;
  std::string begun;
};

/// An attempt that throws instead of giving a future.
Attempt<int> unmakeable(std::string text) {
  return [text = std::move(text)]() -> Future<int> {
    throw std::logic_error(text);
  };
}

/// A task that, when it is cancelled, waits for `last` before it ends: well,
/// if told so, else with CancelledError.
Task<int> takes_its_time(EventLoop& loop, const Future<void>& last,
                         bool swallows = false) {
  struct Body {
    Step step(Resumption& resumption) {
      if (last.done()) {
        if (!swallows) throw CancelledError("late");
        return Step::done();
      }
      if (std::exchange(begun, true)) {
        static_cast<void>(resumption.take_error());
        return Step::wait(last);
      }
      resumption.check();
      return test::wait_for_ever(resumption);
    }
    int result() const noexcept { return 99; }

    Future<void> last;
    bool swallows;
    bool begun = false;
  };
  return create_task(loop, Body{last, swallows});
}

/// The race's result, or how else it has ended.
std::string outcome_of(const Task<int>& race) {
  return end_of(race) == "done" ? std::to_string(race.result()) : end_of(race);
}

// -- who wins ----------------------------------------------------------------

// "the result of the first that succeeds, after the others were cancelled"
TEST(Race, GivesTheFirstSuccessAndCancelsTheOthers) {
  EventLoop loop;
  Runners runners(loop, 3);
  const auto race = create_task(loop, rondo::race(runners.attempts()));
  run_one_pass(loop);
  EXPECT_EQ(runners.begun, "abc");
  runners.futures[1].set_result(7);
  run_one_pass(loop);
  EXPECT_TRUE(runners.futures[0].cancelled());
  EXPECT_TRUE(runners.futures[2].cancelled());
  EXPECT_FALSE(race.done());
  run_passes(loop, 2);
  EXPECT_EQ(outcome_of(race), "7");
}

// "... and have ended"
TEST(Race, WaitsForThoseItCancels) {
  EventLoop loop;
  const Future<void> last(loop);
  const Future<int> fast(loop);
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([&] { return takes_its_time(loop, last); });
  attempts.emplace_back([&] { return fast; });
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  run_passes(loop, 2);
  fast.set_result(7);
  run_passes(loop, 5);
  EXPECT_FALSE(race.done());
  last.set_result();
  run_passes(loop, 3);
  EXPECT_EQ(outcome_of(race), "7");
}

TEST(Race, IsWonByTheFirstOfTwoInTheSamePass) {
  EventLoop loop;
  Runners runners(loop, 2);
  const auto race = create_task(loop, rondo::race(runners.attempts()));
  run_one_pass(loop);
  runners.futures[1].set_result(2);
  runners.futures[0].set_result(1);
  run_passes(loop, 2);
  EXPECT_EQ(outcome_of(race), "2");
}

TEST(Race, DoesNotMindHowTheLosersEnd) {
  EventLoop loop;
  Reports reports(loop);
  {
    const Future<void> last(loop);
    Runners runners(loop, 3);
    std::vector<Attempt<int>> attempts = runners.attempts();
    attempts.emplace_back([&] { return takes_its_time(loop, last, true); });
    const auto race = create_task(loop, rondo::race(std::move(attempts)));
    run_passes(loop, 2);
    runners.fail(0);
    runners.futures[1].set_result(7);
    runners.fail(2);
    run_passes(loop, 3);
    EXPECT_FALSE(race.done());
    last.set_result();
    run_passes(loop, 3);
    EXPECT_EQ(outcome_of(race), "7");
  }
  EXPECT_TRUE(reports.messages.empty());
}

TEST(Race, IsWonByOneThatIsDoneAtOnce) {
  EventLoop loop;
  Runners runners(loop, 2);
  runners.futures[0].set_result(7);
  const auto race = create_task(loop, rondo::race(runners.attempts(), 1s));
  run_passes(loop, 3);
  EXPECT_EQ(outcome_of(race), "7");
  EXPECT_EQ(runners.begun, "a");
}

TEST(Race, GivesAValueThatCanOnlyBeMovedOrNone) {
  VirtualTimeLoop loop;
  std::vector<Attempt<std::unique_ptr<int>>> attempts;
  for (const int n : {2, 1}) {
    attempts.emplace_back([&loop, n] {
      return create_task(loop, sleep(n, std::make_unique<int>(n)));
    });
  }
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  std::vector<Attempt<void>> of_nothing;
  of_nothing.emplace_back([&] { return create_task(loop, sleep(1)); });
  const auto none = create_task(loop, rondo::race(std::move(of_nothing)));
  loop.run_until_idle();
  EXPECT_EQ(*race.result(), 1);
  EXPECT_EQ(end_of(none), "done");
}

// -- when the next one begins ------------------------------------------------

// "the next one as soon as `stagger` has passed ..."
TEST(Race, BeginsTheNextAfterTheStagger) {
  VirtualTimeLoop loop;
  Runners runners(loop, 3);
  const auto race = create_task(loop, rondo::race(runners.attempts(), 1s));
  loop.advance(999ms);
  EXPECT_EQ(runners.begun, "a");
  loop.advance(1ms);
  EXPECT_EQ(runners.begun, "ab");
  loop.advance(1s);
  EXPECT_EQ(runners.begun, "abc");
  EXPECT_TRUE(loop.snapshot().timers.empty());
  EXPECT_EQ(outcome_of(race), "pending");
  runners.futures[0].set_result(7);
  run_passes(loop, 3);
  EXPECT_EQ(outcome_of(race), "7");
}

// "... or an attempt has failed", and then the stagger begins anew.
TEST(Race, BeginsTheNextWhenOneFails) {
  VirtualTimeLoop loop;
  Runners runners(loop, 4);
  const auto race = create_task(loop, rondo::race(runners.attempts(), 1s));
  loop.advance(500ms);
  runners.fail(0);
  loop.advance(500ms);
  EXPECT_EQ(runners.begun, "ab");
  loop.advance(500ms);
  EXPECT_EQ(runners.begun, "abc");
  runners.fail(1);
  loop.advance(1ms);
  EXPECT_EQ(runners.begun, "abcd");
  runners.futures[2].set_result(7);
  run_passes(loop, 3);
  EXPECT_EQ(outcome_of(race), "7");
}

// asyncio's delay=None, and its next best: a delay that does not end.
TEST(Race, BeginsTheNextOnlyAfterAFailureIfThereIsNoStagger) {
  for (const bool none : {true, false}) {
    VirtualTimeLoop loop;
    Runners runners(loop, 3);
    const auto race = create_task(
        loop, none ? Race<int>(runners.attempts(), std::nullopt)
                   : rondo::race(runners.attempts(), Duration::max()));
    loop.advance(3600s);
    EXPECT_EQ(runners.begun, "a");
    runners.fail(0);
    run_one_pass(loop);
    EXPECT_EQ(runners.begun, "ab");
    loop.advance(3600s);
    EXPECT_EQ(runners.begun, "ab");
    runners.futures[1].set_result(7);
    run_passes(loop, 2);
    EXPECT_EQ(outcome_of(race), "7");
  }
}

TEST(Race, BeginsAllAtOnceWithAStaggerOfZero) {
  EventLoop loop;
  for (const int stagger : {0, -1}) {
    Runners runners(loop, 3);
    const auto race =
        create_task(loop, rondo::race(runners.attempts(), stagger));
    run_one_pass(loop);
    EXPECT_EQ(runners.begun, "abc");
    EXPECT_TRUE(loop.snapshot().timers.empty());
    runners.futures[2].set_result(7);
    run_passes(loop, 3);
    EXPECT_EQ(outcome_of(race), "7");
  }
}

TEST(Race, BeginsNobodyOnceItIsWon) {
  VirtualTimeLoop loop;
  Runners runners(loop, 3);
  const auto race = create_task(loop, rondo::race(runners.attempts(), 1s));
  loop.advance(1s);
  EXPECT_EQ(runners.begun, "ab");
  runners.futures[0].set_result(7);
  run_one_pass(loop);
  EXPECT_TRUE(loop.snapshot().timers.empty());
  loop.run_until_idle();
  EXPECT_EQ(runners.begun, "ab");
  EXPECT_EQ(outcome_of(race), "7");
}

// -- nobody wins -------------------------------------------------------------

// "an ExceptionGroup of their exceptions, in the order in which they failed"
TEST(Race, ThrowsAllExceptionsIfNobodyWins) {
  EventLoop loop;
  Reports reports(loop);
  {
    Runners runners(loop, 3);
    const auto race = create_task(loop, rondo::race(runners.attempts()));
    run_one_pass(loop);
    runners.fail(2);
    runners.fail(0);
    run_one_pass(loop);
    EXPECT_FALSE(race.done());
    runners.fail(1);
    run_passes(loop, 2);
    EXPECT_EQ(end_of(race),
              "ExceptionGroup('race: every attempt failed', "
              "[std::runtime_error('c'), std::runtime_error('a'), "
              "std::runtime_error('b')])");
  }
  EXPECT_TRUE(reports.messages.empty());
}

TEST(Race, CountsAnAttemptThatWasCancelledAsAFailure) {
  VirtualTimeLoop loop;
  Runners runners(loop, 2);
  const auto race = create_task(loop, rondo::race(runners.attempts(), 1s));
  run_one_pass(loop);
  runners.futures[0].cancel("why");
  run_one_pass(loop);
  EXPECT_EQ(runners.begun, "ab");
  runners.fail(1);
  run_passes(loop, 2);
  EXPECT_EQ(end_of(race),
            "ExceptionGroup('race: every attempt failed', "
            "[CancelledError('why'), std::runtime_error('b')])");
}

// "What it throws counts as the attempt's failure."
TEST(Race, CountsAnAttemptThatCannotBeMadeAsAFailure) {
  VirtualTimeLoop loop;
  Runners runners(loop, 2);
  std::vector<Attempt<int>> attempts = runners.attempts();
  attempts.insert(attempts.begin(), unmakeable("x"));
  attempts.insert(attempts.begin() + 2, unmakeable("y"));
  attempts.push_back(unmakeable("z"));
  const auto race =
      create_task(loop, rondo::race(std::move(attempts), 1s));  // x a y b z
  run_one_pass(loop);
  EXPECT_EQ(runners.begun, "a");
  loop.advance(1s);
  EXPECT_EQ(runners.begun, "ab");
  runners.fail(1);
  run_passes(loop, 2);
  EXPECT_FALSE(race.done());
  runners.fail(0);
  run_passes(loop, 2);
  EXPECT_EQ(end_of(race),
            "ExceptionGroup('race: every attempt failed', "
            "[std::logic_error('x'), std::logic_error('y'), "
            "std::runtime_error('b'), std::logic_error('z'), "
            "std::runtime_error('a')])");
}

TEST(Race, EndsInItsFirstStepIfNoAttemptCanBeMade) {
  EventLoop loop;
  std::vector<Attempt<int>> attempts;
  attempts.push_back(unmakeable("x"));
  attempts.push_back(unmakeable("y"));
  const auto race = create_task(loop, rondo::race(std::move(attempts), 1s));
  run_one_pass(loop);
  EXPECT_EQ(end_of(race),
            "ExceptionGroup('race: every attempt failed', "
            "[std::logic_error('x'), std::logic_error('y')])");
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

// "std::invalid_argument if there are no attempts"
TEST(Race, RefusesToBeOfNobody) {
  EventLoop loop;
  const auto race =
      create_task(loop, rondo::race(std::vector<Attempt<int>>(), 1s));
  run_one_pass(loop);
  EXPECT_EQ(end_of(race), "std::invalid_argument('race: no attempts')");
}

// -- cancelled ---------------------------------------------------------------

// "A cancel cancels all attempts, and waits for them."
TEST(Race, IsCancelledWithItsAttempts) {
  VirtualTimeLoop loop;
  const Future<void> last(loop);
  Runners runners(loop, 2);
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([&] { return takes_its_time(loop, last); });
  for (Attempt<int>& attempt : runners.attempts()) {
    attempts.push_back(std::move(attempt));
  }
  const auto race = create_task(loop, rondo::race(std::move(attempts), 1s));
  loop.advance(1s);
  EXPECT_EQ(runners.begun, "a");
  EXPECT_TRUE(race.cancel("why"));
  run_passes(loop, 5);
  EXPECT_TRUE(runners.futures[0].cancelled());
  EXPECT_TRUE(loop.snapshot().timers.empty());
  loop.run_until_idle();
  EXPECT_EQ(runners.begun, "a");
  EXPECT_FALSE(race.done());
  last.set_result();
  loop.run_until_idle();
  EXPECT_EQ(end_of(race), "CancelledError('why')");
}

TEST(Race, IsCancelledThoughAnAttemptRefuses) {
  EventLoop loop;
  const Future<void> last(loop);
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([&] { return takes_its_time(loop, last, true); });
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  run_passes(loop, 2);
  race.cancel("why");
  last.set_result();
  run_passes(loop, 4);
  EXPECT_EQ(end_of(race), "CancelledError('why')");
}

TEST(Race, IsCancelledThoughItIsWon) {
  EventLoop loop;
  const Future<void> last(loop);
  const Future<int> fast(loop);
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([&] { return takes_its_time(loop, last); });
  attempts.emplace_back([&] { return fast; });
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  run_passes(loop, 2);
  fast.set_result(7);
  run_passes(loop, 2);
  EXPECT_FALSE(race.done());
  EXPECT_TRUE(race.cancel("why"));
  run_passes(loop, 5);
  EXPECT_EQ(end_of(race), "CancelledError('why')");
}

TEST(Race, IsCancelledThoughAllHaveFailedInTheSamePass) {
  EventLoop loop;
  Reports reports(loop);
  {
    Runners runners(loop, 2);
    const auto race = create_task(loop, rondo::race(runners.attempts()));
    run_one_pass(loop);
    runners.fail(0);
    runners.fail(1);
    loop.call_soon([&] { race.cancel("why"); });
    run_passes(loop, 3);
    EXPECT_EQ(end_of(race), "CancelledError('why')");
  }
  EXPECT_TRUE(reports.messages.empty());
}

// What is cancelled and fails instead is not the race's end, nor reported.
TEST(Race, IsCancelledThoughAnAttemptFailsOfIt) {
  EventLoop loop;
  Reports reports(loop);
  {
    const auto race = create_task(loop, [&] {
      std::vector<Attempt<int>> attempts;
      attempts.emplace_back([&loop]() -> Future<int> {
        struct Body {
          Step step(Resumption& resumption) {
            if (resumption.take_error() != nullptr) {
              throw std::runtime_error("of the cancel");
            }
            return test::wait_for_ever(resumption);
          }
          int result() const noexcept { return 0; }
        };
        return create_task(loop, Body());
      });
      return rondo::race(std::move(attempts));
    }());
    run_passes(loop, 2);
    race.cancel("why");
    run_passes(loop, 4);
    EXPECT_EQ(end_of(race), "CancelledError('why')");
  }
  EXPECT_TRUE(reports.messages.empty());
}

TEST(Race, CancelsItsAttemptsAgainWhenItIsCancelledAgain) {
  EventLoop loop;
  const Future<void> last(loop);
  Task<int> slow;
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([&] { return slow = takes_its_time(loop, last); });
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  run_passes(loop, 2);
  race.cancel("once");
  run_passes(loop, 3);
  EXPECT_EQ(slow.cancelling(), 1u);
  EXPECT_FALSE(slow.done());
  race.cancel("twice");
  run_passes(loop, 5);
  EXPECT_EQ(slow.cancelling(), 2u);
  EXPECT_EQ(end_of(race), "CancelledError('twice')");
}

TEST(Race, IsCancelledBeforeItsFirstStep) {
  EventLoop loop;
  Runners runners(loop, 2);
  const auto race = create_task(loop, rondo::race(runners.attempts()));
  race.cancel();
  run_one_pass(loop);
  EXPECT_TRUE(race.cancelled());
  EXPECT_EQ(runners.begun, "");
}

// "Destroying one that waits takes it back, as a cancel would."
TEST(Race, LeavesNothingBehindWhenItIsDestroyed) {
  VirtualTimeLoop loop;
  Runners runners(loop, 4);
  std::optional<Race<int>> race(rondo::race(runners.attempts(), 1s));
  const auto task = create_task(loop, body([&](Resumption& r) {
                                  return race ? race->step(r) : Step::done();
                                }));
  loop.advance(2s);
  EXPECT_EQ(runners.begun, "abc");
  runners.fail(0);  // its callback is queued already
  static_cast<void>(runners.futures[0].exception());
  race.reset();
  EXPECT_TRUE(loop.snapshot().timers.empty());
  EXPECT_TRUE(runners.futures[1].cancelled());
  EXPECT_EQ(to_string(runners.futures[3]), "<Future pending>");
  loop.run_until_idle();
  EXPECT_EQ(runners.begun, "abc");
  task.cancel();
  loop.run_until_idle();
}

// -- text --------------------------------------------------------------------

TEST(Race, IsSeenInItsAttempts) {
  EventLoop loop;
  Runners runners(loop, 2);
  const auto race = create_task(loop, rondo::race(runners.attempts()),
                                TaskOptions().name("eyeballs"));
  run_one_pass(loop);
  EXPECT_EQ(to_string(runners.futures[1]),
            "<Future pending cb=[race.<locals>._on_completion()]>");
  EXPECT_EQ(test::scrubbed(format_call_graph(runners.futures[1])),
            "* Future(id=*)\n"
            "  + Awaited by:\n"
            "    * Task(name='eyeballs', id=*)\n"
            "      + Call stack:\n"
            "      |   in async race()");
  EXPECT_EQ(to_string(race),
            "<Task pending name='eyeballs' coro=<race() running> "
            "wait_for=<Future pending cb=[Task.task_wakeup()]>>");
  runners.futures[0].set_result(7);
  run_passes(loop, 3);
  EXPECT_EQ(to_string(runners.futures[1]), "<Future cancelled>");
}

// -- a cancel, or the end, at each moment ------------------------------------

// One fails, one wins, two are too slow.
struct FourRun : test::World {
  FourRun() {
    std::vector<Attempt<int>> attempts;
    attempts.emplace_back([this] { return runner(1, "a", true); });
    attempts.emplace_back([this] { return runner(10, "b", false); });
    attempts.emplace_back([this] { return runner(3, "c", false); });
    attempts.emplace_back([this] { return runner(10, "d", false); });
    victim = create_task(loop, rondo::race(std::move(attempts), 2));
  }
  /// Tells how it has ended: with its name, or in brackets if cancelled.
  Task<int> runner(int seconds, const std::string& name, bool fails) {
    struct Body {
      Step step(Resumption& resumption) {
        world->moment();
        if (is_cancelled_error(resumption.error())) {
          world->order += "(" + name + ")";
        }
        const Step step = nap.step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
        world->order += name;
        if (fails) throw std::runtime_error(name);
        return step;
      }
      int result() const noexcept { return 7; }

      FourRun* world;
      Sleep<void> nap;
      std::string name;
      bool fails;
      Alive alive;
    };
    ++running;
    const Task<int> task = create_task(
        loop, Body{this, sleep(seconds), name, fails, Alive(*this)});
    task.add_done_callback([this](AnyFuture) { --running; });
    return task;
  }
  void expect_sound() override {
    EXPECT_EQ(running, 0);
    if (!victim.cancelled()) {
      EXPECT_EQ(order, "ac(b)(d)");
    }
  }
  std::string order;
  int running = 0;
};

TEST(RaceCancel, LeavesNobodyRunningAtAnyMoment) {
  EXPECT_GE(test::cancel_everywhere<FourRun>(), 8);
  EXPECT_GE(test::cancel_twice_everywhere<FourRun>(), 8);
  EXPECT_GE(test::destroy_everywhere<FourRun>(), 8);
}

// CPython: "except (SystemExit, KeyboardInterrupt): raise".
TEST(Race, DoesNotSwallowWhatEndsTheProgram) {
  EventLoop loop;
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([]() -> Future<int> { throw SystemExit(3); });
  attempts.emplace_back(
      [&]() -> Future<int> { return create_task(loop, test::Returns(7)); });
  const auto race = create_task(loop, rondo::race(std::move(attempts)));
  bool left = false;
  for (int pass = 0; pass < 5; ++pass) {
    try {
      run_one_pass(loop);
    } catch (const SystemExit&) {
      left = true;
    }
  }
  EXPECT_TRUE(left);
  if (race.done()) static_cast<void>(race.exception());
}

}  // namespace
}  // namespace rondo
