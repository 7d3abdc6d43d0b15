// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/one_pass.h"
#include "test/support/recording_kernel.h"

// handle.h, TimerHandle::reschedule(): "Moves the deadline of a timer that has
// not run yet, or that is just running (it will then run once more). [...]
// Among equal deadlines it counts as made now. Returns false, and changes
// nothing, if it has run or was cancelled." In every state of a timer.

namespace rondo {
namespace {

using namespace std::chrono_literals;

TEST(Reschedule, MovesADeadlineBack) {
  VirtualTimeLoop loop;
  std::vector<TimePoint> moments;
  TimerHandle timer =
      loop.call_later(10ms, [&] { moments.push_back(loop.time()); });
  EXPECT_TRUE(timer.reschedule(TimePoint(25ms)));
  EXPECT_EQ(timer.when(), TimePoint(25ms));
  loop.run_until_idle();
  EXPECT_EQ(moments, std::vector{TimePoint(25ms)});
}

TEST(Reschedule, MovesADeadlineForward) {
  VirtualTimeLoop loop;
  std::vector<TimePoint> moments;
  TimerHandle timer =
      loop.call_later(10ms, [&] { moments.push_back(loop.time()); });
  EXPECT_TRUE(timer.reschedule(TimePoint(5ms)));
  loop.run_until_idle();
  EXPECT_EQ(moments, std::vector{TimePoint(5ms)});
}

// Back is lazy inside; forward again, to before and to after the deadline that
// the heap still knows.
TEST(Reschedule, MovesADeadlineToAndFro) {
  for (const Duration last : {1ms, 9ms, 10ms, 11ms, 19ms, 20ms, 21ms}) {
    SCOPED_TRACE(last.count());
    VirtualTimeLoop loop;
    std::vector<TimePoint> moments;
    TimerHandle timer =
        loop.call_later(10ms, [&] { moments.push_back(loop.time()); });
    timer.reschedule(TimePoint(20ms));
    timer.reschedule(TimePoint(last));
    loop.run_until_idle();
    EXPECT_EQ(moments, std::vector{TimePoint(last)});
  }
}

// A timer that was moved back does not wake the loop at its old deadline.
TEST(Reschedule, BackSavesTheWakeUpAtTheOldDeadline) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  TimerHandle timer = loop.call_later(10ms, [&] { loop.stop(); });
  timer.reschedule(TimePoint(40ms));
  loop.run_forever();
  EXPECT_EQ(kernel.waits, std::vector<Duration>{40ms});
}

// "Among equal deadlines it counts as made now": also if the deadline stays.
TEST(Reschedule, CountsAsMadeNow) {
  VirtualTimeLoop loop;
  std::string order;
  const auto add = [&](char name) { return [&order, name] { order += name; }; };
  TimerHandle a = loop.call_at(TimePoint(10ms), add('a'));
  TimerHandle b = loop.call_at(TimePoint(20ms), add('b'));
  TimerHandle c = loop.call_at(TimePoint(5ms), add('c'));
  TimerHandle d = loop.call_at(TimePoint(10ms), add('d'));
  a.reschedule(TimePoint(10ms));  // stays: behind d
  b.reschedule(TimePoint(10ms));  // forward: behind a
  c.reschedule(TimePoint(10ms));  // back: behind b
  const TimerHandle e = loop.call_at(TimePoint(10ms), add('e'));
  loop.run_until_idle();
  EXPECT_EQ(order, "dabce");
}

// A server's idle timeout: pushed with each message.
TEST(Reschedule, OftenIsOneTimer) {
  VirtualTimeLoop loop;
  std::vector<TimePoint> moments;
  TimerHandle idle =
      loop.call_later(30s, [&] { moments.push_back(loop.time()); });
  for (int message = 1; message <= 1000; ++message) {
    loop.call_later(Duration(1s) * message,
                    [&] { EXPECT_TRUE(idle.reschedule(loop.time() + 30s)); });
  }
  loop.run_until_idle();
  EXPECT_EQ(moments, std::vector{TimePoint(1030s)});
}

// "... or that is just running (it will then run once more)".
TEST(Reschedule, OutOfItsOwnCallbackMakesItPeriodic) {
  VirtualTimeLoop loop;
  std::vector<TimePoint> moments;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  TimerHandle tick;
  tick = loop.call_later(1s, [&, kept = std::move(owned)] {
    moments.push_back(loop.time());
    ++*kept;  // the captures are there each time
    if (moments.size() < 3) {
      EXPECT_TRUE(tick.reschedule(tick.when() + 1s));
    }
  });
  loop.run_until_idle();
  EXPECT_EQ(moments,
            (std::vector{TimePoint(1s), TimePoint(2s), TimePoint(3s)}));
  EXPECT_TRUE(watched.expired()) << "the captures go with the last run";
  EXPECT_FALSE(tick.cancelled());
}

// A timer moved into the past from its own callback runs in the next pass.
TEST(Reschedule, OutOfItsOwnCallbackToThePastWaitsForTheNextPass) {
  VirtualTimeLoop loop;
  std::string order;
  TimerHandle timer;
  timer = loop.call_later(0, [&] {
    order += 't';
    loop.call_soon([&] { order += 's'; });
    if (order.size() < 4) timer.reschedule(loop.time() - 1s);
  });
  run_one_pass(loop);
  EXPECT_EQ(order, "t");
  run_one_pass(loop);
  EXPECT_EQ(order, "tst");
  run_one_pass(loop);
  EXPECT_EQ(order, "tstst");
}

TEST(Reschedule, OutOfItsOwnCallbackStandsIfTheCallbackThrows) {
  VirtualTimeLoop loop;
  int reports = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++reports; });
  int runs = 0;
  TimerHandle timer;
  timer = loop.call_later(1ms, [&] {
    if (++runs < 3) timer.reschedule(loop.time() + 1ms);
    throw 1;
  });
  loop.run_until_idle();
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(reports, 3);
}

