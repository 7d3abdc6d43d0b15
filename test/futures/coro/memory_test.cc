// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstddef>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/testing/virtual_time.h"

// What a task that sleeps is made of: 152 bytes of coroutine frame, 136 of
// task and 80 of its entry in the loop; 128 of timer, 20 of the timer's place
// in the heap, and 48 of the future that the timer sets. The rest is malloc's.

namespace rondo {
namespace {

[[maybe_unused]] Coro<void> sleeper() { co_await sleep(3600); }

[[maybe_unused]] std::size_t bytes_in_use() {
  const struct ::mallinfo2 now = ::mallinfo2();
  return now.uordblks + now.hblkhd;
}

TEST(SleepingTask, TakesLessThanSixHundredAndFortyBytesAllIncluded) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SUCCEED() << "a sanitizer's malloc counts otherwise";
#else
  constexpr std::size_t kTasks = 100'000;
  VirtualTimeLoop loop;
  create_task(loop, sleeper());
  loop.run_once();
  const std::size_t before = bytes_in_use();
  for (std::size_t n = 0; n < kTasks; ++n) create_task(loop, sleeper());
  loop.run_once();
  const std::size_t each = (bytes_in_use() - before) / kTasks;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LT(each, 640u);
  EXPECT_EQ(all_tasks(loop).size(), kTasks + 1);
  loop.run_until_idle();
#endif
}

}  // namespace
}  // namespace rondo
