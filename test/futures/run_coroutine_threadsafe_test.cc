// SPDX-License-Identifier: MIT
#include "futures/run_coroutine_threadsafe.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"

// Without coroutines: what travels is a TaskBody.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::body;
using test::end_of;
using test::Returns;
using test::thrown_by;
using test::Throws;

/// A loop that runs on a thread of its own until it is destroyed.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop.run_forever(); }) {}
  ~LoopThread() {
    loop.call_soon_threadsafe([this] { loop.stop(); });
    thread_.join();
  }
  EventLoop loop;

 private:
  std::thread thread_;
};

/// Waits for ever; sets `cancelled` when that is cancelled.
auto forever(std::atomic<bool>& cancelled) {
  return body([&cancelled, future = Future<void>()](Resumption& r) mutable {
    if (future) {
      cancelled = is_cancelled_error(r.error());
      r.check();
    }
    r.check();
    future = Future<void>(r.loop());
    return Step::wait(future);
  });
}

TEST(RunCoroutineThreadsafe, GivesTheResultToTheThreadThatWaits) {
  LoopThread other;
  EXPECT_EQ(run_coroutine_threadsafe(other.loop, Returns<int>(5)).result(), 5);
  EXPECT_EQ(run_coroutine_threadsafe(*other.loop.remote_queue(),
                                     Returns<std::string>("text"))
                .result(),
            "text");
  run_coroutine_threadsafe(other.loop, rondo::sleep(1ms)).result();
  EXPECT_EQ(*run_coroutine_threadsafe(other.loop, Returns<std::unique_ptr<int>>(
                                                      std::make_unique<int>(7)))
                 .result(),
            7);
}

TEST(RunCoroutineThreadsafe, CarriesExceptionsBack) {
  LoopThread other;
  const ConcurrentFuture<void> future =
      run_coroutine_threadsafe(other.loop, Throws<std::out_of_range>("none"));
  EXPECT_EQ(thrown_by([&] { future.result(); }), "std::out_of_range('none')");
}

TEST(RunCoroutineThreadsafe, RunsTheTaskOnTheLoopsThread) {
  LoopThread other;
  std::thread::id where;
  run_coroutine_threadsafe(other.loop, body([&](Resumption& r) {
                             r.check();
                             where = std::this_thread::get_id();
                             EXPECT_EQ(&get_running_loop(), &other.loop);
                             return Step::done();
                           }))
      .result();
  EXPECT_NE(where, std::this_thread::get_id());
}

// p51: TimeoutError; the coroutine still runs. forever: cancelled.
TEST(RunCoroutineThreadsafe, ACancelReachesTheTask) {
  LoopThread other;
  std::atomic<bool> cancelled = false;
  const ConcurrentFuture<void> future =
      run_coroutine_threadsafe(other.loop, forever(cancelled));
  EXPECT_EQ(thrown_by([&] { future.result(1ms); }), "rondo::TimeoutError()");
  EXPECT_FALSE(future.done());
  EXPECT_TRUE(future.cancel());
  EXPECT_TRUE(future.cancelled());
  // Behind the cancel, and behind the step in which it arrives.
  while (!cancelled) {
    run_coroutine_threadsafe(other.loop, Returns<int>(0)).result();
  }
}

TEST(RunCoroutineThreadsafe, ACancelMayComeBeforeTheTask) {
  VirtualTimeLoop loop;
  std::atomic<bool> cancelled = false;
  const ConcurrentFuture<void> future =
      run_coroutine_threadsafe(loop, forever(cancelled));
  future.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(cancelled) << "as in asyncio, its first step runs";
}

TEST(RunCoroutineThreadsafe, IsCancelledWithItsTask) {
  VirtualTimeLoop loop;
  std::atomic<bool> cancelled = false;
  const ConcurrentFuture<void> future =
      run_coroutine_threadsafe(loop, forever(cancelled));
  loop.run_once();
  loop.run_once();
  for (const AnyTask& task : all_tasks(loop)) task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(future.cancelled());
}

TEST(RunCoroutineThreadsafe, DropsAResultThatNobodyWantsAnyMore) {
  VirtualTimeLoop loop;
  int reports = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++reports; });
  const ConcurrentFuture<void> future =
      run_coroutine_threadsafe(loop, body([](Resumption& r) -> Step {
                                 if (r.error() != nullptr)
                                   throw std::runtime_error("at the clean-up");
                                 return Step::yield();
                               }));
  loop.run_once();
  loop.run_once();
  future.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(all_tasks(loop).empty());
  EXPECT_EQ(reports, 0);
}

