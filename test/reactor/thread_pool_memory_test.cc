// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <exception>
#include <latch>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "reactor/thread_pool.h"
#include "test/support/allocation.h"

// FAULTS E4 for the thread pool: std::bad_alloc at every allocation.

// The thread sanitizer of clang has an operator new of its own, so there is
// nothing to be tested there.
#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

namespace rondo {
namespace {

using test::FailingAllocations;

/// A pool whose one thread is busy, so that what is submitted stays queued.
class PoolScene {
 public:
  PoolScene() {
    std::latch started(1);
    pool.submit(
        loop,
        [&] {
          started.count_down();
          go_on_.wait();
        },
        [this](auto) { ++completed_; });
    started.wait();
  }
  ~PoolScene() {
    if (!go_on_.try_wait()) go_on_.count_down();
    pool.shutdown();
  }

  std::string state() const {
    return std::to_string(pool.queued()) + " queued, " +
           std::to_string(loop.remote_queue()->external_work()) + " out";
  }

  void expect_works() {
    pool.submit(loop, [] {}, [this](auto) { ++completed_; });
    go_on_.count_down();
    loop.run_until_idle();
    EXPECT_EQ(completed_, 2);
    EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
  }

  VirtualTimeLoop loop;
  ThreadPool pool{1};

 private:
  std::latch go_on_{1};
  int completed_ = 0;
};

class ThreadPoolMemory : public testing::Test {
 protected:
};

/// Fails one allocation of each attempt, the first, then the second... until
/// `attempt()` meets none any more. Returns how many failed.
template <class Attempt>
int fail_one_after_the_other(Attempt attempt) {
  int failures = 0;
  for (;; ++failures) {
    const FailingAllocations failing(failures + 1,
                                     FailingAllocations::Mode::kOnce);
    try {
      attempt();
      return failures;
    } catch (const std::bad_alloc&) {
    }
  }
}

TEST_F(ThreadPoolMemory, LeavesSubmitUndone) {
  VirtualTimeLoop loop;
  int completed = 0;
  ThreadPool pool(2);
  const int failures = fail_one_after_the_other(
      [&] { pool.submit(loop, [] {}, [&](auto) { ++completed; }); });
  EXPECT_GT(failures, 0);
  loop.run_until_idle();
  EXPECT_EQ(completed, 1);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST_F(ThreadPoolMemory, LeavesSubmitToABusyPoolUndone) {
  PoolScene scene;
  const std::string before = scene.state();
  for (const auto mode : {FailingAllocations::Mode::kOnce,
                          FailingAllocations::Mode::kFromThenOn}) {
    const FailingAllocations failing(1, mode);
    EXPECT_THROW(
        scene.pool.submit(scene.loop, [] {}, [](auto) {}), std::bad_alloc);
  }
  EXPECT_EQ(scene.state(), before);
  scene.expect_works();
}

TEST_F(ThreadPoolMemory, LeavesThePoolUnmade) {
  const std::int64_t before = test::live_blocks();
  const int failures = fail_one_after_the_other(
      [] { ThreadPool pool(1, "a name that needs memory of its own"); });
  EXPECT_GT(failures, 0);
  EXPECT_EQ(test::live_blocks(), before);
}

TEST_F(ThreadPoolMemory, IsNotNeededToCancelOrShutDown) {
  PoolScene scene;
  ThreadPool::Ticket ticket = scene.pool.submit(scene.loop, [] {}, [](auto) {});
  EXPECT_EQ(test::allocations_of([&] {
              EXPECT_TRUE(ticket.cancel());
              EXPECT_EQ(scene.pool.queued(), 0u);
              EXPECT_FALSE(scene.pool.shutdown(Duration::zero()));
            }),
            0u);
}

// What a worker has to report must arrive: it tries until there is memory.
TEST_F(ThreadPoolMemory, DoesNotLoseACompletionThatCannotBePosted) {
  VirtualTimeLoop loop;
  ScriptedKernel kernel;
  bool completed = false;
  {
    ThreadPool pool(1, "pool", kernel);
    pool.submit(
        loop,
        [] {
          // For the thread, not for the job: fails what comes after it.
          thread_local std::optional<FailingAllocations> failing;
          failing.emplace(1, FailingAllocations::Mode::kOnce);
        },
        [&](std::exception_ptr error) {
          EXPECT_EQ(error, nullptr);
          completed = true;
        });
    loop.run_until_idle();
  }
  EXPECT_TRUE(completed);
  EXPECT_EQ(kernel.calls(KernelCall::kSleepNs), 1u);
}

}  // namespace
}  // namespace rondo

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN
