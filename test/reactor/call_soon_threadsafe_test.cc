// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/at_death.h"
#include "test/support/patience.h"

// What call_soon_threadsafe() promises to one caller at a time. Many callers,
// and callers that race the end of the loop: call_soon_threadsafe_race_test.cc.

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using test::AtDeath;
using test::run_patiently;

/// Runs `body` on a thread of its own, to its end.
template <class Body>
void on_another_thread(Body&& body) {
  std::thread(std::forward<Body>(body)).join();
}

TEST(CallSoonThreadsafe, RunsOnTheThreadOfTheLoop) {
  EventLoop loop;
  std::thread::id ran_on;
  std::thread poster([&] {
    loop.call_soon_threadsafe([&] {
      ran_on = std::this_thread::get_id();
      loop.stop();
    });
  });
  run_patiently(loop);
  poster.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

// H2: nothing else would wake this loop.
TEST(CallSoonThreadsafe, WakesALoopThatSleeps) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  std::latch running(1);
  loop.call_soon([&] { running.count_down(); });
  std::thread poster([&] {
    running.wait();
    loop.call_soon_threadsafe([&] { loop.stop(); });
  });
  run_patiently(loop);
  poster.join();
  EXPECT_EQ(loop.stats().remote_calls, 1u);
  EXPECT_LE(kernel.calls(KernelCall::kWrite), 1u);
}

TEST(CallSoonThreadsafe, RunsInTheOrderPosted) {
  VirtualTimeLoop loop;
  std::string order;
  on_another_thread([&] {
    for (const char name : {'a', 'b', 'c'}) {
      loop.call_soon_threadsafe([&order, name] { order += name; });
    }
  });
  loop.run_until_idle();
  EXPECT_EQ(order, "abc");
}

TEST(CallSoonThreadsafe, QueuesBehindWhatIsReadyWhenTheLoopLooks) {
  VirtualTimeLoop loop;
  std::string order;
  on_another_thread([&] { loop.call_soon_threadsafe([&] { order += 'b'; }); });
  loop.call_soon([&] { order += 'a'; });
  loop.run_until_idle();
  EXPECT_EQ(order, "ab");
}

TEST(CallSoonThreadsafe, QueuesBeforeTimersThatAreDueInTheSamePass) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_later(0ms, [&] { order += 'b'; });
  on_another_thread([&] { loop.call_soon_threadsafe([&] { order += 'a'; }); });
  loop.run_until_idle();
  EXPECT_EQ(order, "ab");
}

TEST(CallSoonThreadsafe, IsCallSoonOnTheThreadOfTheLoop) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_soon([&] {
    loop.call_soon([&] { order += 'a'; });
    loop.call_soon_threadsafe([&] { order += 'b'; });
    loop.call_soon([&] { order += 'c'; });
  });
  loop.run_until_idle();
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(loop.stats().remote_calls, 0u);
}

TEST(CallSoonThreadsafe, DoesNotRunFromInsideTheCall) {
  VirtualTimeLoop loop;
  bool ran = false;
  loop.call_soon([&] {
    loop.call_soon_threadsafe([&] { ran = true; });
    EXPECT_FALSE(ran);
  });
  loop.run_until_idle();
  EXPECT_TRUE(ran);
}

TEST(CallSoonThreadsafe, RefusesAnEmptyCallback) {
  EventLoop loop;
  EXPECT_THROW(loop.call_soon_threadsafe(nullptr), std::invalid_argument);
}

TEST(CallSoonThreadsafe, GivesItsOwnLineToTheExceptionHandler) {
  VirtualTimeLoop loop;
  std::string message;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    message = context.message;
  });
  const int line = __LINE__ + 2;
  on_another_thread([&] {
    loop.call_soon_threadsafe([] { throw std::runtime_error("no"); });
  });
  loop.run_until_idle();
  const std::string where = std::string(__FILE__) + ":" + std::to_string(line);
  EXPECT_NE(message.find(where), std::string::npos) << message;
}

TEST(CallSoonThreadsafe, StopsALoopFromAnotherThread) {
  EventLoop loop;
  std::thread stopper([&] { loop.call_soon_threadsafe([&] { loop.stop(); }); });
  run_patiently(loop);
  stopper.join();
  EXPECT_FALSE(loop.is_running());
}

TEST(CallSoonThreadsafe, EndsABusyPoll) {
  EventLoop loop(LoopOptions().busy_poll(std::chrono::hours(1)));
  std::latch running(1);
  loop.call_soon([&] { running.count_down(); });
  std::thread poster([&] {
    running.wait();
    loop.call_soon_threadsafe([&] { loop.stop(); });
  });
  loop.run_forever();
  poster.join();
  EXPECT_EQ(loop.stats().remote_calls, 1u);
}

// A loop that may skip polls looks for other threads every n-th pass all the
// same.
TEST(CallSoonThreadsafe, IsNotStarvedByAChainThatSkipsPolls) {
  EventLoop loop(LoopOptions().passes_per_poll(7));
  bool posted_ran = false;
  int passes = 0;
  const auto chain = [&](auto& self) -> void {
    if (posted_ran) return loop.stop();
    if (++passes == 1) {
      on_another_thread(
          [&] { loop.call_soon_threadsafe([&] { posted_ran = true; }); });
    }
    ASSERT_LE(passes, 8);
    loop.call_soon([&] { self(self); });
  };
  loop.call_soon([&] { chain(chain); });
  run_patiently(loop);
  EXPECT_TRUE(posted_ran);
}

// -- a loop that does not run ------------------------------------------------

TEST(CallSoonThreadsafe, WaitsForTheFirstRun) {
  EventLoop loop;
  bool ran = false;
  on_another_thread([&] {
    loop.call_soon_threadsafe([&] {
      ran = true;
      loop.stop();
    });
  });
  EXPECT_FALSE(ran);
  run_patiently(loop);
  EXPECT_TRUE(ran);
}

// bellows #745: a loop that was stopped but not closed accepts posts. They are
// not lost: they run when it runs again.
TEST(CallSoonThreadsafe, RunsInTheNextRunWhenTheLoopHasStopped) {
  EventLoop loop;
  loop.call_soon([&] { loop.stop(); });
  run_patiently(loop);
  bool ran = false;
  on_another_thread([&] {
    loop.call_soon_threadsafe([&] {
      ran = true;
      loop.stop();
    });
  });
  EXPECT_FALSE(ran);
  run_patiently(loop);
  EXPECT_TRUE(ran);
}

// The other end of bellows #745: if the loop never runs again, the caller
// learns of it when the captures die, not never.
TEST(CallSoonThreadsafe, DestroysInCloseWhatNeverRan) {
  EventLoop loop;
  loop.call_soon([&] { loop.stop(); });
  run_patiently(loop);
  bool ran = false;
  std::thread::id died_on;
  on_another_thread([&] {
    loop.call_soon_threadsafe([&, dies = AtDeath([&] {
                                    died_on = std::this_thread::get_id();
                                  })] { ran = true; });
  });
  EXPECT_EQ(died_on, std::thread::id());
  loop.close();
  EXPECT_EQ(died_on, std::this_thread::get_id());
  EXPECT_FALSE(ran);
}

// A batch that was taken but not run yet: its captures die in close(), too.
TEST(CallSoonThreadsafe, DestroysInCloseWhatWasTakenButNeverRan) {
  EventLoop loop;
  int deaths = 0;
  on_another_thread([&] {
    for (int i = 0; i < 3; ++i) {
      loop.call_soon_threadsafe([dies = AtDeath([&] { ++deaths; })] {});
    }
  });
  loop.poll_events(Duration::zero());
  loop.collect();
  loop.close();
  EXPECT_EQ(deaths, 3);
}

TEST(CallSoonThreadsafe, ThrowsOnceTheLoopIsClosed) {
  EventLoop loop;
  loop.close();
  int deaths = 0;
  const auto post = [&] {
    try {
      loop.call_soon_threadsafe([dies = AtDeath([&] { ++deaths; })] {});
      ADD_FAILURE() << "accepted by a closed loop";
    } catch (const RuntimeError& error) {
      EXPECT_STREQ(error.what(), "Event loop is closed");
    }
  };
  post();
  on_another_thread(post);
  EXPECT_EQ(deaths, 2);
}

TEST(CallSoonThreadsafe, ThrowsForADestructorThatPostsDuringClose) {
  EventLoop loop;
  std::string message;
  loop.call_soon([dies = AtDeath([&] {
                    try {
                      loop.call_soon_threadsafe([] {});
                    } catch (const RuntimeError& error) {
                      message = error.what();
                    }
                  })] {});
  loop.close();
  EXPECT_EQ(message, "Event loop is closed");
}

}  // namespace
}  // namespace rondo
