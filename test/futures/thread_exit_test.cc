// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>

#include <string>

#include "futures/task.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// pthread_exit(3) out of a task unwinds the stack with an exception of its own,
// which must not be swallowed: the program would be aborted.

namespace rondo {
namespace {

/// Runs `loop` in a thread of its own. Returns whether run_forever() returned;
/// otherwise the thread has ended inside of it.
bool returns_in_a_thread(EventLoop& loop) {
  ::pthread_t thread;
  const auto run = [](void* argument) -> void* {
    static_cast<EventLoop*>(argument)->run_forever();
    return argument;
  };
  EXPECT_EQ(::pthread_create(&thread, nullptr, run, &loop), 0);
  void* result = nullptr;
  ::pthread_join(thread, &result);
  return result == &loop;
}

TEST(Task, LetsAThreadExit) {
  LogCapture quiet;
  EventLoop loop;
  bool others_ran = false;
  const Task<void> task = create_task(
      loop, test::body([](Resumption&) -> Step { ::pthread_exit(nullptr); }));
  loop.call_soon([&] { others_ran = true; });
  EXPECT_FALSE(returns_in_a_thread(loop));
  EXPECT_FALSE(loop.is_running());
  EXPECT_FALSE(current_task(loop));
  run_one_pass(loop);
  EXPECT_TRUE(others_ran);
  EXPECT_FALSE(task.done());
}

}  // namespace
}  // namespace rondo
