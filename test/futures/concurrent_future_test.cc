// SPDX-License-Identifier: MIT
#include "futures/concurrent_future.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "futures/errors.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "reactor/thread_pool.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/at_death.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::AtDeath;
using test::Lines;
using test::thrown_by;

/// `text` with its addresses written as 0x.
std::string without_addresses(std::string text) {
  for (std::size_t at = text.find("0x"); at != std::string::npos;
       at = text.find("0x", at + 2)) {
    std::size_t end = at + 2;
    while (end < text.size() && std::isxdigit(text[end]) != 0) ++end;
    text.erase(at + 2, end - at - 2);
  }
  return text;
}

// -- states -----------------------------------------------------------------

TEST(ConcurrentFuture, GoesFromPendingToRunningToFinished) {
  const ConcurrentFuture<int> future;
  EXPECT_FALSE(future.running());
  EXPECT_FALSE(future.done());
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=pending>");
  EXPECT_TRUE(future.set_running_or_notify_cancel());
  EXPECT_TRUE(future.running());
  EXPECT_FALSE(future.done());
  EXPECT_FALSE(future.cancel()) << "one that runs cannot be cancelled";
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=running>");
  future.set_result(42);
  EXPECT_FALSE(future.running());
  EXPECT_TRUE(future.done());
  EXPECT_FALSE(future.cancelled());
  EXPECT_EQ(future.result(), 42);
  EXPECT_EQ(future.exception(), nullptr);
  EXPECT_FALSE(future.cancel());
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=finished returned int>");
}

TEST(ConcurrentFuture, HoldsAnException) {
  const ConcurrentFuture<void> future;
  future.set_exception(std::invalid_argument("bad"));
  EXPECT_EQ(thrown_by([&] { future.result(); }),
            "std::invalid_argument('bad')");
  EXPECT_EQ(repr(future.exception()), "std::invalid_argument('bad')");
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=finished raised std::invalid_argument>");
  const ConcurrentFuture<void> other;
  other.set_exception(future.exception());
  EXPECT_EQ(repr(other.exception()), "std::invalid_argument('bad')");
}

TEST(ConcurrentFuture, IsCancelledOnce) {
  const ConcurrentFuture<int> future;
  EXPECT_TRUE(future.cancel());
  EXPECT_TRUE(future.cancel());
  EXPECT_TRUE(future.cancelled());
  EXPECT_TRUE(future.done());
  EXPECT_EQ(thrown_by([&] { future.result(); }), "CancelledError()");
  EXPECT_EQ(thrown_by([&] { future.exception(); }), "CancelledError()");
  EXPECT_FALSE(future.set_running_or_notify_cancel());
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=cancelled>");
}

TEST(ConcurrentFuture, RefusesASecondEndInPythonsWords) {
  const ConcurrentFuture<int> future;
  future.set_result(1);
  EXPECT_EQ(without_addresses(thrown_by([&] { future.set_result(2); })),
            "rondo::InvalidStateError('FINISHED: <Future at 0x state=finished "
            "returned int>')");
  const ConcurrentFuture<void> cancelled;
  cancelled.cancel();
  EXPECT_EQ(without_addresses(thrown_by([&] { cancelled.set_result(); })),
            "rondo::InvalidStateError('CANCELLED: <Future at 0x "
            "state=cancelled>')");
  cancelled.set_running_or_notify_cancel();
  EXPECT_EQ(without_addresses(thrown_by(
                [&] { cancelled.set_exception(std::runtime_error("late")); })),
            "rondo::InvalidStateError('CANCELLED_AND_NOTIFIED: <Future at 0x "
            "state=cancelled>')");
  EXPECT_EQ(future.result(), 1);
}

TEST(ConcurrentFuture, RefusesToRunTwice) {
  const ConcurrentFuture<int> future;
  future.set_running_or_notify_cancel();
  EXPECT_EQ(thrown_by([&] { future.set_running_or_notify_cancel(); }),
            "rondo::RuntimeError('Future in unexpected state')");
}

TEST(ConcurrentFuture, IsAValueThatAllCopiesShare) {
  const ConcurrentFuture<int> future;
  const ConcurrentFuture<int> copy = future;
  EXPECT_EQ(copy, future);
  EXPECT_FALSE(copy == ConcurrentFuture<int>());
  copy.set_result(1);
  EXPECT_EQ(future.result(), 1);
}

TEST(ConcurrentFuture, GivesAwayWhatCanOnlyBeMoved) {
  const ConcurrentFuture<std::unique_ptr<int>> future;
  future.set_result(std::make_unique<int>(7));
  EXPECT_EQ(*future.result(), 7);
}

TEST(ConcurrentFuture, StaysPendingIfItsValueCannotBeMade) {
  struct Picky {
    explicit Picky(int n) {
      if (n < 0) throw std::out_of_range("negative");
    }
  };
  const ConcurrentFuture<Picky> future;
  EXPECT_EQ(thrown_by([&] { future.set_result(-1); }),
            "std::out_of_range('negative')");
  EXPECT_FALSE(future.done());
  future.set_result(1);
  EXPECT_TRUE(future.done());
}

// The value's constructor runs without the lock: it may ask the future.
TEST(ConcurrentFuture, CannotBeEndedOrCancelledWhileItsValueIsMade) {
  using Ask = std::function<void()>;
  struct Curious {
    explicit Curious(const Ask& ask) { ask(); }
  };
  const ConcurrentFuture<Curious> future;
  const Ask nothing = [] {};
  std::string second;
  bool cancelled = true;
  const Ask ask = [&] {
    EXPECT_FALSE(future.done());
    cancelled = future.cancel();
    second = thrown_by([&] { future.set_result(nothing); });
  };
  future.set_result(ask);
  EXPECT_FALSE(cancelled);
  EXPECT_EQ(second.substr(0, 40), "rondo::InvalidStateError('FINISHED: <Fut");
  EXPECT_TRUE(future.done());
}