/// A body that does not survive its way to the loop.
struct Fragile {
  using value_type = int;
  Fragile() = default;
  Fragile(Fragile&& other) : moves(other.moves + 1) {
    if (moves == kLast) throw std::runtime_error("broke on the way");
  }
  Step step(Resumption&) { return Step::done(); }
  int result() const { return moves; }
  // To the loop, into its queue, into the task.
  static constexpr int kLast = 3;
  int moves = 0;
};

TEST(RunCoroutineThreadsafe, TellsBothSidesIfNoTaskCanBeMade) {
  VirtualTimeLoop loop;
  std::string report;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& c) {
    report = repr(c.exception);
  });
  const auto future = run_coroutine_threadsafe(loop, Fragile());
  loop.run_until_idle();
  EXPECT_EQ(thrown_by([&] { future.result(0); }),
            "std::runtime_error('broke on the way')");
  EXPECT_EQ(report, "std::runtime_error('broke on the way')");
}

TEST(RunCoroutineThreadsafe, KeepsAnAnswerThatSomebodyElseGave) {
  LogCapture log;
  VirtualTimeLoop loop;
  std::atomic<bool> cancelled = false;
  const auto future = run_coroutine_threadsafe(loop, forever(cancelled));
  loop.run_once();
  loop.run_once();
  future.set_result();
  loop.close();
  EXPECT_EQ(thrown_by([&] { future.result(0); }), "nothing");
}

// -- the loop ends ----------------------------------------------------------

TEST(RunCoroutineThreadsafe, RefusesAClosedLoop) {
  VirtualTimeLoop loop;
  const auto remote = loop.remote_queue();
  loop.close();
  EXPECT_EQ(thrown_by([&] { run_coroutine_threadsafe(loop, Returns<int>(1)); }),
            "rondo::RuntimeError('Event loop is closed')");
  EXPECT_EQ(
      thrown_by([&] { run_coroutine_threadsafe(*remote, Returns<int>(1)); }),
      "rondo::RuntimeError('Event loop is closed')");
}

TEST(RunCoroutineThreadsafe, TellsWhoeverWaitsThatTheLoopHasClosed) {
  LogCapture log;  // Task was destroyed but it is pending!
  VirtualTimeLoop loop;
  std::atomic<bool> cancelled = false;
  const auto begun = run_coroutine_threadsafe(loop, forever(cancelled));
  loop.run_once();
  loop.run_once();
  const auto not_begun = run_coroutine_threadsafe(loop, Returns<int>(1));
  const auto cancelled_before = run_coroutine_threadsafe(loop, Returns<int>(1));
  cancelled_before.cancel();
  loop.close();
  EXPECT_EQ(thrown_by([&] { begun.result(0); }),
            "rondo::RuntimeError('Event loop is closed')");
  EXPECT_EQ(thrown_by([&] { not_begun.result(0); }),
            "rondo::RuntimeError('Event loop is closed')");
  EXPECT_TRUE(cancelled_before.cancelled());
  EXPECT_FALSE(begun.cancel());
}

TEST(RunCoroutineThreadsafe, ACancelOfWhatALoopHasLeftIsNone) {
  LogCapture log;
  auto loop = std::make_unique<VirtualTimeLoop>();
  std::atomic<bool> cancelled = false;
  const auto future = run_coroutine_threadsafe(*loop, forever(cancelled));
  loop.reset();
  EXPECT_FALSE(future.cancel());
}

TEST(RunCoroutineThreadsafe, RacesTheEndOfTheLoop) {
  LogCapture log;
  for (int round = 0; round < 50; ++round) {
    auto loop = std::make_unique<EventLoop>();
    const auto remote = loop->remote_queue();
    std::thread other([&] {
      for (int i = 0; i < 20; ++i) {
        try {
          const auto future =
              run_coroutine_threadsafe(*remote, Returns<int>(i));
          if (i % 3 == 0) future.cancel();
          future.exception();  // comes, whatever happens
        } catch (const RuntimeError&) {
          return;  // refused
        } catch (const CancelledError&) {
        }
      }
    });
    loop->run_once();
    loop->call_later(Duration(round * 20'000), [&] { loop->stop(); });
    loop->run_forever();
    loop.reset();
    other.join();
  }
}

}  // namespace
}  // namespace rondo
