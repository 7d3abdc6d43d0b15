// SPDX-License-Identifier: MIT
#include "reactor/loop_options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"
#include "test/support/recording_kernel.h"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Waits = std::vector<Duration>;

// "What was set, or the default."
TEST(LoopOptions, HaveAsynciosDefaults) {
  const LoopOptions options;
  EXPECT_EQ(options.timer_resolution(), 1ms);
  EXPECT_EQ(options.passes_per_poll(), 1u);
  EXPECT_EQ(options.busy_poll(), 0ns);
  EXPECT_FALSE(options.measure_callbacks());
  EXPECT_FALSE(options.debug());
  EXPECT_EQ(&options.kernel(), &linux_kernel());
}

TEST(LoopOptions, KeepWhatWasSet) {
  VirtualKernel kernel;
  const LoopOptions options = LoopOptions()
                                  .timer_resolution(50us)
                                  .passes_per_poll(7)
                                  .busy_poll(20us)
                                  .measure_callbacks(true)
                                  .debug(true)
                                  .kernel(kernel);
  EXPECT_EQ(options.timer_resolution(), 50us);
  EXPECT_EQ(options.passes_per_poll(), 7u);
  EXPECT_EQ(options.busy_poll(), 20us);
  EXPECT_TRUE(options.measure_callbacks());
  EXPECT_TRUE(options.debug());
  EXPECT_EQ(&options.kernel(), &kernel);
}

// "Must be positive.": said in words, and nothing is left open.
TEST(LoopOptions, AreRefusedIfTheyMakeNoSense) {
  ScriptedKernel kernel;
  const auto message = [&](LoopOptions options) -> std::string {
    try {
      EventLoop loop(options.kernel(kernel));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  const std::string resolution = "LoopOptions: timer_resolution must be > 0";
  EXPECT_EQ(message(LoopOptions().timer_resolution(0ns)), resolution);
  EXPECT_EQ(message(LoopOptions().timer_resolution(-1ms)), resolution);
  EXPECT_EQ(message(LoopOptions().passes_per_poll(0)),
            "LoopOptions: passes_per_poll must be > 0");
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// -- timer_resolution --------------------------------------------------------

/// How long a loop of this resolution sleeps for a timer.
Waits sleeps_for(Duration delay, Duration resolution) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).timer_resolution(resolution));
  loop.call_later(delay, [&] { loop.stop(); });
  loop.run_forever();
  return kernel.waits;
}

// "Sleeps end on a multiple of this, rounded up."
TEST(TimerResolution, RoundsSleepsUp) {
  EXPECT_EQ(sleeps_for(1ns, 1ms), Waits{1ms});
  EXPECT_EQ(sleeps_for(1ms, 1ms), Waits{1ms});
  EXPECT_EQ(sleeps_for(1'000'001ns, 1ms), Waits{2ms});
  EXPECT_EQ(sleeps_for(1ms, 10ms), Waits{10ms});
  EXPECT_EQ(sleeps_for(11ms, 10ms), Waits{20ms});
  EXPECT_EQ(sleeps_for(1ms, 1h), Waits{1h});
}

// "A value that is no whole number of milliseconds uses epoll_pwait2(2)".
TEST(TimerResolution, MayBeFinerThanAMillisecond) {
  EXPECT_EQ(sleeps_for(1ns, 50us), Waits{50us});
  EXPECT_EQ(sleeps_for(101us, 50us), Waits{150us});
  EXPECT_EQ(sleeps_for(1'234'567ns, 1ns), Waits{1'234'567ns});
  EXPECT_EQ(sleeps_for(1ms, 1500us), Waits{1500us});
  EXPECT_EQ(sleeps_for(24h * 3, 1ns), (Waits{24h, 24h, 24h}));
}

TEST(TimerResolution, DecidesWhichSystemCallIsUsed) {
  for (const Duration resolution : {1us, 1000us, 1500us, 2000us}) {
    SCOPED_TRACE(resolution.count());
    VirtualKernel clock;
    ScriptedKernel kernel(clock);
    EventLoop loop(LoopOptions().kernel(kernel).timer_resolution(resolution));
    loop.call_later(3ms, [&] { loop.stop(); });
    loop.run_forever();
    const bool fine = resolution % 1ms != 0ns;
    EXPECT_EQ(kernel.calls(KernelCall::kEpollPwait2), fine ? 1u : 0u);
    EXPECT_EQ(kernel.calls(KernelCall::kEpollWait), fine ? 0u : 1u);
  }
}

// R21: "(Linux 5.11; before that, whole milliseconds)", asked for once.
TEST(TimerResolution, FallsBackToMillisecondsOnAnOldKernel) {
  RecordingKernel clock;
  ScriptedKernel kernel(clock);
  kernel.fail(KernelCall::kEpollPwait2, ENOSYS,
              {.times = ScriptedKernel::kForever});
  EventLoop loop(LoopOptions().kernel(kernel).timer_resolution(50us));
  int left = 3;
  std::function<void()> again = [&] {
    if (--left == 0) return loop.stop();
    loop.call_later(1200us, [&] { again(); });
  };
  loop.call_later(1200us, [&] { again(); });
  loop.run_forever();
  EXPECT_EQ(clock.waits, (Waits{2ms, 2ms, 2ms}));
  EXPECT_EQ(kernel.calls(KernelCall::kEpollPwait2), 1u);
}

// "timers made one after the other in one pass then run in one pass, and
// programs rely on the order that follows": a finer clock shows another.
TEST(TimerResolution, DecidesWhichTimersRunTogether) {
  const auto passes = [](Duration resolution) {
    VirtualTimeLoop loop(LoopOptions().timer_resolution(resolution));
    std::vector<std::uint64_t> in_pass;
    for (int index = 0; index < 3; ++index) {
      loop.call_later(10ms, [&] { in_pass.push_back(loop.stats().passes); });
      loop.spend(5us);
    }
    loop.run_until_idle();
    return in_pass.back() - in_pass.front();
  };
  EXPECT_EQ(passes(1ms), 0u);
  EXPECT_EQ(passes(1ns), 2u);
}

// -- passes_per_poll ---------------------------------------------------------

/// A chain of call_soon() of `length`, counted in waits.
std::size_t waits_of_a_chain(unsigned passes_per_poll, int length) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).passes_per_poll(passes_per_poll));
  std::function<void()> next = [&] {
    if (--length == 0) return loop.stop();
    loop.call_soon([&] { next(); });
  };
  loop.call_soon([&] { next(); });
  loop.run_forever();
  EXPECT_EQ(kernel.sleeps(), 0);
  return kernel.waits.size();
}

// "With n, a chain of call_soon() costs an n-th of the system calls".
TEST(PassesPerPoll, SavesSystemCalls) {
  EXPECT_EQ(waits_of_a_chain(1, 100), 100u);
  EXPECT_EQ(waits_of_a_chain(2, 100), 50u);
  EXPECT_EQ(waits_of_a_chain(10, 100), 10u);
}

// "descriptors, other threads and timers wait for up to n passes."
TEST(PassesPerPoll, LetsTheRestWaitForUpToAsManyPasses) {
  constexpr unsigned kPasses = 5;
  VirtualKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).passes_per_poll(kPasses));
  const UniqueFd fd = make_eventfd(1);
  unsigned rounds = 0;
  std::vector<unsigned> seen;
  std::function<void()> again = [&] {
    ++rounds;
    loop.call_soon([&] { again(); });
  };
  again();
  rounds = 0;
  loop.add_reader(fd.get(), [&] {
    seen.push_back(rounds);
    loop.remove_reader(fd.get());
  });
  loop.call_soon_threadsafe([&] { seen.push_back(rounds); });
  loop.call_later(0, [&] {
    seen.push_back(rounds);
    loop.stop();
  });
  loop.run_forever();
  EXPECT_EQ(seen, std::vector(3, kPasses)) << "with the fifth pass";
}

