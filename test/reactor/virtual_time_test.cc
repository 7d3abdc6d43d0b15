// SPDX-License-Identifier: MIT
#include "reactor/testing/virtual_time.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Moments = std::vector<TimePoint>;

// -- VirtualTimeLoop ---------------------------------------------------------

// The header's example.
TEST(VirtualTimeLoop, RunsAnHourOfTimersAtOnce) {
  VirtualTimeLoop loop;
  bool rang = false;
  loop.call_later(1h, [&] { rang = true; });
  loop.advance(1h);
  EXPECT_TRUE(rang);
}

// "A loop at time zero. The options' kernel is not used."
TEST(VirtualTimeLoop, BeginsAtZeroOnAKernelOfItsOwn) {
  VirtualKernel other{TimePoint(5s)};
  VirtualTimeLoop loop(LoopOptions().kernel(other).debug(true));
  EXPECT_EQ(loop.time(), TimePoint(0s));
  EXPECT_TRUE(loop.get_debug()) << "the other options are";
  loop.close();
}

// "Time stands still while callbacks run"; "Moves time on while a callback
// runs, as if it had taken that long."
TEST(VirtualTimeLoop, StandsStillWhileCallbacksRun) {
  VirtualTimeLoop loop;
  Moments moments;
  for (int index = 0; index < 1000; ++index) {
    loop.call_soon([&] { moments.push_back(loop.time()); });
  }
  run_one_pass(loop);
  EXPECT_EQ(moments, Moments(1000, TimePoint(0s)));
  loop.call_soon([&] { loop.spend(3s); });
  run_one_pass(loop);
  EXPECT_EQ(loop.time(), TimePoint(3s));
}

// "it jumps to the next timer when nothing is ready"
TEST(VirtualTimeLoop, JumpsFromTimerToTimer) {
  VirtualTimeLoop loop;
  Moments moments;
  for (const Duration delay : {3s, 1s, 2s}) {
    loop.call_later(delay, [&] { moments.push_back(loop.time()); });
  }
  loop.run_until_idle();
  EXPECT_EQ(moments, (Moments{TimePoint(1s), TimePoint(2s), TimePoint(3s)}));
  EXPECT_EQ(loop.stats().passes, 3u);
}

