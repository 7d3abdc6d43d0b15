// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// How frames follow each other, and how they end.

namespace rondo {
namespace {

using test::end_of;
using test::Lines;

/// Notes its end.
class Local {
 public:
  Local(Lines& log, std::string name) : log_(&log), name_(std::move(name)) {}
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() { log_->push_back("~" + name_); }

 private:
  Lines* log_;
  std::string name_;
};

Coro<void> level(Lines& log, int depth, Future<void> gate) {
  const Local local(log, std::to_string(depth));
  if (depth == 0) {
    co_await gate;
  } else {
    co_await level(log, depth - 1, gate);
  }
  log.push_back("end " + std::to_string(depth));
}

// "Destroys the frames, innermost first."
TEST(CoroStack, DestroysItsFramesInnermostFirst) {
  LogCapture quiet;
  Lines log;
  VirtualTimeLoop loop;
  const Future<void> gate(loop);
  create_task(loop, level(log, 3, gate));
  run_one_pass(loop);
  loop.close();
  EXPECT_EQ(log, (Lines{"~0", "~1", "~2", "~3"}));
  EXPECT_EQ(to_string(gate), "<Future pending>");
}

TEST(CoroStack, DestroysATemporaryOfTheAwaitWithItsFrame) {
  LogCapture quiet;
  Lines log;
  VirtualTimeLoop loop;
  const auto sleeps_with = [](std::shared_ptr<Local> local) -> Coro<void> {
    co_await sleep(1, std::move(local));
  };
  create_task(loop, sleeps_with(std::make_shared<Local>(log, "kept")));
  run_one_pass(loop);
  EXPECT_TRUE(log.empty());
  loop.close();
  EXPECT_EQ(log, (Lines{"~kept"}));
}

// "Cancelled before its first step: the body is never entered."
TEST(CoroStack, IsNeverEnteredIfItIsCancelledBefore) {
  VirtualTimeLoop loop;
  Lines log;
  const Future<void> gate(loop);
  const auto argument = std::make_shared<int>(7);
  const auto holds = [](std::shared_ptr<int>, Lines& lines) -> Coro<void> {
    lines.push_back("entered");
    co_return;
  };
  const Task<void> task = create_task(loop, holds(argument, log));
  EXPECT_EQ(argument.use_count(), 2);
  task.cancel("early");
  run_one_pass(loop);
  EXPECT_EQ(end_of(task), "CancelledError('early')");
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(argument.use_count(), 1);
}

Coro<void> awaits_a_body_that_does_not_look(Lines& log) {
  auto does_not_look = test::body([n = 0](Resumption&) mutable {
    return n++ == 0 ? Step::yield() : Step::done();
  });
  try {
    co_await does_not_look;
    log.push_back("swallowed");
  } catch (const CancelledError&) {
    log.push_back("thrown");
  }
  co_await sleep(0);
  log.push_back("end");
}

// "To be called first, or the cancellation is swallowed."
TEST(CoAwait, OfABodyThatDoesNotLookSwallowsTheCancel) {
  VirtualTimeLoop loop;
  Lines log;
  const Task<void> task =
      create_task(loop, awaits_a_body_that_does_not_look(log));
  run_one_pass(loop);
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"swallowed", "end"}));
  EXPECT_EQ(end_of(task), "done");
}

Coro<int> cancelled_while_it_runs(Lines& log) {
  current_task().cancel();
  Future<int> done(get_running_loop());
  done.set_result(7);
  // Does not go through the loop: nothing is thrown here.
  const int n = co_await done;
  log.push_back(std::to_string(n));
  try {
    co_await sleep(0);
  } catch (const CancelledError&) {
    log.push_back("at the first wait");
  }
  co_return n;
}

TEST(CoAwait, OfWhatIsDoneDoesNotDeliverACancel) {
  VirtualTimeLoop loop;
  Lines log;
  const Task<int> task = create_task(loop, cancelled_while_it_runs(log));
  loop.run_until_idle();
  EXPECT_EQ(log, (Lines{"7", "at the first wait"}));
  EXPECT_EQ(task.result(), 7);
}

// -- want of memory where a task waits ----------------------------------------

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

Coro<int> seven() { co_return 7; }

Coro<int> awaits_a_foreign_future(EventLoop& other, int& failures) {
  try {
    co_await Future<void>(other);
  } catch (const std::bad_alloc&) {
    ++failures;
  } catch (const RuntimeError&) {
  }
  // What follows is another frame: the failed wait is forgotten.
  co_return co_await seven();
}

TEST(CoAwait, GoesOnWhereAWaitFoundNoMemory) {
  int failures = 0;
  for (std::uint64_t nth = 1; nth <= 20; ++nth) {
    VirtualTimeLoop loop;
    EventLoop other;
    const Task<int> task =
        create_task(loop, awaits_a_foreign_future(other, failures));
    {
      const test::FailingAllocations failing(
          nth, test::FailingAllocations::Mode::kOnce);
      loop.run_once();
    }
    loop.run_until_idle();
    ASSERT_TRUE(task.done()) << nth;
    if (end_of(task) != "std::bad_alloc('std::bad_alloc')") {
      EXPECT_EQ(task.result(), 7) << nth;
    }
  }
  EXPECT_GT(failures, 0);
}

#endif

// -- exceptions that are none -------------------------------------------------

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

Coro<void> exits_the_thread() {
  ::pthread_exit(nullptr);
  co_return;
}

Coro<void> awaits_what_exits(int how) {
  if (how == 0) co_await exits_the_thread();
  if (how == 1) {
    co_await test::body([](Resumption&) -> Step { ::pthread_exit(nullptr); });
  }
  if (how == 2) {
    auto exits_late = test::body([n = 0](Resumption&) mutable -> Step {
      if (n++ == 0) return Step::yield();
      ::pthread_exit(nullptr);
    });
    co_await exits_late;
  }
}

TEST(Coro, LetsAThreadExit) {
  for (const int how : {0, 1, 2}) {
    LogCapture quiet;
    EventLoop loop;
    create_task(loop, awaits_what_exits(how));
    EXPECT_FALSE(returns_in_a_thread(loop)) << how;
    EXPECT_FALSE(loop.is_running());
  }
}

}  // namespace
}  // namespace rondo