TEST(Reschedule, ThenCancelOutOfItsOwnCallbackEndsIt) {
  VirtualTimeLoop loop;
  int runs = 0;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  TimerHandle timer;
  timer = loop.call_later(1ms, [&, kept = std::move(owned)] {
    ++runs;
    EXPECT_TRUE(timer.reschedule(loop.time() + 1ms));
    timer.cancel();
    EXPECT_FALSE(timer.reschedule(loop.time() + 1ms));
    EXPECT_FALSE(watched.expired()) << "it still runs";
  });
  loop.run_until_idle();
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(watched.expired());
}

// It is in the batch that is being run: its place there is given up.
TEST(Reschedule, OfATimerInTheBatchTakesItOut) {
  VirtualTimeLoop loop;
  std::string order;
  TimerHandle timer;
  loop.call_later(0, [&] {
    order += 'a';
    EXPECT_TRUE(timer.reschedule(TimePoint(1s)));
  });
  timer = loop.call_later(0, [&] { order += 't'; });
  loop.call_later(0, [&] { order += 'b'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "ab");
  loop.run_until_idle();
  EXPECT_EQ(order, "abt");
  EXPECT_EQ(loop.time(), TimePoint(1s));
}

TEST(Reschedule, OfATimerInTheBatchTwiceThenCancel) {
  VirtualTimeLoop loop;
  int runs = 0;
  TimerHandle timer;
  loop.call_later(0, [&] {
    EXPECT_TRUE(timer.reschedule(TimePoint(2s)));
    EXPECT_TRUE(timer.reschedule(TimePoint(1s)));
    timer.cancel();
    EXPECT_FALSE(timer.reschedule(TimePoint(1s)));
  });
  timer = loop.call_later(0, [&] { ++runs; });
  loop.run_until_idle();
  EXPECT_EQ(runs, 0);
}

// SystemExit leaves the timer in the ready queue. It is then moved, and comes
// due again, while its old place is still there: it runs once.
TEST(Reschedule, OfATimerThatWaitsSinceAnExceptionRunsItOnce) {
  for (const bool forward : {true, false}) {
    SCOPED_TRACE(forward ? "due again at once" : "due later");
    VirtualTimeLoop loop;
    std::vector<TimePoint> moments;
    loop.call_later(0, [] { throw SystemExit(1); });
    TimerHandle timer =
        loop.call_later(0, [&] { moments.push_back(loop.time()); });
    EXPECT_THROW(run_one_pass(loop), SystemExit);
    const TimePoint when(forward ? 0s : 5s);
    EXPECT_TRUE(timer.reschedule(when));
    loop.run_until_idle();
    EXPECT_EQ(moments, std::vector{when});
  }
}

// "Among equal deadlines it counts as made now": its old place in the queue is
// given up, not kept.
TEST(Reschedule, OfATimerThatWaitsSinceAnExceptionGivesUpItsPlace) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_soon([] { throw SystemExit(1); });
  TimerHandle timer = loop.call_later(0, [&] { order += 't'; });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  loop.call_soon([&] { order += 'a'; });
  loop.call_later(0, [&] { order += 'b'; });
  EXPECT_TRUE(timer.reschedule(loop.time()));
  loop.run_until_idle();
  EXPECT_EQ(order, "abt");
}