// "Sleeps are rounded to the timer resolution as on a real loop, so the order
// is the same."
TEST(VirtualTimeLoop, RoundsSleepsAsARealLoop) {
  VirtualTimeLoop loop;
  Moments moments;
  loop.call_later(1'300us, [&] { moments.push_back(loop.time()); });
  loop.call_later(1'600us, [&] { moments.push_back(loop.time()); });
  loop.run_until_idle();
  EXPECT_EQ(moments, Moments(2, TimePoint(2ms)));
  VirtualTimeLoop fine(LoopOptions().timer_resolution(1ns));
  moments.clear();
  fine.call_later(1'300us, [&] { moments.push_back(fine.time()); });
  fine.call_later(1'600us, [&] { moments.push_back(fine.time()); });
  fine.run_until_idle();
  EXPECT_EQ(moments, (Moments{TimePoint(1'300us), TimePoint(1'600us)}));
}

// "Descriptors are real: what is readable is found before time moves."
TEST(VirtualTimeLoop, FindsWhatIsReadableBeforeTimeMoves) {
  VirtualTimeLoop loop;
  const Pipe pipe;
  std::string order;
  loop.call_later(1ns, [&] { order += "timer"; });
  loop.add_reader(pipe.reader.get(), [&] {
    EXPECT_EQ(loop.time(), TimePoint(0s));
    order += read_text(pipe.reader.get()) + " ";
  });
  write_text(pipe.writer.get(), "data");
  loop.run_until_idle();
  EXPECT_EQ(order, "data timer");
}

// It would wait for a clock that stands still.
TEST(VirtualTimeLoop, DoesNotPollBusily) {
  VirtualTimeLoop loop(LoopOptions().busy_poll(1ms));
  int runs = 0;
  loop.call_later(10ms, [&] { ++runs; });
  loop.advance(10ms);
  EXPECT_EQ(runs, 1);
}

// -- advance -----------------------------------------------------------------

// "Runs the loop until `duration` has passed, with all that is due in it"
TEST(Advance, RunsWhatIsDueAndNoMore) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_soon([&] { order += '0'; });
  loop.call_later(1s, [&] { order += '1'; });
  loop.call_later(2s, [&] { order += '2'; });
  loop.call_later(2s + 1ns, [&] { order += '!'; });
  loop.advance(0s);
  EXPECT_EQ(order, "0");
  loop.advance(1500ms);
  EXPECT_EQ(order, "01");
  EXPECT_EQ(loop.time(), TimePoint(1500ms));
  loop.advance(500ms);
  EXPECT_EQ(order, "012");
  EXPECT_EQ(loop.time(), TimePoint(2s));
}

// "... and what that schedules for the same moment"
TEST(Advance, RunsWhatIsScheduledForTheSameMoment) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_later(1s, [&] {
    order += 'a';
    loop.call_soon([&] {
      order += 'b';
      loop.call_later(0, [&] { order += 'c'; });
    });
    loop.call_later(1ms, [&] { order += '!'; });
  });
  loop.advance(1s);
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(loop.time(), TimePoint(1s));
}

TEST(Advance, TakesAsLongAsItsCallbacks) {
  VirtualTimeLoop loop;
  loop.call_later(1s, [&] { loop.spend(5s); });
  loop.advance(2s);
  EXPECT_EQ(loop.time(), TimePoint(6s));
}

TEST(Advance, OnALoopWithNothingToDoMovesTheClock) {
  VirtualTimeLoop loop;
  loop.advance(24h * 30);
  EXPECT_EQ(loop.time(), TimePoint(24h * 30));
}

TEST(Advance, OfLessThanNothingRunsWhatIsReady) {
  VirtualTimeLoop loop;
  int runs = 0;
  loop.call_soon([&] { ++runs; });
  loop.advance(-1s);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(loop.time(), TimePoint(0s));
}

// "... or until stop()"
TEST(Advance, EndsAtStop) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_later(1s, [&] {
    order += 'a';
    loop.stop();
  });
  loop.call_later(1s, [&] { order += 'b'; });
  loop.call_later(2s, [&] { order += 'c'; });
  loop.advance(1h);
  EXPECT_EQ(order, "ab") << "the pass is run to its end";
  EXPECT_EQ(loop.time(), TimePoint(1s));
  EXPECT_FALSE(loop.is_stopping());
  loop.advance(1h);
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(loop.time(), TimePoint(1s + 1h)) << "the first one left nothing";
}

TEST(Advance, LeavesNothingBehindWhenItThrows) {
  VirtualTimeLoop loop;
  loop.call_later(1s, [] { throw SystemExit(); });
  EXPECT_THROW(loop.advance(1h), SystemExit);
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  loop.run_until_idle();
  EXPECT_EQ(loop.time(), TimePoint(1s));
}

// -- run_until_idle ----------------------------------------------------------

// "Runs until nothing is ready, no timer is left and no external work is out"
TEST(RunUntilIdle, RunsAllThereIs) {
  VirtualTimeLoop loop;
  int runs = 0;
  std::function<void()> again = [&] {
    if (++runs < 100) loop.call_later(1h, [&] { again(); });
    if (runs == 100) loop.call_soon([&] { ++runs; });
  };
  again();
  loop.run_until_idle();
  EXPECT_EQ(runs, 101);
  EXPECT_EQ(loop.time(), TimePoint(99h));
}

TEST(RunUntilIdle, ReturnsAtOnceWhenThereIsNothing) {
  VirtualTimeLoop loop;
  loop.run_until_idle();
  const UniqueFd fd = make_eventfd(0);
  loop.add_reader(fd.get(), [] {});  // waits for somebody else
  loop.run_until_idle();
  EXPECT_EQ(loop.time(), TimePoint(0s));
}

// "Timers that never come (TimePoint::max()) do not count."
TEST(RunUntilIdle, DoesNotWaitForWhatNeverComes) {
  VirtualTimeLoop loop;
  int runs = 0;
  loop.call_at(TimePoint::max(), [&] { runs += 100; });
  loop.call_later(1s, [&] { ++runs; });
  loop.run_until_idle();
  EXPECT_EQ(runs, 1);
}

// "... or until stop()", from a callback that is ready or a timer, or before.
TEST(RunUntilIdle, EndsAtStop) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_soon([&] {
    order += 'a';
    loop.stop();
  });
  loop.call_later(1s, [&] {
    order += 'b';
    loop.stop();
  });
  loop.call_later(2s, [&] { order += 'c'; });
  loop.run_until_idle();
  EXPECT_EQ(order, "a");
  EXPECT_FALSE(loop.is_stopping());
  loop.run_until_idle();
  EXPECT_EQ(order, "ab");
  loop.stop();
  loop.run_until_idle();
  EXPECT_EQ(order, "ab");
  loop.run_until_idle();
  EXPECT_EQ(order, "abc");
}

// -- callbacks without end ---------------------------------------------------

/// What `run` says of a callback that schedules itself, without a moment
/// passing. A test that would hang gives up.
template <class Schedule, class Run>
std::string complaint(Schedule&& schedule, Run&& run) {
  VirtualTimeLoop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds > 3 * VirtualTimeLoop::kPassesMax) throw SystemExit();
    schedule(loop, [&] { again(); });
  };
  again();
  try {
    run(loop);
  } catch (const RuntimeError& error) {
    EXPECT_GE(rounds, VirtualTimeLoop::kPassesMax) << "too early";
    return error.what();
  } catch (const SystemExit&) {
    return "it does not notice";
  }
  return "nothing thrown";
}

// "Throws RuntimeError if callbacks keep scheduling each other without time
// moving on (after kPassesMax passes)."
TEST(VirtualTimeLoop, ThrowsWhenCallbacksKeepSchedulingEachOther) {
  const std::string expected =
      "callbacks keep scheduling each other: 100000 passes without time moving "
      "on";
  const auto soon = [](EventLoop& loop, auto f) { loop.call_soon(f); };
  const auto at_once = [](EventLoop& loop, auto f) { loop.call_later(0, f); };
  const auto idle = [](VirtualTimeLoop& loop) { loop.run_until_idle(); };
  const auto advance = [](VirtualTimeLoop& loop) { loop.advance(1s); };
  const auto stay = [](VirtualTimeLoop& loop) { loop.advance(0s); };
  EXPECT_EQ(complaint(soon, idle), expected);
  EXPECT_EQ(complaint(soon, advance), expected);
  EXPECT_EQ(complaint(soon, stay), expected);
  EXPECT_EQ(complaint(at_once, idle), expected);
  EXPECT_EQ(complaint(at_once, advance), expected);
}

// A long program is no endless one: the count begins anew with each moment.
TEST(VirtualTimeLoop, DoesNotMindManyPassesOfManyMoments) {
  VirtualTimeLoop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds == 3 * VirtualTimeLoop::kPassesMax) return;
    const bool moves = rounds % 1000 == 0;
    if (moves) {
      loop.call_later(1ms, [&] { again(); });
    } else {
      loop.call_soon([&] { again(); });
    }
  };
  again();
  loop.run_until_idle();
  EXPECT_EQ(rounds, 3 * VirtualTimeLoop::kPassesMax);
}

// -- work in other threads ---------------------------------------------------

// "Time stands still [...] while a thread-pool job of this loop is out
// (RemoteQueue::begin_external_work)".
TEST(VirtualTimeLoop, DoesNotJumpWhileWorkIsOut) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_later(1h, [&] { order += "timer"; });
  const std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
  remote->begin_external_work();
  std::thread worker([&] {
    // Not needed for the result: it gives a wrong clock time to jump.
    std::this_thread::sleep_for(10ms);
    remote->post([&] {
      EXPECT_EQ(loop.time(), TimePoint(0s));
      order += "work ";
    });
    remote->end_external_work();
  });
  loop.run_until_idle();
  worker.join();
  EXPECT_EQ(order, "work timer");
}

