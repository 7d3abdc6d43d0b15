// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/scale.h"

// A million nested or ten million sequential awaits do not grow the stack, in
// any build. All of it runs on a thread with a small stack, so
// that one frame for each await would overflow it at once.

namespace rondo {
namespace {

using test::scaled;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStackBytes = std::size_t{1} << 20;
#else
constexpr std::size_t kStackBytes = std::size_t{256} << 10;
#endif

/// Runs `work` on a thread with a stack of kStackBytes.
void on_a_small_stack(std::function<void()> work) {
  ::pthread_attr_t attributes;
  ASSERT_EQ(::pthread_attr_init(&attributes), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  ::pthread_t thread{};
  ASSERT_EQ(::pthread_create(
                &thread, &attributes,
                [](void* argument) -> void* {
                  (*static_cast<std::function<void()>*>(argument))();
                  return nullptr;
                },
                &work),
            0);
  ASSERT_EQ(::pthread_join(thread, nullptr), 0);
  ::pthread_attr_destroy(&attributes);
}

Coro<std::size_t> one() { co_return 1; }

Coro<std::size_t> sequential(std::size_t count) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += co_await one();
  co_return sum;
}

TEST(Depth, TenMillionSequentialAwaitsDoNotGrowTheStack) {
  const std::size_t count = scaled(10'000'000);
  std::size_t sum = 0;
  on_a_small_stack([&] { sum = run(sequential(count)); });
  EXPECT_EQ(sum, count);
}

Coro<std::size_t> futures_that_are_done(std::size_t count) {
  Future<std::size_t> done(get_running_loop());
  done.set_result(1);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += co_await done;
  co_return sum;
}

TEST(Depth, AMillionAwaitsOfADoneFutureDoNotGrowTheStack) {
  const std::size_t count = scaled(1'000'000);
  std::size_t sum = 0;
  on_a_small_stack([&] { sum = run(futures_that_are_done(count)); });
  EXPECT_EQ(sum, count);
}

Coro<std::size_t> operations(std::size_t count) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += co_await test::Returns<std::size_t>(1);
  }
  co_return sum;
}

TEST(Depth, AMillionOperationsThatNeedNotWaitDoNotGrowTheStack) {
  const std::size_t count = scaled(1'000'000);
  std::size_t sum = 0;
  on_a_small_stack([&] { sum = run(operations(count)); });
  EXPECT_EQ(sum, count);
}

enum class Bottom { kReturns, kThrows, kYields, kWaits };

Coro<std::size_t> nested(std::size_t depth, Bottom bottom) {
  if (depth == 0) {
    if (bottom == Bottom::kThrows) throw std::runtime_error("bottom");
    if (bottom == Bottom::kYields) co_await sleep(0);
    if (bottom == Bottom::kWaits) co_await sleep(3600);
    co_return 0;
  }
  const std::size_t below = co_await nested(depth - 1, bottom);
  co_return below + 1;
}

TEST(Depth, AMillionNestedAwaitsDoNotGrowTheStack) {
  const std::size_t depth = scaled(1'000'000);
  for (const Bottom bottom : {Bottom::kReturns, Bottom::kYields}) {
    std::size_t result = 0;
    on_a_small_stack([&] { result = run(nested(depth, bottom)); });
    EXPECT_EQ(result, depth);
  }
}

TEST(Depth, AnExceptionPassesAMillionFrames) {
  std::string thrown;
  on_a_small_stack([&] {
    thrown = test::thrown_by(
        [] { run(nested(scaled(1'000'000), Bottom::kThrows)); });
  });
  EXPECT_EQ(thrown, "std::runtime_error('bottom')");
}

TEST(Depth, ACancelPassesAMillionFrames) {
  bool cancelled = false;
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    const auto task =
        create_task(loop, nested(scaled(1'000'000), Bottom::kWaits));
    loop.advance(std::chrono::seconds(1));
    task.cancel();
    loop.run_until_idle();
    cancelled = task.cancelled();
  });
  EXPECT_TRUE(cancelled);
}

TEST(Depth, AMillionFramesAreDestroyedWhileTheyWait) {
  const std::size_t depth = scaled(1'000'000);
  std::size_t frames = 0;
  LogCapture captured;
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    const auto task = create_task(loop, nested(depth, Bottom::kWaits));
    loop.advance(std::chrono::seconds(1));
    frames = task.get_stack().size();
  });
  EXPECT_EQ(frames, depth + 1);
  EXPECT_EQ(captured.lines().size(), 1u);
}

// -- chains of tasks ----------------------------------------------------------

Coro<void> waits_for(AnyFuture future) { co_await future; }

/// So many tasks, each of which awaits the one before it; the first awaits
/// `future`.
std::vector<Task<void>> chain(EventLoop& loop, const AnyFuture& future,
                              std::size_t length) {
  std::vector<Task<void>> tasks;
  for (std::size_t i = 0; i < length; ++i) {
    tasks.push_back(create_task(
        loop, waits_for(i == 0 ? future : AnyFuture(tasks.back()))));
  }
  return tasks;
}

/// Each link takes a pass, which is more than run_until_idle() stands.
void run_until_done(EventLoop& loop, const AnyFuture& future) {
  future.add_done_callback([&](AnyFuture) { loop.stop(); });
  loop.run_forever();
}

TEST(Depth, AChainOfTasksEndsOneByOne) {
  std::size_t done = 0;
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    const Future<void> future(loop);
    const auto tasks = chain(loop, future, scaled(100'000));
    loop.advance(Duration::zero());
    future.set_result();
    run_until_done(loop, tasks.back());
    for (const auto& task : tasks) done += task.done() ? 1 : 0;
  });
  EXPECT_EQ(done, scaled(100'000));
}

TEST(Depth, AChainOfTasksIsCancelledFromItsEnd) {
  std::size_t cancelled = 0;
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    const Future<void> future(loop);
    const auto tasks = chain(loop, future, scaled(100'000));
    loop.advance(Duration::zero());
    EXPECT_TRUE(tasks.back().cancel());
    EXPECT_TRUE(future.cancelled());
    run_until_done(loop, tasks.back());
    for (const auto& task : tasks) cancelled += task.cancelled() ? 1 : 0;
  });
  EXPECT_EQ(cancelled, scaled(100'000));
}

TEST(Depth, AChainOfTasksIsDestroyedWithItsLoop) {
  LogCapture captured;
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    chain(loop, Future<void>(loop), scaled(100'000));
    loop.advance(Duration::zero());
  });
  EXPECT_EQ(captured.lines().size(), scaled(100'000));
}

/// A future that only its callback keeps, and so on.
TEST(Depth, AChainOfTasksThatNobodyKeepsIsDestroyedAsItEnds) {
  on_a_small_stack([&] {
    VirtualTimeLoop loop;
    const Future<void> future(loop);
    AnyTask last;
    {
      const auto tasks = chain(loop, future, scaled(100'000));
      last = tasks.back();
    }
    loop.advance(Duration::zero());
    future.set_exception(std::runtime_error("passes all of them"));
    run_until_done(loop, last);
    EXPECT_EQ(test::end_of(last), "std::runtime_error('passes all of them')");
  });
}

}  // namespace
}  // namespace rondo
