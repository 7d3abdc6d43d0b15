// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/failing_steps.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// FAULTS E4: std::bad_alloc at every allocation of every operation. It throws
// and has changed nothing, nothing leaks, and what comes later works. What
// must not need memory (cancel, remove, close, wake) needs none.

// The thread sanitizer of clang has an operator new of its own, so there is
// nothing to be tested there.
#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

namespace rondo {
namespace {

using std::chrono_literals::operator""h;
using test::allocations_of;
using test::fail_each_allocation;
using test::WithoutMemory;

/// A callable too large to be kept in place.
struct Large {
  void operator()() const {}
  void operator()(Events) const {}
  std::array<std::byte, kInlineCaptureBytes + 1> captures{};
};

/// A loop with one of each: something ready, posted, to come, and watched.
class Scene {
 public:
  Scene()
      : ready(loop.call_soon([this] { ++ready_ran; })),
        timer(loop.call_later(1h, [] {})) {
    loop.add_reader(used.a.get(), [this] { ++reader_ran; });
    loop.remote_queue()->post([this] { ++posted_ran; });
    write_text(used.b.get(), "x");
  }

  std::string state() const { return to_string(loop.snapshot()); }

  /// What was there before runs, once, and everything can still be asked for.
  void expect_works() {
    loop.call_soon([] {});
    loop.call_later(1h, Large()).cancel();
    loop.add_writer(fresh.b.get(), [] {});
    loop.call_soon_threadsafe([this] { ++posted_ran; });
    run_one_pass(loop);
    EXPECT_EQ(ready_ran, 1);
    EXPECT_EQ(posted_ran, 2);
    EXPECT_GE(reader_ran, 1);
    loop.close();
  }

