// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "futures/coro/coro.h"
#include "futures/process_pool.h"
#include "futures/run.h"
#include "futures/run_coroutine_threadsafe.h"
#include "futures/run_in_executor.h"
#include "futures/sleep.h"
#include "futures/wrap_future.h"
#include "test/support/log_capture.h"

// Executors as coroutines use them: p50, p51 and p73 in one place each.

namespace rondo {
namespace {

using namespace std::chrono_literals;

int twice(int n) { return 2 * n; }
int fail() { throw std::invalid_argument("there"); }

TEST(ExecutorsInCoroutines, AwaitThreads) {
  const auto work = []() -> Coro<std::string> {
    ThreadPool pool(1);
    EventLoop& loop = get_running_loop();
    const int a = co_await run_in_executor(loop, pool, twice, 1);
    const int b = co_await to_thread(twice, 2);
    std::string text = std::to_string(a) + std::to_string(b);
    try {
      co_await to_thread(fail);
    } catch (const std::invalid_argument& error) {
      text += error.what();
    }
    const ConcurrentFuture<int> source;
    std::thread other([source] { source.set_result(6); });
    const int c = co_await wrap_future(source);
    other.join();
    co_return text + std::to_string(c);
  };
  EXPECT_EQ(run(work()), "24there6");
}

TEST(ExecutorsInCoroutines, AwaitProcesses) {
  ProcessPool pool(2);
  const auto work = [](ProcessPool& own) -> Coro<std::string> {
    EventLoop& loop = get_running_loop();
    const int a = co_await own.submit(loop, twice, 1);
    std::string text = std::to_string(a);
    try {
      co_await own.submit(loop, fail);
    } catch (const std::invalid_argument& error) {
      text += error.what();
    }
    try {
      co_await own.submit(loop, [] { ::_exit(3); });
    } catch (const BrokenWorker& error) {
      text += std::to_string(error.exit_status().value_or(-1));
    }
    co_await own.shutdown(loop);
    co_return text;
  };
  EXPECT_EQ(run(work(pool)), "2there3");
  EXPECT_TRUE(pool.worker_pids().empty());
}

Coro<int> answer() {
  co_await rondo::sleep(1ms);
  co_return 42;
}

Coro<void> forever(std::atomic<bool>& cancelled) {
  try {
    co_await rondo::sleep(1h);
  } catch (const CancelledError&) {
    cancelled = true;
    throw;
  }
}

TEST(ExecutorsInCoroutines, AreRunForAnotherThread) {
  EventLoop loop;
  std::atomic<bool> cancelled = false;
  std::thread other([&] {
    EXPECT_EQ(run_coroutine_threadsafe(loop, answer()).result(), 42);
    const ConcurrentFuture<void> future =
        run_coroutine_threadsafe(loop, forever(cancelled));
    EXPECT_THROW(future.result(1ms), TimeoutError);
    EXPECT_TRUE(future.cancel());
    while (!cancelled) run_coroutine_threadsafe(loop, answer()).result();
    loop.call_soon_threadsafe([&] { loop.stop(); });
  });
  loop.run_forever();
  other.join();
}

TEST(ExecutorsInCoroutines, AreReportedIfTheLoopIsClosed) {
  LogCapture log;
  EventLoop loop;
  loop.close();
  EXPECT_THROW(run_coroutine_threadsafe(loop, answer()), RuntimeError);
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_NE(log.lines()[0].find("was never awaited"), std::string::npos);
}

}  // namespace
}  // namespace rondo
