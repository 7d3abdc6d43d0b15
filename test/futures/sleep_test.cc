// SPDX-License-Identifier: MIT
#include "futures/sleep.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

double seconds(const EventLoop& loop) {
  return std::chrono::duration<double>(loop.time().time_since_epoch()).count();
}

// "Waits for `delay`: seconds, or any duration."
TEST(Sleep, TakesSecondsOrAnyDuration) {
  VirtualTimeLoop loop;
  std::vector<double> ends(4);
  const Task<void> tasks[] = {
      create_task(loop, sleep(1)), create_task(loop, sleep(1.5)),
      create_task(loop, sleep(250ms)), create_task(loop, sleep(3s))};
  for (int i = 0; i < 4; ++i) {
    tasks[i].add_done_callback([&, i](AnyFuture) {
      ends[static_cast<std::size_t>(i)] = seconds(loop);
    });
  }
  loop.run_until_idle();
  EXPECT_EQ(ends, (std::vector<double>{1, 1.5, 0.25, 3}));
}

// "The same, and gives `result`."
TEST(Sleep, GivesTheResultItWasGiven) {
  VirtualTimeLoop loop;
  const Task<std::string> text = create_task(loop, sleep(1, std::string("x")));
  const Task<std::unique_ptr<int>> owned =
      create_task(loop, sleep(0, std::make_unique<int>(7)));
  loop.run_until_idle();
  EXPECT_EQ(text.result(), "x");
  EXPECT_EQ(*owned.result(), 7);
}

// "Zero and less is one pass of the loop without a timer."
TEST(Sleep, OfZeroOrLessIsOnePassWithoutATimer) {
  for (const double delay : {0.0, -1.0}) {
    VirtualTimeLoop loop;
    const Task<void> task = create_task(loop, sleep(delay));
    run_one_pass(loop);
    EXPECT_FALSE(task.done());
    EXPECT_FALSE(task.get_awaited());
    EXPECT_TRUE(loop.snapshot().timers.empty());
    run_one_pass(loop);
    EXPECT_TRUE(task.done());
    EXPECT_EQ(seconds(loop), 0);
  }
}

TEST(Sleep, OfTheSameTimeEndsInTheOrderOfTheStarts) {
  VirtualTimeLoop loop;
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    create_task(loop, sleep(1)).add_done_callback([&, name](AnyFuture) {
      order += name;
    });
  }
  loop.run_until_idle();
  EXPECT_EQ(order, "abc");
}

// "A cancel loses nothing: the timer is taken back."
TEST(Sleep, TakesItsTimerBackWhenCancelled) {
  VirtualTimeLoop loop;
  const Task<void> task = create_task(loop, sleep(3600));
  run_one_pass(loop);
  EXPECT_EQ(loop.snapshot().timers.size(), 1u);
  task.cancel();
  run_one_pass(loop);
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(loop.snapshot().timers.empty());
  loop.run_until_idle();
  EXPECT_EQ(seconds(loop), 0);
}

TEST(Sleep, MayBeCancelledInThePassInWhichItEnds) {
  VirtualTimeLoop loop;
  Task<void> task;
  // Its timer comes before that of the sleep, at the same moment.
  loop.call_later(1, [&] { task.cancel(); });
  task = create_task(loop, sleep(1));
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());

  // Behind it: the sleep's future is done, the task has not heard of it.
  task = create_task(loop, sleep(1));
  run_one_pass(loop);
  loop.call_later(1, [&] { task.cancel(); });
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
}

TEST(Sleep, BeforeItsFirstStepIsMovable) {
  VirtualTimeLoop loop;
  Sleep<int> first = sleep(1, 7);
  Sleep<int> second = std::move(first);
  const Task<int> task = create_task(loop, std::move(second));
  loop.run_until_idle();
  EXPECT_EQ(task.result(), 7);
}

TEST(Sleep, ThatIsDroppedUnstartedDoesNothing) {
  VirtualTimeLoop loop;
  {
    [[maybe_unused]] const auto dropped = sleep(1);
  }
  EXPECT_TRUE(loop.snapshot().timers.empty());
}

// "Destroying one that waits takes it back, as a cancel would."
TEST(Sleep, ThatIsDestroyedWhileItWaitsTakesItsTimerBack) {
  VirtualTimeLoop loop;
  Future<void> held;
  {
    auto operation = std::make_unique<Sleep<void>>(sleep(1));
    const Task<void> task = create_task(loop, test::body([&](Resumption& r) {
                                          if (!operation) return Step::done();
                                          return operation->step(r);
                                        }));
    run_one_pass(loop);
    EXPECT_EQ(loop.snapshot().timers.size(), 1u);
    operation.reset();
    EXPECT_TRUE(loop.snapshot().timers.empty());
    task.cancel();
    run_one_pass(loop);
  }
}

TEST(Sleep, ShowsWhatItsTimerWillDo) {
  VirtualTimeLoop loop;
  create_task(loop, sleep(1));
  run_one_pass(loop);
  const std::string text = to_string(loop.snapshot());
  EXPECT_NE(text.find("_set_result_unless_cancelled(<Future pending"),
            std::string::npos)
      << text;
  loop.run_until_idle();
}

}  // namespace
}  // namespace rondo