// Only "while callbacks are ready": an idle loop polls, and sleeps, as ever.
TEST(PassesPerPoll, DoesNotKeepTheLoopFromPollingWhenIdle) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).passes_per_poll(1000));
  loop.call_later(5ms, [&] { loop.call_later(7ms, [&] { loop.stop(); }); });
  loop.run_forever();
  EXPECT_EQ(kernel.waits, (Waits{5ms, 7ms}));
  EXPECT_EQ(loop.stats().passes, 2u);
}

// -- busy_poll ---------------------------------------------------------------

/// A clock that moves on by a microsecond with each look.
class TickingKernel : public RecordingKernel {
 public:
  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) noexcept override {
    if (timeout_ms == 0) {
      spend(1us);
      if (++looks == act_at) act();
    }
    return RecordingKernel::epoll_wait(epoll_fd, events, events_max,
                                       timeout_ms);
  }
  int looks = 0;
  int act_at = -1;
  std::function<void()> act;
};

// "How long to look for events without sleeping before the loop sleeps."
TEST(BusyPoll, LooksForAWhileThenSleepsForTheRest) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).busy_poll(20us));
  loop.call_later(5ms, [&] { loop.stop(); });
  loop.run_forever();
  EXPECT_EQ(kernel.looks, 20);
  EXPECT_EQ(kernel.waits.back(), 5ms) << "4.98 ms, rounded up";
  EXPECT_EQ(kernel.waits.size(), 21u);
  EXPECT_EQ(loop.stats().polls, 21u);
  EXPECT_EQ(loop.stats().sleeps, 1u);
}

// "Zero by default": not one look more than needed.
TEST(BusyPoll, IsOffByDefault) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.call_later(5ms, [&] { loop.stop(); });
  loop.run_forever();
  EXPECT_EQ(kernel.looks, 0);
}

TEST(BusyPoll, EndsWithTheFirstEvent) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).busy_poll(1ms));
  const Pipe pipe;
  loop.add_reader(pipe.reader.get(), [&] { loop.stop(); });
  kernel.act_at = 7;
  kernel.act = [&] { write_text(pipe.writer.get(), "x"); };
  loop.run_forever();
  EXPECT_EQ(kernel.looks, 7);
  EXPECT_EQ(loop.stats().sleeps, 0u);
  EXPECT_EQ(loop.stats().polls, 7u);
}

// Another thread's callback is found without a wake-up.
TEST(BusyPoll, EndsWithACallFromAnotherThread) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).busy_poll(1ms));
  kernel.act_at = 7;
  kernel.act = [&] { loop.remote_queue()->post([&] { loop.stop(); }); };
  loop.run_forever();
  EXPECT_EQ(loop.stats().remote_calls, 1u);
  EXPECT_EQ(loop.stats().sleeps, 0u);
  EXPECT_LT(kernel.looks, 20);
}

// A timer ends it too: it is not looked past.
TEST(BusyPoll, EndsWithATimer) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).busy_poll(1ms));
  loop.call_later(30us, [&] { loop.stop(); });
  loop.run_forever();
  EXPECT_EQ(kernel.looks + kernel.sleeps(), kernel.looks)
      << "nothing is left to sleep for";
  EXPECT_LE(loop.time(), TimePoint(40us));
}

// It costs nothing when there is something to do.
TEST(BusyPoll, IsSkippedWhenSomethingIsReady) {
  TickingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel).busy_poll(1ms));
  loop.call_soon([] {});
  run_one_pass(loop);
  EXPECT_EQ(kernel.looks, 1);
}

// -- measure_callbacks -------------------------------------------------------

