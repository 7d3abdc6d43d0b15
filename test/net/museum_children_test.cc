// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/process.h"
#include "net/subprocess.h"
#include "reactor/snapshot.h"
#include "test/net/subprocess_pair.h"

// Bugs of others about child processes. Which test is for which bug:
// test/museum.md.

namespace rondo {
namespace {

using test::Calls;
using test::ChildRecorder;
using test::has_children;

SubprocessOptions three_pipes() {
  return SubprocessOptions().stdin(PIPE).stdout(PIPE).stderr(PIPE);
}

// In asyncio a start that is cancelled in the wrong pass waits for ever for
// pipes that nobody connects.
TEST(ChildMuseum, ACancelAtAnyStepOfTheStartLeavesNoChild) {
  bool was_done = false;
  for (int passes = 0; !was_done; ++passes) {
    SCOPED_TRACE(passes);
    ASSERT_LT(passes, 50);
    ScriptedKernel kernel;
    {
      EventLoop loop(LoopOptions().kernel(kernel));
      const Reports reports(loop);
      const auto recorder = std::make_shared<ChildRecorder>();
      auto task = subprocess_shell([&] { return recorder; }, "exec sleep 100",
                                   three_pipes())
                      .start(loop);
      run_passes(loop, passes);
      was_done = task.done();
      task.cancel();
      ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
      EXPECT_EQ(task.cancelled(), !was_done);
      if (was_done) task.take_result().transport->close();
      ASSERT_TRUE(run_until(loop, [&] {
        return recorder->calls.empty() || recorder->count("lost") > 0;
      }));
      ASSERT_TRUE(
          run_until(loop, [&] { return loop.snapshot().descriptors.empty(); }));
      EXPECT_FALSE(has_children());
      EXPECT_EQ(recorder->count("made"), recorder->count("lost"));
      EXPECT_EQ(reports.messages, Calls());
    }
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
}

// Twenty at once, each in another phase of its life, all cancelled in one pass.
TEST(ChildMuseum, ManyThatAreCancelledAtOnceEnd) {
  EventLoop loop;
  const Reports reports(loop);
  std::vector<Task<Process>> starts;
  std::vector<Task<ProcessOutput>> talks;
  std::vector<Process> children;
  for (int n = 0; n < 20; ++n) {
    starts.push_back(
        create_subprocess_shell("exec cat", three_pipes()).start(loop));
    run_passes(loop, 1);
  }
  for (std::size_t n = 0; n < starts.size(); n += 2) {
    if (!run_until(loop, [&] { return starts[n].done(); })) FAIL();
    children.push_back(starts[n].result());
    talks.push_back(children.back().communicate("x").start(loop));
  }
  for (const auto& task : starts) task.cancel();
  for (const auto& task : talks) task.cancel();
  ASSERT_TRUE(run_until(loop, [&] {
    for (const auto& task : starts) {
      if (!task.done()) return false;
    }
    for (const auto& task : talks) {
      if (!task.done()) return false;
    }
    return true;
  }));
  loop.close();
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace rondo
