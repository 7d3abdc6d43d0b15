// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/one_pass.h"
#include "test/support/recording_kernel.h"

// event_loop.h: "Runs `callback` once, no sooner than `delay` after time().
// Equal deadlines run in the order they were made. A negative delay is due at
// once, one too large for the clock never."
// FAULTS T1-T4, T7, T8. Memory (T5) is in timer_memory_test.cc, reschedule()
// in reschedule_test.cc.

namespace rondo {
namespace {

using namespace std::chrono_literals;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// -- when --------------------------------------------------------------------

TEST(CallLater, RunsOnceAndNoSoonerThanTheDelay) {
  VirtualTimeLoop loop;
  std::vector<TimePoint> moments;
  loop.call_later(10ms, [&] { moments.push_back(loop.time()); });
  loop.advance(10ms - 1ns);
  loop.advance(1h);
  EXPECT_EQ(moments, std::vector{TimePoint(10ms)});
}

// Never early: at one nanosecond before its deadline a timer is not due.
TEST(CallLater, IsNotDueANanosecondBeforeItsDeadline) {
  VirtualKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  int runs = 0;
  loop.call_later(10ms, [&] { ++runs; });
  kernel.spend(10ms - 1ns);
  run_one_pass(loop);
  EXPECT_EQ(runs, 0);
  kernel.spend(1ns);
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// Counted from time() at the call, not from the beginning of the pass.
TEST(CallLater, CountsFromTheMomentOfTheCall) {
  VirtualTimeLoop loop;
  TimerHandle timer;
  loop.call_soon([&] {
    loop.spend(5s);
    timer = loop.call_later(1s, [] {});
  });
  loop.run_until_idle();
  EXPECT_EQ(timer.when(), TimePoint(6s));
  EXPECT_EQ(loop.time(), TimePoint(6s));
}

TEST(CallLater, TakesSecondsAsANumberAsAsyncioDoes) {
  VirtualTimeLoop loop;
  EXPECT_EQ(loop.call_later(0.5, [] {}).when(), TimePoint(500ms));
  EXPECT_EQ(loop.call_later(2, [] {}).when(), TimePoint(2s));
}

// Probe p02: by deadline and not by registration; what lies in the past is due
// at once, by its deadline too, behind what was ready already.
TEST(CallLater, RunsInTheOrderOfTheDeadlines) {
  VirtualTimeLoop loop;
  std::string order;
  const auto add = [&](const char* name) {
    return [&order, name] { order += std::string(name) + " "; };
  };
  loop.call_later(0.6, add("0.6"));
  loop.call_later(0.2, add("0.2"));
  loop.call_later(0.4, add("0.4"));
  loop.call_later(0, add("0"));
  loop.call_later(-5, add("-5"));
  loop.call_soon(add("soon"));
  loop.call_at(loop.time() - 100s, add("-100"));
  loop.run_until_idle();
  EXPECT_EQ(order, "soon -100 -5 0 0.2 0.4 0.6 ");
}

// T1: negative, infinite, huge and tiny delays. NaN below.
TEST(CallLater, TakesAnyNumber) {
  VirtualTimeLoop loop;
  std::string order;
  const auto add = [&](char name) { return [&order, name] { order += name; }; };
  loop.call_later(std::numeric_limits<double>::denorm_min(), add('d'));
  loop.call_later(0.0, add('c'));
  loop.call_later(-1e300, add('a'));
  loop.call_later(-1.0, add('b'));
  loop.call_later(kInfinity, add('!'));
  loop.call_later(1e300, add('!'));
  loop.call_later(std::chrono::hours::max(), add('!'));
  loop.advance(24h * 365 * 100);
  EXPECT_EQ(order, "abcd") << "what is too large never comes";
}

TEST(CallLater, RunsANegativeInfiniteDelayAtOnce) {
  VirtualTimeLoop loop;
  int runs = 0;
  loop.call_later(-kInfinity, [&] { ++runs; });
  loop.call_at(TimePoint::min(), [&] { ++runs; });
  run_one_pass(loop);
  EXPECT_EQ(runs, 2);
}

// LoopStats: "How late the last timer was moved to the ready queue." A number
// that does not fit stops at the end of its range.
TEST(CallLater, CountsTheLagOfATimerSinceTheBeginningOfTime) {
  VirtualKernel kernel(TimePoint(1s));
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.call_at(TimePoint::min(), [] {});
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().lag, Duration::max());
  EXPECT_EQ(loop.stats().lag_max, Duration::max());
}

// "Throws std::invalid_argument for NaN."
TEST(CallLater, ThrowsForNaN) {
  VirtualTimeLoop loop;
  EXPECT_THROW(loop.call_later(std::numeric_limits<double>::quiet_NaN(), [] {}),
               std::invalid_argument);
  EXPECT_EQ(loop.next_timeout(), Duration::max());
}

// T2: sixty days are more than epoll_wait(2) can be asked for in milliseconds;
// asyncio's selector waits a day at most.
TEST(CallLater, WaitsForTwoMonthsInParts) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  TimePoint ran;
  loop.call_later(24h * 60, [&] {
    ran = loop.time();
    loop.stop();
  });
  loop.run_forever();
  EXPECT_EQ(ran, TimePoint(24h * 60));
  EXPECT_EQ(kernel.waits, std::vector<Duration>(60, 24h));
}

// T8: nothing is assumed about the clock's magnitude.
TEST(CallLater, WorksAnywhereOnTheClock) {
  constexpr Duration kStarts[] = {0ns,
                                  1ns,
                                  -1ns,
                                  1'000'000'000s,
                                  -1'000'000'000s,
                                  Duration::min(),
                                  Duration::max() - 1h};
  for (const Duration start : kStarts) {
    SCOPED_TRACE(start.count());
    VirtualKernel kernel{TimePoint(start)};
    EventLoop loop(LoopOptions().kernel(kernel));
    std::string order;
    const TimerHandle second = loop.call_later(2s, [&] {
      order += 'b';
      loop.stop();
    });
    loop.call_later(1s, [&] { order += 'a'; });
    EXPECT_EQ(second.when(), TimePoint(start + 2s));
    loop.run_forever();
    EXPECT_EQ(order, "ab");
    EXPECT_EQ(loop.time(), TimePoint(start + 2s));
  }
}

// Past the end of the clock there is no later: it is the moment that never
// comes, and nothing wraps round to the past.
TEST(CallLater, StopsAtTheEndOfTheClock) {
  VirtualKernel kernel{TimePoint::max() - 1s};
  EventLoop loop(LoopOptions().kernel(kernel));
  int runs = 0;
  const TimerHandle timer = loop.call_later(2s, [&] { ++runs; });
  EXPECT_EQ(timer.when(), TimePoint::max());
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  run_one_pass(loop);
  EXPECT_EQ(runs, 0);
}

// -- equal deadlines ---------------------------------------------------------

// "Equal deadlines run in the order they were made" (asyncio leaves it open;
// probe p03 shows its order: 0 2 6 11 10 9 8 5 7 4 1 3 for twelve).
TEST(CallLater, RunsEqualDeadlinesInTheOrderTheyWereMade) {
  for (int count = 1; count <= 12; ++count) {
    for (const int later : {0, 1, 3}) {
      VirtualTimeLoop loop;
      std::vector<int> expected, got;
      for (int index = 0; index < count; ++index) {
        expected.push_back(index);
        loop.call_at(TimePoint(0s), [&got, index] { got.push_back(index); });
      }
      for (int index = 0; index < later; ++index) {
        loop.call_at(TimePoint(100s), [] {});
      }
      run_one_pass(loop);
      EXPECT_EQ(got, expected) << later << " later timers";
    }
  }
}

// Also with cancelled ones between them, which leave holes in the heap.
TEST(CallLater, RunsEqualDeadlinesInOrderWithCancelledOnesBetween) {
  VirtualTimeLoop loop;
  std::vector<int> expected, got;
  std::vector<TimerHandle> cancelled;
  for (int index = 0; index < 200; ++index) {
    TimerHandle timer =
        loop.call_later(10ms, [&got, index] { got.push_back(index); });
    if (index % 3 == 1) {
      cancelled.push_back(std::move(timer));
    } else {
      expected.push_back(index);
    }
  }
  for (TimerHandle& timer : cancelled) timer.cancel();
  loop.advance(10ms);
  EXPECT_EQ(got, expected);
}

// -- which pass --------------------------------------------------------------

// Probe p04: all that is due when the loop wakes up is in one batch, before
// what it schedules.
TEST(CallLater, PutsAllThatIsDueIntoOnePass) {
  VirtualTimeLoop loop;
  std::string order;
  const auto add = [&](const char* name, const char* then) {
    return [&order, &loop, name, then] {
      order += std::string(name) + " ";
      loop.call_soon([&order, then] { order += std::string(then) + " "; });
    };
  };
  loop.call_later(80ms, add("80", "after80"));
  loop.call_later(160ms, add("160", "after160"));
  loop.call_later(120ms, add("120", "after120"));
  loop.call_soon([&] {
    order += "block ";
    loop.call_soon([&] { order += "ready "; });
    loop.spend(400ms);
  });
  loop.run_until_idle();
  EXPECT_EQ(order, "block ready 80 120 160 after80 after120 after160 ");
}

// T3: the clock jumps (suspend, SIGSTOP). All that is due runs by deadline and
// number; what they add, due or not, runs in the next pass.
TEST(CallLater, SurvivesAClockThatJumps) {
  VirtualKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  std::vector<int> order, expected;
  int added = 0;
  // Deadlines 0, 7, 4, 1, 8, 5, 2, 9, 6, 3 s, then the same once more.
  for (int index = 0; index < 20; ++index) {
    const int deadline = index * 7 % 10;
    loop.call_later(deadline, [&, deadline, index] {
      order.push_back(2 * deadline + index / 10);
      loop.call_later(-1, [&] { ++added; });
    });
    expected.push_back(index);
  }
  kernel.spend(5h);
  run_one_pass(loop);
  EXPECT_EQ(order, expected);
  EXPECT_EQ(added, 0);
  run_one_pass(loop);
  EXPECT_EQ(added, 20);
}

// T4: one sleep and one pass for one timer, however odd its deadline. Rounded
// down, the loop would spin through the last part of a millisecond.
TEST(CallLater, SleepsOnceForATimer) {
  for (const Duration delay : {1ns, 300'000ns, 999'999ns, 1'000'000ns,
                               1'000'001ns, 12'345'678'901ns}) {
    SCOPED_TRACE(delay.count());
    RecordingKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    loop.call_later(delay, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(kernel.waits.size(), 1u);
    EXPECT_EQ(loop.stats().passes, 1u);
    EXPECT_GE(loop.time(), TimePoint(delay)) << "early";
    EXPECT_LT(loop.time(), TimePoint(delay + 1ms)) << "too late";
  }
}

// Probe p74: timers that were made within a millisecond end in one pass, as
// the sleep is rounded up.
TEST(CallLater, RunsTimersOfOneMillisecondInOnePass) {
  VirtualTimeLoop loop;
  std::vector<std::uint64_t> passes;
  for (int index = 0; index < 3; ++index) {
    loop.call_later(10ms, [&] { passes.push_back(loop.stats().passes); });
    loop.spend(2us);
  }
  loop.run_until_idle();
  ASSERT_EQ(passes.size(), 3u);
  EXPECT_EQ(passes[0], passes[2]);
}

// A timer that reschedules itself at once (T6) leaves room for everyone: one
// turn of it is one pass.
TEST(CallLater, OfZeroFromItselfTakesOnePassEachTime) {
  VirtualTimeLoop loop;
  std::string order;
  std::function<void()> again = [&] {
    order += 't';
    if (order.size() < 6) loop.call_later(0, [&] { again(); });
    loop.call_soon([&] { order += 's'; });
  };
  loop.call_later(0, [&] { again(); });
  loop.run_until_idle();
  EXPECT_EQ(order, "tstststs");
}

// -- cancelling --------------------------------------------------------------

// T7: in its own callback, twice, after it fired, in the batch.
TEST(CallLater, MayBeCancelledAtAnyTime) {
  VirtualTimeLoop loop;
  std::string order;
  TimerHandle own, mate;
  own = loop.call_later(1ms, [&] {
    order += 'o';
    own.cancel();
    mate.cancel();
    mate.cancel();
  });
  mate = loop.call_later(1ms, [&] { order += 'm'; });
  TimerHandle never = loop.call_later(5ms, [&] { order += 'n'; });
  never.cancel();
  loop.run_until_idle();
  own.cancel();
  EXPECT_EQ(order, "o");
  EXPECT_TRUE(own.cancelled());
  EXPECT_TRUE(mate.cancelled());
  EXPECT_EQ(loop.time(), TimePoint(1ms)) << "nobody waits for 5 ms";
}

// DESIGN 3, step 1: a cancelled timer does not wake the loop.
TEST(CallLater, OnceCancelledDoesNotWakeTheLoop) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  TimerHandle soon = loop.call_later(1ms, [] {});
  loop.call_later(50ms, [&] { loop.stop(); });
  soon.cancel();
  loop.run_forever();
  EXPECT_EQ(kernel.waits, std::vector<Duration>{50ms});
}

// R3: a timer destroys the object whose members it uses, itself included.
TEST(CallLater, MayDestroyItsOwner) {
  struct Owner {
    TimerHandle timer;
  };
  VirtualTimeLoop loop;
  auto owner = std::make_unique<Owner>();
  std::string seen;
  owner->timer = loop.call_later(1ms, [&, text = std::string("captures")] {
    owner->timer.cancel();
    owner.reset();
    seen = text;
  });
  loop.run_until_idle();
  EXPECT_EQ(seen, "captures");
}

// -- refusals ----------------------------------------------------------------

// As asyncio, where call_later() calls call_at().
TEST(CallLater, RefusesAnEmptyCallback) {
  EventLoop loop;
  const char* expected =
      "a callable object was expected by call_at(), got None";
  try {
    loop.call_later(1ms, nullptr);
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), expected);
  }
  try {
    loop.call_at(TimePoint(1ms), nullptr);
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), expected);
  }
}

TEST(CallLater, ThrowsOnAClosedLoop) {
  EventLoop loop;
  loop.close();
  try {
    loop.call_later(1ms, [] {});
    FAIL() << "expected RuntimeError";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "Event loop is closed");
  }
  EXPECT_THROW(loop.call_at(TimePoint(1ms), [] {}), RuntimeError);
}

// -- the handle --------------------------------------------------------------

// handle.h: "Timers compare by deadline, as in asyncio." Probe p05.
TEST(TimerHandle, ComparesByDeadline) {
  EventLoop loop;
  const TimerHandle a = loop.call_at(TimePoint(10s), [] {});
  const TimerHandle b = loop.call_at(TimePoint(20s), [] {});
  const TimerHandle equal = loop.call_at(TimePoint(10s), [] {});
  EXPECT_LT(a, b);
  EXPECT_GT(b, a);
  EXPECT_LE(a, equal);
  EXPECT_GE(a, equal);
  EXPECT_EQ(a, equal);
  EXPECT_NE(a, b);
  // "For "the same timer" use Handle::is()."
  EXPECT_FALSE(a.is(equal));
}

// "The deadline, on the clock of EventLoop::time()": also when it is over.
TEST(TimerHandle, KnowsItsDeadlineForEver) {
  VirtualTimeLoop loop;
  TimerHandle timer = loop.call_later(3s, [] {});
  EXPECT_EQ(timer.when(), TimePoint(3s));
  loop.run_until_idle();
  EXPECT_EQ(timer.when(), TimePoint(3s));
  timer.cancel();
  EXPECT_EQ(timer.when(), TimePoint(3s));
}

// "Means no timer."
TEST(TimerHandle, MadeByDefaultMeansNone) {
  TimerHandle none;
  EXPECT_FALSE(none);
  none.cancel();
  EXPECT_FALSE(none.reschedule(TimePoint(1s)));
  EXPECT_EQ(to_string(none), "<Handle none>");
}

TEST(TimerHandle, ShowsTheLineThatScheduledIt) {
  EventLoop loop;
  const TimerHandle later = loop.call_later(1, [] {});
  const TimerHandle at = loop.call_at(TimePoint(1s), [] {});
  const auto ends = [](const TimerHandle& timer, int line) {
    return to_string(timer).ends_with(
        "call_later_test.cc:" + std::to_string(line) + ">");
  };
  EXPECT_TRUE(ends(later, __LINE__ - 6)) << to_string(later);
  EXPECT_TRUE(ends(at, __LINE__ - 6)) << to_string(at);
}

}  // namespace
}  // namespace rondo
