// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"
#include "test/support/recording_kernel.h"

// One pass step by step (the contract of DESIGN and reactor/README.md), and
// its public pieces: "Calling the pieces gives the same transcript as
// running".

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Waits = std::vector<Duration>;

// -- the steps of a pass -----------------------------------------------------

// Step 1: a cancelled timer neither wakes the loop nor is it counted.
TEST(Pass, FirstForgetsCancelledTimers) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.call_later(1ms, [] {}).cancel();
  loop.call_later(2ms, [] {}).cancel();
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  loop.call_later(7ms, [] {});
  loop.run_once();
  EXPECT_EQ(kernel.waits, Waits{7ms});
  EXPECT_EQ(loop.stats().timers_fired, 1u);
}

// Step 2: "timeout = 0 if anything is ready or the loop is stopping, else the
// time to the next timer, rounded up to the timer resolution".
TEST(Pass, ThenWorksOutHowLongToSleep) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.run_once();                      // nothing at all
  loop.call_later(2'000'001ns, [] {});  // rounded up
  loop.run_once();
  loop.call_later(5ms, [] {});  // something is ready
  loop.call_soon([] {});
  loop.run_once();
  loop.stop();  // stopping
  loop.run_forever();
  kernel.spend(6ms);  // due already
  loop.run_once();
  EXPECT_EQ(kernel.waits, (Waits{Duration::max(), 3ms, 0ms, 0ms, 0ms}));
  EXPECT_EQ(loop.stats().sleeps, 2u);
  EXPECT_EQ(loop.stats().polls, 5u);
}

// Step 3: one wait, whatever happens.
TEST(Pass, ThenAsksTheKernelOnce) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [] {});
  for (int index = 0; index < 100; ++index) loop.call_soon([] {});
  loop.call_later(0, [] {});
  run_one_pass(loop);
  EXPECT_EQ(kernel.waits.size(), 1u);
}

// Steps 4 and 5: "append the handles of ready fds, reader before writer;
// callbacks from other threads; move timers that are due". What was ready
// before stands in front of all; signals stand behind descriptors.
TEST(Pass, ThenQueuesEventsSignalsOtherThreadsAndTimersInThisOrder) {
  VirtualTimeLoop loop;
  std::string order;
  const SocketPair sockets;
  write_text(sockets.b.get(), "x");
  const auto add = [&](const char* name) {
    return [&order, name] { order += std::string(name) + " "; };
  };
  loop.call_later(0, add("timer"));
  loop.call_soon_threadsafe(add("thread"));
  loop.add_signal_handler(SIGUSR2, add("signal"));
  ::raise(SIGUSR2);
  loop.add_writer(sockets.a.get(), add("writer"));
  loop.add_reader(sockets.a.get(), add("reader"));
  loop.call_soon(add("soon"));
  run_one_pass(loop);
  EXPECT_EQ(order, "soon reader writer signal thread timer ");
}

// Step 6: "run exactly as many handles as were ready at this moment, skipping
// cancelled ones".
TEST(Pass, ThenRunsExactlyWhatIsReady) {
  VirtualTimeLoop loop;
  std::string order;
  Handle cancelled;
  loop.call_soon([&] {
    order += 'a';
    cancelled.cancel();
    loop.call_soon([&] { order += 'd'; });
    loop.call_later(-1, [&] { order += 'e'; });
    loop.call_soon_threadsafe([&] { order += 'f'; });
  });
  cancelled = loop.call_soon([&] { order += 'b'; });
  loop.call_later(0, [&] { order += 'c'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "ac");
  run_one_pass(loop);
  EXPECT_EQ(order, "acdfe");
}

// T6: "a callback that reschedules itself cannot starve a socket": the
// descriptor is looked at in each pass.
TEST(Pass, LooksAtDescriptorsHoweverBusyTheCallbacksAre) {
  EventLoop loop;
  const Pipe pipe;
  int rounds = 0;
  std::vector<int> read_in_round;
  std::function<void()> again = [&] {
    if (++rounds % 10 == 0) write_text(pipe.writer.get(), "x");
    if (rounds == 100) loop.stop();
    loop.call_soon([&] { again(); });
  };
  loop.call_soon([&] { again(); });
  loop.add_reader(pipe.reader.get(), [&] {
    read_text(pipe.reader.get());
    read_in_round.push_back(rounds);
  });
  loop.run_forever();
  // The reader runs in the pass behind the write, behind that pass's round.
  EXPECT_EQ(read_in_round,
            (std::vector<int>{11, 21, 31, 41, 51, 61, 71, 81, 91}));
}

// The same for a timer of zero that makes itself again.
TEST(Pass, LooksAtDescriptorsHoweverBusyTheTimersAre) {
  VirtualTimeLoop loop;
  const Pipe pipe;
  int rounds = 0;
  bool was_read = false;
  std::function<void()> again = [&] {
    if (++rounds == 5) write_text(pipe.writer.get(), "x");
    if (rounds < 100) loop.call_later(0, [&] { again(); });
  };
  loop.call_later(0, [&] { again(); });
  loop.add_reader(pipe.reader.get(), [&] {
    read_text(pipe.reader.get());
    EXPECT_EQ(rounds, 5) << "events come before timers";
    was_read = true;
    loop.stop();
  });
  loop.run_forever();
  EXPECT_TRUE(was_read);
}

// -- the pieces --------------------------------------------------------------

// "How long the next poll may sleep: zero if anything is ready or due,
// Duration::max() if only an event can wake the loop. Not rounded."
TEST(NextTimeout, IsWhatTheNextPollMaySleep) {
  VirtualTimeLoop loop;
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  TimerHandle timer = loop.call_later(1'234'567ns, [] {});
  EXPECT_EQ(loop.next_timeout(), 1'234'567ns);
  loop.spend(1'234'566ns);
  EXPECT_EQ(loop.next_timeout(), 1ns);
  loop.spend(1ns);
  EXPECT_EQ(loop.next_timeout(), 0ns);
  timer.reschedule(TimePoint(10s));
  EXPECT_EQ(loop.next_timeout(), 10s - 1'234'567ns);
  timer.cancel();
  EXPECT_EQ(loop.next_timeout(), Duration::max());
  loop.call_at(TimePoint::max(), [] {});
  EXPECT_EQ(loop.next_timeout(), Duration::max()) << "that one never comes";
  loop.call_later(1000h, [] {});
  EXPECT_EQ(loop.next_timeout(), 24h) << "waited for in parts";
  loop.call_soon([] {});
  EXPECT_EQ(loop.next_timeout(), 0ns);
}

TEST(NextTimeout, IsZeroWhenTheLoopIsToStop) {
  EventLoop loop;
  loop.stop();
  EXPECT_EQ(loop.next_timeout(), 0ns);
}

// "Steps 1 to 3: works out how long to sleep, not longer than `at_most`, and
// asks the kernel."
TEST(PollEvents, SleepsNoLongerThanAskedTo) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.poll_events(5ms);
  loop.poll_events(0ms);
  loop.call_later(20ms, [] {});
  loop.poll_events(5ms);
  loop.poll_events(50ms);  // 10 ms have passed by then
  loop.poll_events();
  EXPECT_EQ(kernel.waits, (Waits{5ms, 0ms, 5ms, 15ms, 0ms}));
}

// A deadline of the caller's that is past: "frame_end - now".
TEST(PollEvents, DoesNotSleepForANegativeLimit) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.poll_events(-1ns);
  loop.poll_events(-5ms);
  loop.poll_events(Duration::min());
  EXPECT_EQ(kernel.waits, (Waits{0ms, 0ms, 0ms}));
}

// As long as there are limits, the largest is that of epoll_wait(2).
TEST(PollEvents, TakesAHugeLimit) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.poll_events(Duration::max() - 1ns);
  loop.poll_events(24h * 365);
  ASSERT_EQ(kernel.waits.size(), 2u);
  EXPECT_GE(kernel.waits[0], 24h);
  EXPECT_GE(kernel.waits[1], 24h);
}

// "Does not sleep if anything is ready, or if the last poll's events were not
// collected yet": an edge is told once only, and must not be lost.
TEST(PollEvents, TwiceLosesNoEdge) {
  VirtualTimeLoop loop;
  const Pipe pipe;
  Events seen = Events::kNone;
  loop.watch(pipe.reader.get(), Events::kRead | Events::kEdgeTriggered,
             [&](Events events) { seen = seen | events; });
  loop.call_later(1h, [] {});  // what a poll that finds nothing sleeps for
  write_text(pipe.writer.get(), "x");
  loop.poll_events();
  loop.poll_events();
  loop.poll_events(1h);
  loop.collect();
  loop.run_ready();
  EXPECT_EQ(seen, Events::kRead);
  EXPECT_EQ(loop.time(), TimePoint(0s));
}

// "Steps 4 and 5": nothing runs before run_ready().
TEST(Collect, QueuesAndRunsNothing) {
  VirtualTimeLoop loop;
  std::string order;
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] {
    order += 'e';
    loop.remove_reader(fd.get());
  });
  loop.call_soon_threadsafe([&] { order += 'r'; });
  loop.call_later(0, [&] { order += 't'; });
  loop.poll_events(0s);
  loop.collect();
  EXPECT_EQ(order, "");
  EXPECT_EQ(loop.snapshot().ready.size(), 3u);
  loop.collect();
  EXPECT_EQ(loop.snapshot().ready.size(), 3u) << "nothing is new";
  loop.run_ready();
  EXPECT_EQ(order, "ert");
}

// Without a poll there are no events, but timers and other threads there are.
TEST(Collect, NeedsNoPoll) {
  VirtualTimeLoop loop;
  std::string order;
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] { order += 'e'; });
  loop.call_soon_threadsafe([&] { order += 'r'; });
  loop.call_later(0, [&] { order += 't'; });
  loop.collect();
  loop.run_ready();
  EXPECT_EQ(order, "rt");
}

// "Step 6: runs as many callbacks as are ready now."
TEST(RunReady, RunsWhatIsReadyNow) {
  EventLoop loop;
  std::string order;
  loop.run_ready();  // nothing
  loop.call_soon([&] {
    order += 'a';
    loop.call_soon([&] { order += 'b'; });
  });
  loop.run_ready();
  EXPECT_EQ(order, "a");
  loop.run_ready();
  EXPECT_EQ(order, "ab");
}

// "Once this returns, the reader does not run any more, not even for an event
// that is already reported." And it is no stranger's event either.
TEST(RemoveReader, BetweenPollAndCollectDropsTheEvent) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd(1);
  int runs = 0;
  loop.add_reader(fd.get(), [&] { ++runs; });
  loop.poll_events(0s);
  EXPECT_TRUE(loop.remove_reader(fd.get()));
  loop.collect();
  loop.run_ready();
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(loop.stats().rebuilds, 0u);
}

TEST(RemoveReader, BetweenCollectAndRunDropsTheCallback) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd(1);
  int runs = 0;
  loop.add_reader(fd.get(), [&] { ++runs; });
  loop.poll_events(0s);
  loop.collect();
  EXPECT_TRUE(loop.remove_reader(fd.get()));
  loop.run_ready();
  EXPECT_EQ(runs, 0);
}

// "They may be called from inside a callback of another loop"; the running
// loop is the inner one meanwhile.
TEST(RunOnce, MayBeCalledInsideAnotherLoop) {
  VirtualTimeLoop outer;
  EventLoop inner;
  EventLoop* during = nullptr;
  EventLoop* after = nullptr;
  inner.call_soon([&] { during = &get_running_loop(); });
  outer.call_soon([&] {
    inner.run_once();
    after = &get_running_loop();
  });
  run_one_pass(outer);
  EXPECT_EQ(during, &inner);
  EXPECT_EQ(after, &outer);
}

// An exception leaves both, and both can run again.
TEST(RunOnce, LeavesBothLoopsInOrderWhenItThrows) {
  VirtualTimeLoop outer;
  EventLoop inner;
  int runs = 0;
  inner.call_soon([] { throw SystemExit(); });
  inner.call_soon([&] { ++runs; });
  outer.call_soon([&] { inner.run_once(); });
  EXPECT_THROW(run_one_pass(outer), SystemExit);
  EXPECT_FALSE(inner.is_running());
  EXPECT_FALSE(outer.is_running());
  inner.run_ready();
  EXPECT_EQ(runs, 1);
}

// "Whether stop() was called and the run has not ended yet: for those who run
// the pieces by hand."
TEST(IsStopping, TellsWhoRunsThePiecesToEnd) {
  VirtualTimeLoop loop;
  int passes = 0;
  loop.call_later(1s, [&] { loop.stop(); });
  loop.call_later(2s, [&] { passes = 1000; });
  for (; !loop.is_stopping(); ++passes) loop.run_once();
  EXPECT_EQ(passes, 1);
  EXPECT_EQ(loop.time(), TimePoint(1s));
}

// -- the same transcript -----------------------------------------------------

/// A random program: callbacks, timers and a pipe that make, move and cancel
/// each other. What it does follows from its seed and from the order in which
/// its callbacks run, so one wrong order changes all that follows.
class RandomProgram {
 public:
  RandomProgram(EventLoop& loop, VirtualKernel& clock, std::uint32_t seed)
      : loop_(loop), clock_(clock), random_(seed) {
    for (int index = 0; index < 8; ++index) act();
    loop_.add_reader(pipe_.reader.get(), [this] {
      read_text(pipe_.reader.get());
      note("reader");
      act();
    });
  }

  const std::string& transcript() const { return transcript_; }

 private:
  std::uint32_t below(std::uint32_t limit) {
    return static_cast<std::uint32_t>(random_() % limit);
  }

  void note(const std::string& what) {
    const auto us = loop_.time().time_since_epoch() / 1us;
    transcript_ += what + "@" + std::to_string(us) + " ";
  }

  void act() {
    const std::uint32_t number = made_++;
    if (number == 300) loop_.stop();
    if (number > 400) return;
    const auto callback = [this, number] {
      note(std::to_string(number));
      clock_.spend(Duration(below(400'000)));
      for (std::uint32_t count = below(3); count > 0; --count) act();
    };
    switch (below(8)) {
      case 0:
      case 1:
        handles_.push_back(loop_.call_soon(callback));
        break;
      case 2:
      case 3:
        timers_.push_back(
            loop_.call_later(Duration(below(4'000'000)), callback));
        break;
      case 4:
        loop_.call_soon_threadsafe(callback);
        break;
      case 5:
        write_text(pipe_.writer.get(), "x");
        break;
      case 6:
        if (!handles_.empty()) handles_[below(size(handles_))].cancel();
        break;
      case 7:
        if (!timers_.empty()) {
          timers_[below(size(timers_))].reschedule(loop_.time() +
                                                   Duration(below(4'000'000)));
        }
        break;
    }
    // It goes on whatever happened.
    if (number < 300) timers_.push_back(loop_.call_later(1ms, callback));
  }

  template <class T>
  static std::uint32_t size(const std::vector<T>& items) {
    return static_cast<std::uint32_t>(items.size());
  }

  EventLoop& loop_;
  VirtualKernel& clock_;
  std::mt19937 random_;
  Pipe pipe_;
  std::uint32_t made_ = 0;
  std::vector<Handle> handles_;
  std::vector<TimerHandle> timers_;
  std::string transcript_;
};

/// The transcript of the program `seed`, run by `run`.
template <class Run>
std::string transcript_of(std::uint32_t seed, Run&& run,
                          const LoopOptions& options = LoopOptions()) {
  VirtualKernel kernel;
  EventLoop loop(LoopOptions(options).kernel(kernel));
  RandomProgram program(loop, kernel, seed);
  run(loop);
  return program.transcript();
}

// "Calling the pieces gives the same transcript as running".
TEST(Pieces, GiveTheSameTranscriptAsRunning) {
  for (std::uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string ran =
        transcript_of(seed, [](EventLoop& loop) { loop.run_forever(); });
    EXPECT_GT(std::count(ran.begin(), ran.end(), ' '), 100) << ran;
    const std::string stepped = transcript_of(seed, [](EventLoop& loop) {
      while (!loop.is_stopping()) {
        loop.poll_events();
        loop.collect();
        loop.run_ready();
      }
    });
    EXPECT_EQ(stepped, ran);
    const std::string passed = transcript_of(seed, [](EventLoop& loop) {
      while (!loop.is_stopping()) loop.run_once();
    });
    EXPECT_EQ(passed, ran);
  }
}

// Also when each piece is called more often than needed, and when the loop is
// watched.
TEST(Pieces, GiveTheSameTranscriptWithOthersBetweenThem) {
  class Reader : public LoopObserver {
    void on_callback_begin(EventLoop& loop, const Handle&) override {
      loop.snapshot();
    }
  };
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string ran =
        transcript_of(seed, [](EventLoop& loop) { loop.run_forever(); });
    const std::string stepped = transcript_of(seed, [](EventLoop& loop) {
      Reader reader;
      loop.add_observer(reader);
      while (!loop.is_stopping()) {
        loop.poll_events();
        loop.snapshot();
        loop.poll_events(0s);
        loop.collect();
        loop.next_timeout();
        loop.collect();
        loop.run_ready();
      }
      loop.remove_observer(reader);
    });
    EXPECT_EQ(stepped, ran);
  }
}

}  // namespace
}  // namespace rondo