  SocketPair used;
  SocketPair fresh;
  EventLoop loop;
  int ready_ran = 0;
  int posted_ran = 0;
  int reader_ran = 0;
  Handle ready;
  TimerHandle timer;
};

/// Not where operator new cannot be replaced: see allocation.h.
class AllocationFailure : public testing::Test {
 protected:
  /// At least one failure, and the strong guarantee after each.
  template <class Operation>
  static void expect_strong(Operation operation) {
    EXPECT_GT(fail_each_allocation<Scene>(WithoutMemory::kThrows, operation),
              0);
  }
};

// -- scheduling --------------------------------------------------------------

TEST_F(AllocationFailure, LeavesCallSoonUndone) {
  expect_strong([](Scene& scene) { scene.loop.call_soon(Large()); });
}

/// Calls `attempt(i)` for each i below `count`, twice where the first finds no
/// memory. Returns how often that was.
template <class Attempt>
int with_a_failure_wherever_it_grows(int count, Attempt attempt) {
  int failures = 0;
  for (int i = 0; i < count; ++i) {
    try {
      const test::FailingAllocations failing(
          1, test::FailingAllocations::Mode::kOnce);
      attempt(i);
    } catch (const std::bad_alloc&) {
      ++failures;
      attempt(i);
    }
  }
  return failures;
}

TEST_F(AllocationFailure, LeavesTheReadyQueueAsItWasWheneverItGrows) {
  EventLoop loop;
  int ran = 0;
  const int failures = with_a_failure_wherever_it_grows(
      3000, [&](int) { loop.call_soon([&] { ++ran; }); });
  EXPECT_GT(failures, 3);
  run_one_pass(loop);
  EXPECT_EQ(ran, 3000);
}

TEST_F(AllocationFailure, LeavesTheTimersAsTheyWereWheneverTheyGrow) {
  VirtualTimeLoop loop;
  int ran = 0;
  bool in_order = true;
  const int failures = with_a_failure_wherever_it_grows(3000, [&](int i) {
    loop.call_later(std::chrono::seconds(i),
                    [&, i] { in_order &= i == ran++; });
  });
  EXPECT_GT(failures, 3);
  loop.run_until_idle();
  EXPECT_EQ(ran, 3000);
  EXPECT_TRUE(in_order);
}

TEST_F(AllocationFailure, LeavesThePostsAsTheyWereWheneverTheyGrow) {
  EventLoop loop;
  int ran = 0;
  bool in_order = true;
  const int failures = with_a_failure_wherever_it_grows(3000, [&](int i) {
    loop.remote_queue()->post([&, i] { in_order &= i == ran++; });
  });
  EXPECT_GT(failures, 3);
  run_one_pass(loop);
  EXPECT_EQ(ran, 3000);
  EXPECT_TRUE(in_order);
}

TEST_F(AllocationFailure, LeavesCallLaterUndone) {
  expect_strong([](Scene& scene) { scene.loop.call_later(2h, Large()); });
}

TEST_F(AllocationFailure, LeavesCallAtUndone) {
  expect_strong(
      [](Scene& scene) { scene.loop.call_at(TimePoint::max(), Large()); });
}

TEST_F(AllocationFailure, LeavesCallSoonThreadsafeUndone) {
  expect_strong([](Scene& scene) {
    scene.loop.call_soon_threadsafe(Large());
    // The queue's two buffers have room for a few.
    for (int i = 0; i < 8; ++i) scene.loop.remote_queue()->post([] {});
  });
}

TEST_F(AllocationFailure, LeavesTheCallbackWithWhoTriesToPost) {
  EventLoop loop;
  bool ran = false;
  Callback callback([&] { ran = true; });
  {
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kOnce);
    EXPECT_THROW(loop.remote_queue()->try_post(callback), std::bad_alloc);
  }
  EXPECT_TRUE(callback);
  EXPECT_TRUE(loop.remote_queue()->try_post(callback));
  run_one_pass(loop);
  EXPECT_TRUE(ran);
}

// A timer that is running has left the heap, and has to come back.
TEST_F(AllocationFailure, LeavesARescheduleUndone) {
  int failures = 0;
  for (int others = 0; others < 200; ++others) {
    VirtualTimeLoop loop;
    int ran = 0;
    TimerHandle timer;
    timer = loop.call_later(1h, [&] {
      if (++ran == 2) return;
      for (int i = 0; i < others; ++i) loop.call_later(3h, [] {});
      try {
        const test::FailingAllocations failing(
            1, test::FailingAllocations::Mode::kOnce);
        timer.reschedule(TimePoint(2h));
      } catch (const std::bad_alloc&) {
        ++failures;
        EXPECT_EQ(timer.when(), TimePoint(1h));
        EXPECT_TRUE(timer.reschedule(TimePoint(2h)));
      }
    });
    loop.run_until_idle();
    EXPECT_EQ(ran, 2);
  }
  EXPECT_GT(failures, 0);
}

// -- descriptors and signals -------------------------------------------------

TEST_F(AllocationFailure, LeavesAddReaderAndAddWriterUndone) {
  expect_strong([](Scene& scene) {
    scene.loop.add_reader(scene.fresh.a.get(), Large());
  });
  expect_strong([](Scene& scene) {
    scene.loop.add_writer(scene.fresh.a.get(), Large());
  });
}

TEST_F(AllocationFailure, KeepsTheReaderThatWasToBeReplaced) {
  expect_strong([](Scene& scene) {
    scene.loop.add_reader(scene.used.a.get(), Large());
    // Only a call that threw is judged: put the old one back.
    scene.loop.add_reader(scene.used.a.get(), [&] { ++scene.reader_ran; });
  });
}

TEST_F(AllocationFailure, LeavesWatchUndone) {
  expect_strong([](Scene& scene) {
    scene.loop.watch(scene.fresh.a.get(), Events::kRead, Large());
  });
}

TEST_F(AllocationFailure, LeavesAddSignalHandlerUndone) {
  expect_strong(
      [](Scene& scene) { scene.loop.add_signal_handler(SIGUSR2, Large()); });
  struct ::sigaction now{};
  ::sigaction(SIGUSR2, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

// -- running -----------------------------------------------------------------

// bad_alloc leaves the run; what was posted stays for the next.
TEST_F(AllocationFailure, LosesNoPostWhenTheyCannotBeQueued) {
  constexpr int kPosts = 1000;
  EventLoop loop;
  int ran = 0;
  bool in_order = true;
  for (int i = 0; i < kPosts; ++i) {
    loop.remote_queue()->post([&, i] { in_order &= i == ran++; });
  }
  std::uint64_t failures = 0;
  for (bool failed = true; failed;) {
    // One allocation later each time, so that there is some progress.
    const test::FailingAllocations failing(
        failures + 1, test::FailingAllocations::Mode::kOnce);
    try {
      run_one_pass(loop);
      failed = false;
    } catch (const std::bad_alloc&) {
      ++failures;
    }
  }
  EXPECT_GT(failures, 0u);
  run_one_pass(loop);
  EXPECT_EQ(ran, kPosts);
  EXPECT_TRUE(in_order);
}

TEST_F(AllocationFailure, LeavesTheLoopUnmade) {
  const std::size_t descriptors = count_open_descriptors();
  for (const bool debug : {false, true}) {
    expect_strong([debug](Scene&) {
      EventLoop other(LoopOptions().debug(debug));
      other.close();
    });
    expect_strong([](Scene&) { new_event_loop(); });
  }
  EXPECT_EQ(count_open_descriptors(), descriptors);
}

// -- reporting ---------------------------------------------------------------

TEST_F(AllocationFailure, KeepsTheExceptionHandlerThatWasToBeReplaced) {
  expect_strong([](Scene& scene) {
    scene.loop.set_exception_handler([large = Large()](auto&, auto&) {});
  });
}

TEST_F(AllocationFailure, LeavesAddObserverAndSnapshotUndone) {
  static LoopObserver observer;
  expect_strong([](Scene& scene) { scene.loop.add_observer(observer); });
  expect_strong([](Scene& scene) { scene.loop.snapshot(); });
  expect_strong([](Scene& scene) { to_string(scene.loop); });
  expect_strong([](Scene& scene) { to_string(scene.timer); });
}

TEST_F(AllocationFailure, LeavesATextOfAContextUnmade) {
  expect_strong([](Scene& scene) {
    ExceptionContext context;
    context.handle = scene.timer;
    context.exception = std::make_exception_ptr(42);
    context.extra.emplace_back("transport", "the one with a very long name");
    to_string(context);
    context.keys();
  });
}

struct SceneThatLogs : Scene {
  LogCapture quiet;
};

// The exception of a callback is reported as well as can be: with the context,
// or in one line on stderr. The loop goes on, with the rest of the batch.
TEST_F(AllocationFailure, DoesNotStopTheLoopThatReportsAnException) {
  testing::internal::CaptureStderr();
  const int failures = fail_each_allocation<SceneThatLogs>(
      WithoutMemory::kDegrades, [](Scene& scene) {
        scene.loop.call_soon([] { throw 42; });
        run_one_pass(scene.loop);
      });
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_GT(failures, 0);
  EXPECT_NE(text.find("no memory to report it"), std::string::npos);
}

struct SceneWithAFailingHandler : SceneThatLogs {
  SceneWithAFailingHandler() {
    loop.set_exception_handler([](auto&, auto&) { throw 7; });
  }
};

// "What the handler throws is logged" (E2): without memory, as well as can be.
TEST_F(AllocationFailure, DoesNotStopTheLoopWhoseExceptionHandlerFails) {
  testing::internal::CaptureStderr();
  const int failures = fail_each_allocation<SceneWithAFailingHandler>(
      WithoutMemory::kDegrades, [](Scene& scene) {
        scene.loop.call_soon([] { throw 42; });
        run_one_pass(scene.loop);
      });
  testing::internal::GetCapturedStderr();
  EXPECT_GT(failures, 0);
}

// What cannot be told from the loop is told on stderr.
TEST_F(AllocationFailure, DoesNotHideALostDescriptor) {
  const LogCapture quiet;
  EventLoop loop;
  SocketPair pair;
  const int fd = pair.a.get();
  loop.add_reader(fd, [] {});
  loop.add_writer(fd, [] {});
  // Handles keep the two entries, or the report would find room in them.
  const Snapshot kept = loop.snapshot();
  pair.a.reset();
  bool removed = false;
  testing::internal::CaptureStderr();
  {
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kFromThenOn);
    try {
      for (;;) loop.call_soon([] {});
    } catch (const std::bad_alloc&) {
      removed = loop.remove_writer(fd);  // finds out about the reader
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "rondo: fd " + std::to_string(fd) + " was lost by the loop\n");
  EXPECT_TRUE(removed);
  EXPECT_FALSE(loop.remove_reader(fd));
}

// -- what needs no memory ----------------------------------------------------

TEST_F(AllocationFailure, CannotMeetWhatAllocatesNothing) {
  Scene scene;
  static LoopObserver observer;
  scene.loop.add_observer(observer);
  scene.loop.add_writer(scene.used.a.get(), [] {});
  scene.loop.watch(scene.fresh.a.get(), Events::kRead, [](Events) {});
  scene.loop.add_signal_handler(SIGUSR2, [] {});
  const auto remote = scene.loop.remote_queue();
  EXPECT_EQ(allocations_of([&] {
              scene.ready.cancel();
              scene.timer.reschedule(TimePoint::max());
              scene.timer.cancel();
              scene.loop.remove_writer(scene.used.a.get());
              scene.loop.modify_watch(scene.fresh.a.get(), Events::kWrite);
              scene.loop.unwatch(scene.fresh.a.get());
              scene.loop.remove_signal_handler(SIGUSR2);
              scene.loop.remove_observer(observer);
              scene.loop.stop();
              remote->wake();
              remote->begin_external_work();
              remote->end_external_work();
              scene.loop.next_timeout();
              scene.loop.set_debug(true);
              scene.loop.set_debug(false);
              scene.loop.close();
            }),
            0u);
}

TEST_F(AllocationFailure, CannotKeepADebugLoopFromBeingDestroyed) {
  LogCapture quiet;
  testing::internal::CaptureStderr();
  for (std::uint64_t nth = 1; nth <= 20; ++nth) {
    auto loop = std::make_unique<EventLoop>(LoopOptions().debug(true));
    const test::FailingAllocations failing(
        nth, test::FailingAllocations::Mode::kFromThenOn);
    loop.reset();  // warns that it was not closed, or tries to
  }
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace rondo

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN
