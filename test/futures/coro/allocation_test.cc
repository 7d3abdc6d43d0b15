// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/internal/block_pool.h"
#include "futures/sleep.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/allocation.h"
#include "test/support/kept_blocks.h"
#include "test/support/one_pass.h"

// Cost is part of the contract: in steady state a yield, a switch between two
// tasks, a spawn and its join, a future's way to its callback, a sleep and the
// await of a Coro allocate nothing.

namespace rondo {
namespace {

using test::allocations;
using test::allocations_of;

constexpr int kWarmUp = 50;
constexpr std::uint64_t kRounds = 300;

/// "Under a sanitizer nothing is kept": there is nothing to be counted there.
class FuturesAllocation : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::keeps_blocks()) {
      GTEST_SKIP() << "under a sanitizer blocks are not kept";
    }
  }

  /// What `pass()` allocates in steady state, in kRounds of it.
  template <class Round>
  static std::uint64_t steady(Round&& round) {
    for (int i = 0; i < kWarmUp; ++i) round();
    return allocations_of([&] {
      for (std::uint64_t i = 0; i < kRounds; ++i) round();
    });
  }

  /// The same for a coroutine that goes on for ever, a pass at a time.
  static std::uint64_t steady_passes(VirtualTimeLoop& loop) {
    const std::uint64_t count = steady([&] { loop.run_once(); });
    for (const AnyTask& task : all_tasks(loop)) task.cancel();
    loop.run_until_idle();
    return count;
  }

  VirtualTimeLoop loop;
};

Coro<void> yields(std::uint64_t& turns) {
  for (;; ++turns) co_await sleep(0);
}

TEST_F(FuturesAllocation, AYieldAllocatesNothing) {
  std::uint64_t turns = 0;
  for (int i = 0; i < 100; ++i) create_task(loop, yields(turns));
  EXPECT_EQ(steady_passes(loop), 0u);
  EXPECT_GE(turns, 100 * kRounds);
}

struct Table {
  Future<void> ball[2];
  std::uint64_t hits = 0;
};

Coro<void> plays(Table& table, EventLoop& on, int me) {
  for (;; ++table.hits) {
    co_await table.ball[me];
    table.ball[me] = Future<void>(on);
    table.ball[1 - me].set_result();
  }
}

TEST_F(FuturesAllocation, APingPongOfTwoTasksAllocatesNothing) {
  Table table;
  for (Future<void>& ball : table.ball) ball = Future<void>(loop);
  create_task(loop, plays(table, loop, 0));
  create_task(loop, plays(table, loop, 1));
  table.ball[0].set_result();
  EXPECT_EQ(steady_passes(loop), 0u);
  EXPECT_GE(table.hits, kRounds);
}

Coro<int> trivial() { co_return 1; }

Coro<void> spawns(std::uint64_t& sum) {
  for (;;) sum += static_cast<std::uint64_t>(co_await create_task(trivial()));
}

TEST_F(FuturesAllocation, ASpawnAndItsJoinAllocateNothing) {
  std::uint64_t sum = 0;
  create_task(loop, spawns(sum));
  EXPECT_EQ(steady_passes(loop), 0u);
  EXPECT_GE(sum, kRounds / 3);
}

Coro<void> calls(std::uint64_t& sum) {
  for (;;) {
    for (int i = 0; i < 10; ++i) {
      sum += static_cast<std::uint64_t>(co_await trivial());
    }
    co_await sleep(0);
  }
}

TEST_F(FuturesAllocation, AwaitingACoroAllocatesNothing) {
  std::uint64_t sum = 0;
  create_task(loop, calls(sum));
  EXPECT_EQ(steady_passes(loop), 0u);
  EXPECT_GE(sum, 10 * kRounds);
}

Coro<void> sleeps(std::uint64_t& naps) {
  for (;; ++naps) co_await sleep(1);
}

TEST_F(FuturesAllocation, ASleepAllocatesNothing) {
  std::uint64_t naps = 0;
  for (int i = 0; i < 10; ++i) create_task(loop, sleeps(naps));
  EXPECT_EQ(steady_passes(loop), 0u);
  EXPECT_GE(naps, kRounds);
}

TEST_F(FuturesAllocation, AFutureOnItsWayToItsCallbackAllocatesNothing) {
  int sum = 0;
  EXPECT_EQ(
      steady([&] {
        for (int i = 0; i < 50; ++i) {
          const Future<int> future(loop);
          future.add_done_callback([&](Future<int> f) { sum += f.result(); });
          future.set_result(1);
        }
        run_one_pass(loop);
      }),
      0u);
  EXPECT_EQ(sum, 50 * (kWarmUp + static_cast<int>(kRounds)));
}

TEST_F(FuturesAllocation, ATaskOverAHandWrittenBodyAllocatesNothing) {
  EXPECT_EQ(steady([&] {
              for (int i = 0; i < 50; ++i) create_task(loop, sleep(0));
              run_one_pass(loop);
              run_one_pass(loop);
            }),
            0u);
}

TEST_F(FuturesAllocation, ACancelAndItsDeliveryAllocateNothing) {
  EXPECT_EQ(steady([&] {
              const Task<void> task = create_task(loop, sleep(3600));
              const Task<int> coro = create_task(loop, trivial());
              run_one_pass(loop);
              task.cancel();
              coro.cancel();
              run_one_pass(loop);
            }),
            // The exception itself: thrown where the body waits, it is the one
            // that every cancel without a message throws.
            0u);
}

Coro<void> takes_its_time() { co_await sleep(1); }

TEST_F(FuturesAllocation, ATimeoutThatIsNotOverAllocatesNothing) {
  EXPECT_EQ(steady([&] {
              create_task(
                  loop, with(timeout_at(loop.time() + std::chrono::seconds(10)),
                             takes_its_time()));
              loop.advance(std::chrono::seconds(2));
            }),
            0u);
}

}  // namespace
}  // namespace rondo