// LoopStats::callback_time: "Counted while LoopOptions::measure_callbacks,
// debug mode or an observer is on".
TEST(MeasureCallbacks, CountsTheTimeInCallbacks) {
  VirtualTimeLoop loop(LoopOptions().measure_callbacks(true));
  loop.call_soon([&] { loop.spend(3s); });
  loop.call_soon([&] { loop.spend(4s); });
  loop.call_later(1h, [&] { loop.spend(5s); });
  loop.run_until_idle();
  EXPECT_EQ(loop.stats().callback_time, 12s);
}

TEST(MeasureCallbacks, CountsInDebugModeToo) {
  VirtualTimeLoop loop(LoopOptions().debug(true));
  loop.call_soon([&] { loop.spend(3ms); });
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().callback_time, 3ms);
  loop.close();
}

// "two looks at the clock a callback", and none without it.
TEST(MeasureCallbacks, CostsTwoLooksAtTheClockACallback) {
  const auto looks = [](bool measure) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel).measure_callbacks(measure));
    for (int index = 0; index < 10; ++index) loop.call_soon([] {});
    run_one_pass(loop);
    EXPECT_EQ(loop.stats().callbacks, 10u);
    return kernel.calls(KernelCall::kMonotonicNs);
  };
  EXPECT_EQ(looks(false), 0u);
  EXPECT_EQ(looks(true), 20u);
}

// -- kernel ------------------------------------------------------------------

// "The kernel to run on.": all of it.
TEST(LoopOptions, TakeAKernel) {
  VirtualKernel kernel{TimePoint(5s)};
  EventLoop loop(LoopOptions().kernel(kernel));
  EXPECT_EQ(loop.time(), TimePoint(5s));
  kernel.spend(1s);
  EXPECT_EQ(loop.time(), TimePoint(6s));
}

// -- LoopStats ---------------------------------------------------------------

// loop_stats.h, each counter by its sentence.
TEST(LoopStats, CountWhatTheLoopHasDone) {
  VirtualTimeLoop loop;
  loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] { loop.remove_reader(fd.get()); });
  loop.call_soon([] {});
  loop.call_soon([] { throw 1; });
  loop.call_soon([] {}).cancel();
  loop.call_soon_threadsafe([] {});
  loop.call_later(-2ms, [] {});
  loop.run_once();
  loop.call_later(10ms, [] {});
  loop.run_once();
  const LoopStats& stats = loop.stats();
  EXPECT_EQ(stats.passes, 2u);
  EXPECT_EQ(stats.polls, 2u);
  EXPECT_EQ(stats.sleeps, 1u);
  EXPECT_EQ(stats.events, 1u) << "the loop's own wake-ups not counted";
  EXPECT_EQ(stats.callbacks, 6u);
  EXPECT_EQ(stats.exceptions, 1u);
  EXPECT_EQ(stats.timers_fired, 2u);
  EXPECT_EQ(stats.remote_calls, 1u);
  EXPECT_EQ(stats.rebuilds, 0u);
  EXPECT_EQ(stats.lag, 0ns);
  EXPECT_EQ(stats.lag_max, 2ms);
  EXPECT_EQ(stats.callback_time, 0ns) << "nobody measures";
}

// "One line: `passes=12 polls=12 sleeps=3 ...`, times in seconds."
TEST(LoopStats, PrintAsOneLine) {
  LoopStats stats;
  stats.passes = 1;
  stats.polls = 2;
  stats.sleeps = 3;
  stats.events = 4;
  stats.callbacks = 5;
  stats.exceptions = 6;
  stats.timers_fired = 7;
  stats.remote_calls = 8;
  stats.wakeups = 9;
  stats.rebuilds = 10;
  stats.lag = 1'500us;
  stats.lag_max = 2s;
  stats.callback_time = 3'250ms;
  EXPECT_EQ(to_string(stats),
            "passes=1 polls=2 sleeps=3 events=4 callbacks=5 exceptions=6 "
            "timers_fired=7 remote_calls=8 wakeups=9 rebuilds=10 lag=0.001500 "
            "lag_max=2.000000 callback_time=3.250000");
}

}  // namespace
}  // namespace rondo