// -- waiting ----------------------------------------------------------------

TEST(ConcurrentFuture, WaitsForAnotherThread) {
  for (int end = 0; end < 3; ++end) {
    const ConcurrentFuture<int> future;
    std::atomic<bool> asked = false;
    std::thread other([&] {
      while (!asked) std::this_thread::yield();
      if (end == 0) future.set_result(42);
      if (end == 1) future.set_exception(std::runtime_error("there"));
      if (end == 2) future.cancel();
    });
    asked = true;
    const std::string thrown =
        thrown_by([&] { EXPECT_EQ(future.result(), 42); });
    other.join();
    EXPECT_EQ(thrown, end == 0   ? "nothing"
                      : end == 1 ? "std::runtime_error('there')"
                                 : "CancelledError()");
  }
}

TEST(ConcurrentFuture, WaitsNoLongerThanItsTimeout) {
  const ConcurrentFuture<int> future;
  EXPECT_EQ(thrown_by([&] { future.result(0); }), "rondo::TimeoutError()");
  EXPECT_EQ(thrown_by([&] { future.result(-1s); }), "rondo::TimeoutError()");
  EXPECT_EQ(thrown_by([&] { future.exception(2ms); }), "rondo::TimeoutError()");
  EXPECT_FALSE(future.done());
  std::thread other([&] { future.set_result(1); });
  EXPECT_EQ(future.result(1h), 1);
  other.join();
  EXPECT_EQ(future.result(0), 1);
  EXPECT_EQ(future.exception(0), nullptr);
}

TEST(ConcurrentFuture, WakesAllWhoWait) {
  const ConcurrentFuture<int> future;
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { sum += future.result(); });
  }
  future.set_result(5);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 40);
}

TEST(ConcurrentFuture, EndsOnceHoweverManyRace) {
  for (int round = 0; round < 200; ++round) {
    const ConcurrentFuture<int> future;
    std::atomic<int> ends = 0;
    std::atomic<int> called = 0;
    future.add_done_callback([&](const auto&) { ++called; });
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        try {
          future.set_result(i);
          ++ends;
        } catch (const InvalidStateError&) {
        }
      });
    }
    const bool cancelled = future.cancel();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(ends, cancelled ? 0 : 1);
    EXPECT_EQ(called, 1);
  }
}

// -- callbacks --------------------------------------------------------------

TEST(ConcurrentFuture, CallsBackInTheOrderAddedOnTheThreadThatEndsIt) {
  const ConcurrentFuture<int> future;
  std::string order;
  std::thread::id where;
  future.add_done_callback([&](const ConcurrentFuture<int>& f) {
    order += 'a';
    where = std::this_thread::get_id();
    EXPECT_EQ(f, future);
    EXPECT_TRUE(f.done());
  });
  future.add_done_callback([&](const ConcurrentFuture<int>&) { order += 'b'; });
  std::thread other([&] { future.set_result(1); });
  const std::thread::id expected = other.get_id();
  other.join();
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(where, expected);
}

TEST(ConcurrentFuture, CallsBackAtOnceIfItIsDone) {
  const ConcurrentFuture<void> future;
  future.cancel();
  bool called = false;
  future.add_done_callback([&](const auto& f) { called = f.cancelled(); });
  EXPECT_TRUE(called);
}

TEST(ConcurrentFuture, LogsWhatACallbackThrowsAndCallsTheNext) {
  LogCapture log;
  const ConcurrentFuture<int> future;
  bool called = false;
  future.add_done_callback(
      [](const auto&) { throw std::runtime_error("in a callback"); });
  future.add_done_callback([&](const auto&) { called = true; });
  future.set_result(1);
  EXPECT_TRUE(called);
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_EQ(without_addresses(log.lines()[0]),
            "error: exception calling callback for <Future at 0x "
            "state=finished returned int>\nstd::runtime_error: in a callback");
}

TEST(ConcurrentFuture, LetsACallbackEndItsThread) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  const ConcurrentFuture<void> future;
  future.add_done_callback([](const auto&) { ::pthread_exit(nullptr); });
  std::string told;
  pool.submit(
      loop, [&] { future.set_result(); },
      [&](std::exception_ptr error) { told = repr(error); });
  loop.run_until_idle();
  EXPECT_EQ(told,
            "rondo::RuntimeError('the job ended its thread (pthread_exit)')");
  EXPECT_EQ(without_addresses(to_string(future)),
            "<Future at 0x state=finished returned None>");
}

TEST(ConcurrentFuture, DestroysItsCallbacksOnceCalledOrDropped) {
  int deaths = 0;
  {
    const ConcurrentFuture<int> future;
    future.add_done_callback([dies = AtDeath([&] { ++deaths; })](auto) {});
    future.set_result(1);
    EXPECT_EQ(deaths, 1);
    const ConcurrentFuture<int> dropped;
    dropped.add_done_callback([dies = AtDeath([&] { ++deaths; })](auto) {});
  }
  EXPECT_EQ(deaths, 2);
}

TEST(ConcurrentFuture, TakesOneAllocation) {
#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
  EXPECT_EQ(test::allocations_of([] {
              const ConcurrentFuture<int> future;
              future.set_result(1);
            }),
            1u);
#endif
}

}  // namespace
}  // namespace rondo