// "no external work is out": it is waited for even with nothing else to do.
TEST(RunUntilIdle, WaitsForExternalWork) {
  VirtualTimeLoop loop;
  bool worked = false;
  const std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
  remote->begin_external_work();
  std::thread worker([&] {
    std::this_thread::sleep_for(10ms);
    remote->post([&] { worked = true; });
    remote->end_external_work();
  });
  loop.run_until_idle();
  worker.join();
  EXPECT_TRUE(worked);
  EXPECT_EQ(loop.time(), TimePoint(0s));
}

// Work that posts nothing ends the wait too.
TEST(RunUntilIdle, NoticesWorkThatEndsWithoutAWord) {
  VirtualTimeLoop loop;
  int runs = 0;
  loop.call_later(1s, [&] { ++runs; });
  const std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
  remote->begin_external_work();
  std::thread worker([remote] { remote->end_external_work(); });
  loop.run_until_idle();
  worker.join();
  EXPECT_EQ(runs, 1);
}

// -- VirtualKernel -----------------------------------------------------------

// "A kernel whose clock stands still, except that a wait for events in which
// nothing happens moves it on by its whole timeout at once."
TEST(VirtualKernel, MovesItsClockByWaiting) {
  VirtualKernel kernel{TimePoint(5s)};
  const UniqueFd epoll(kernel.epoll_create());
  ::epoll_event events[1];
  EXPECT_EQ(kernel.monotonic_ns(), 5'000'000'000);
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), events, 1, 0), 0);
  EXPECT_EQ(kernel.monotonic_ns(), 5'000'000'000);
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), events, 1, 1500), 0);
  EXPECT_EQ(kernel.monotonic_ns(), 6'500'000'000);
  EXPECT_EQ(kernel.epoll_pwait2(epoll.get(), events, 1, 7), 0);
  EXPECT_EQ(kernel.monotonic_ns(), 6'500'000'007);
  EXPECT_EQ(kernel.sleep_ns(3), 0);
  EXPECT_EQ(kernel.monotonic_ns(), 6'500'000'010);
  // "Moves the clock by hand"
  kernel.spend(1s);
  EXPECT_EQ(kernel.monotonic_ns(), 7'500'000'010);
}

TEST(VirtualKernel, LeavesTheClockAloneWhenSomethingHappens) {
  VirtualKernel kernel;
  const UniqueFd epoll(kernel.epoll_create());
  const UniqueFd fd = make_eventfd(1);
  ::epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(kernel.epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event), 0);
  ::epoll_event events[1];
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), events, 1, 1500), 1);
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), events, 1, -1), 1) << "for ever";
  EXPECT_EQ(kernel.epoll_pwait2(epoll.get(), events, 1, 1500), 1);
  EXPECT_EQ(kernel.monotonic_ns(), 0);
}

// An error is no time passed.
TEST(VirtualKernel, LeavesTheClockAloneOnAnError) {
  VirtualKernel kernel;
  ::epoll_event events[1];
  EXPECT_LT(kernel.epoll_wait(-1, events, 1, 1500), 0);
  EXPECT_EQ(kernel.monotonic_ns(), 0);
}

// T8: its clock has an end, and stays there.
TEST(VirtualKernel, StopsAtTheEndOfTheClock) {
  VirtualKernel kernel{TimePoint::max() - 1s};
  const UniqueFd epoll(kernel.epoll_create());
  ::epoll_event events[1];
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), events, 1, 2000), 0);
  EXPECT_EQ(kernel.monotonic_ns(), INT64_MAX);
  kernel.sleep_ns(1);
  EXPECT_EQ(kernel.monotonic_ns(), INT64_MAX);
  kernel.spend(1s);
  EXPECT_EQ(kernel.monotonic_ns(), INT64_MAX);
}

}  // namespace
}  // namespace rondo