// The same, moved by hand between the pieces of a pass, and more than once.
TEST(Reschedule, BetweenThePiecesOfAPassRunsItOnce) {
  VirtualTimeLoop loop;
  int runs = 0;
  TimerHandle timer = loop.call_later(0, [&] { ++runs; });
  for (int round = 0; round < 3; ++round) {
    loop.collect();  // queued
    EXPECT_TRUE(timer.reschedule(loop.time()));
  }
  loop.collect();
  loop.run_ready();
  loop.collect();
  loop.run_ready();
  EXPECT_EQ(runs, 1);
}

// "Returns false, and changes nothing, if it has run or was cancelled."
TEST(Reschedule, AfterTheRunReturnsFalse) {
  VirtualTimeLoop loop;
  int runs = 0;
  TimerHandle timer = loop.call_later(1ms, [&] { ++runs; });
  loop.run_until_idle();
  EXPECT_FALSE(timer.reschedule(TimePoint(1h)));
  EXPECT_EQ(timer.when(), TimePoint(1ms));
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  EXPECT_EQ(runs, 1);
}

TEST(Reschedule, AfterCancelReturnsFalse) {
  VirtualTimeLoop loop;
  TimerHandle timer = loop.call_later(1ms, [] {});
  timer.cancel();
  EXPECT_FALSE(timer.reschedule(TimePoint(1h)));
  EXPECT_EQ(timer.when(), TimePoint(1ms));
  EXPECT_EQ(loop.next_timeout(), Duration::max());
}

// The captures of a timer are destroyed behind its callback: too late.
TEST(Reschedule, FromItsOwnDyingCapturesReturnsFalse) {
  VirtualTimeLoop loop;
  TimerHandle timer;
  int refusals = 0;
  struct Last {
    ~Last() { refusals += !timer.reschedule(TimePoint(1h)); }
    TimerHandle& timer;
    int& refusals;
  };
  timer = loop.call_later(
      0, [last = std::unique_ptr<Last>(new Last{timer, refusals})] {});
  loop.run_until_idle();
  EXPECT_EQ(refusals, 1);

  timer = loop.call_later(
      1s, [last = std::unique_ptr<Last>(new Last{timer, refusals})] {});
  timer.cancel();
  EXPECT_EQ(refusals, 2);
}

// While close() destroys the captures of one timer, another one is moved.
TEST(Reschedule, FromCapturesThatCloseDestroys) {
  struct MovesOther {
    ~MovesOther() { other.reschedule(TimePoint(1h)); }
    TimerHandle& other;
  };
  int runs = 0;
  TimerHandle other;
  VirtualTimeLoop loop;
  loop.call_later(
      1s, [last = std::unique_ptr<MovesOther>(new MovesOther{other})] {});
  other = loop.call_later(2s, [&] { ++runs; });
  // And one whose other is in the ready queue.
  TimerHandle queued;
  loop.call_later(
      0, [last = std::unique_ptr<MovesOther>(new MovesOther{queued})] {});
  queued = loop.call_later(0, [&] { ++runs; });
  loop.collect();
  loop.close();
  EXPECT_TRUE(other.cancelled());
  EXPECT_TRUE(queued.cancelled());
  EXPECT_EQ(runs, 0);
}

}  // namespace
}  // namespace rondo
