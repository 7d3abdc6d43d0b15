// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "futures/as_completed.h"
#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/internal/block_pool.h"
#include "futures/race.h"
#include "futures/run.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "futures/wait_for.h"
#include "reactor/context.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/failing_steps.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// std::bad_alloc at every allocation of every operation, once and
// from then on. It throws and has changed nothing, nothing leaks, and what
// comes later works.

// The thread sanitizer of clang has an operator new of its own, so there is
// nothing to be tested there.
#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

namespace rondo {
namespace {

using test::end_of;
using test::fail_each_allocation;
using test::FailingAllocations;
using test::live_blocks;
using test::WithoutMemory;

/// Gives back what the block pool of this thread keeps, so that the next block
/// of any size is asked of operator new.
void empty_the_block_pool() {
  for (std::size_t bytes = 16; bytes <= detail::kBlockBytesMax; bytes += 16) {
    bool was_kept = true;
    while (was_kept) {
      void* block = nullptr;
      was_kept = test::allocations_of(
                     [&] { block = detail::allocate_block(bytes); }) == 0;
      ::operator delete(block);
    }
  }
}

/// Before and after a scene, the block pool is empty.
struct EmptyPool {
  EmptyPool() { empty_the_block_pool(); }
  EmptyPool(const EmptyPool&) = delete;
  EmptyPool& operator=(const EmptyPool&) = delete;
  ~EmptyPool() { empty_the_block_pool(); }
};

/// A loop with a future that has a callback, one that is done, and a task that
/// waits.
class Scene {
 public:
  Scene() : pending(loop), done(loop), waiting(create_task(loop, sleep(1, 7))) {
    pending.add_done_callback([this](AnyFuture) { ++called; });
    done.set_result(7);
    run_one_pass(loop);
  }

  std::string state() const {
    return to_string(loop.snapshot()) + to_string(pending) + to_string(done) +
           to_string(waiting) + std::to_string(all_tasks().size());
  }
  std::vector<AnyTask> all_tasks() const { return rondo::all_tasks(own()); }
  VirtualTimeLoop& own() const { return const_cast<Scene*>(this)->loop; }

  void expect_works() {
    if (!pending.done()) pending.set_result(1);
    const Task<int> later = create_task(loop, sleep(1, 8));
    const auto both = gather(loop, later, waiting);
    loop.run_until_idle();
    EXPECT_EQ(called, 1);
    if (!waiting.cancelled()) {
      EXPECT_EQ(both.result(), std::make_tuple(8, 7));
    }
    EXPECT_TRUE(rondo::all_tasks(loop).empty());
  }

  EmptyPool empty_pool;
  LogCapture quiet;
  VirtualTimeLoop loop;
  Future<int> pending;
  Future<int> done;
  Task<int> waiting;
  int called = 0;
};

/// At least one failure, and the strong guarantee after each.
template <class Operation>
void expect_strong(Operation operation) {
  EXPECT_GT(fail_each_allocation<Scene>(WithoutMemory::kThrows, operation), 0);
}

struct Large {
  void operator()(AnyFuture) const {}
  char captures[kInlineCaptureBytes + 1] = {};
};

TEST(FuturesAllocationFailure, LeavesAFutureUnmade) {
  expect_strong([](Scene& scene) { const Future<int> future(scene.loop); });
  expect_strong([](Scene& scene) {
    const auto future = create_future<std::string>(scene.loop);
  });
}

TEST(FuturesAllocationFailure, LeavesACallbackUnadded) {
  expect_strong([](Scene& scene) { scene.pending.add_done_callback(Large()); });
  expect_strong([](Scene& scene) { scene.done.add_done_callback(Large()); });
}

TEST(FuturesAllocationFailure, LeavesACancelWithAMessageUndone) {
  expect_strong(
      [](Scene& scene) { scene.pending.cancel(std::string(100, 'x')); });
  expect_strong(
      [](Scene& scene) { scene.waiting.cancel(std::string(100, 'x')); });
}

TEST(FuturesAllocationFailure, LeavesAResultUnset) {
  expect_strong([](Scene& scene) {
    const Future<std::string> future(scene.loop);
    future.set_result(std::string(100, 'x'));
  });
}

Coro<int> answer() { co_return 42; }

TEST(FuturesAllocationFailure, LeavesATaskUnmade) {
  for (const bool eager : {false, true}) {
    expect_strong([&](Scene& scene) {
      create_task(scene.loop, test::Returns(7),
                  TaskOptions().eager_start(eager));
    });
    expect_strong([&](Scene& scene) {
      create_task(scene.loop, answer(), TaskOptions().eager_start(eager));
    });
  }
}

TEST(FuturesAllocationFailure, LeavesANamedTaskUnmade) {
  const TaskOptions options = TaskOptions().name(std::string(100, 'n'));
  expect_strong(
      [&](Scene& scene) { create_task(scene.loop, answer(), options); });
  expect_strong(
      [&](Scene& scene) { scene.waiting.set_name(std::string(100, 'n')); });
}

// What is made while there is a ContextVar has a context.
TEST(FuturesAllocationFailure, LeavesWhatHasAContextUnmade) {
  const ContextVar<int> variable("variable", 0);
  for (const bool eager : {false, true}) {
    expect_strong([&](Scene& scene) {
      create_task(scene.loop, test::Returns(7),
                  TaskOptions().eager_start(eager));
    });
  }
  expect_strong([](Scene& scene) { scene.pending.add_done_callback(Large()); });
}

TEST(FuturesAllocationFailure, LeavesAShieldUnmade) {
  expect_strong([](Scene& scene) { shield(scene.pending); });
}

TEST(FuturesAllocationFailure, LeavesAGatherUnmade) {
  expect_strong(
      [](Scene& scene) { gather(scene.loop, scene.pending, scene.done); });
  expect_strong([](Scene& scene) {
    const std::vector<Future<int>> both = {scene.pending, scene.done};
    gather(scene.loop, return_exceptions, both);
  });
}

TEST(FuturesAllocationFailure, LeavesTextsUnmade) {
  expect_strong([](Scene& scene) { to_string(scene.waiting); });
  expect_strong([](Scene& scene) { to_string(scene.pending); });
  expect_strong([](Scene& scene) { AnyTask(scene.waiting).format_stack(); });
  expect_strong([](Scene& scene) { static_cast<void>(all_tasks(scene.loop)); });
}

/// Fails each of the first allocations of `operation(loop, futures)` with the
/// loop's entries used up to each degree, so that one of them is that of a
/// callback; then `futures` have no callback left. Returns how often it threw.
template <class Operation>
int leaves_no_callback(Operation operation) {
  int threw = 0;
  for (int used = 0; used < 300; ++used) {
    for (std::uint64_t nth = 1; nth <= 6; ++nth) {
      VirtualTimeLoop loop;
      const Future<void> user(loop);
      for (int i = 0; i < used; ++i) user.add_done_callback([](AnyFuture) {});
      const std::vector<Future<int>> futures = {
          Future<int>(loop), Future<int>(loop), Future<int>(loop)};
      bool failed = false;
      {
        const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
        try {
          operation(loop, futures);
        } catch (const std::bad_alloc&) {
          failed = true;
        }
      }
      if (failed) {
        ++threw;
        for (const Future<int>& future : futures) {
          EXPECT_EQ(to_string(future), "<Future pending>");
        }
      }
      for (const Future<int>& future : futures) future.set_result(1);
      loop.run_until_idle();
      if (testing::Test::HasFailure()) return threw;
    }
  }
  return threw;
}

TEST(FuturesAllocationFailure, OfAGatherTakesItsCallbacksBack) {
  EXPECT_GT(leaves_no_callback([](VirtualTimeLoop& loop, const auto& futures) {
              gather(loop, futures[0], futures[1], futures[2]);
            }),
            0);
}

TEST(FuturesAllocationFailure, OfAWaitTakesItsCallbacksBack) {
  EXPECT_GT(leaves_no_callback([](VirtualTimeLoop& loop, const auto& futures) {
              const auto task = create_task(loop, rondo::wait(futures),
                                            TaskOptions().eager_start());
              if (task.done()) std::rethrow_exception(task.exception());
            }),
            0);
}

// -- inside of tasks ----------------------------------------------------------

/// Runs `main()` as a task again and again, and fails the first, second, ...
/// allocation of it, once and from then on, until none is left to fail. It
/// ends well, or with bad_alloc; nothing leaks; run again, it ends well.
/// Returns how many failures there were.
int survives(const std::function<Coro<void>()>& main) {
  using Mode = FailingAllocations::Mode;
  const auto attempt = [&](std::uint64_t nth, Mode mode) {
    const EmptyPool empty_pool;
    const LogCapture quiet;
    VirtualTimeLoop loop;
    bool fired = false;
    Task<void> task;
    {
      const FailingAllocations failing(nth, mode);
      try {
        task = create_task(loop, main());
        loop.run_until_idle();
      } catch (const std::bad_alloc&) {
      }
      fired = failing.fired();
    }
    loop.run_until_idle();
    if (task) {
      EXPECT_TRUE(task.done());
      const std::string end = end_of(task);
      EXPECT_TRUE(end == "done" || end == "std::bad_alloc('std::bad_alloc')" ||
                  end.find("ExceptionGroup") == 0)
          << end;
      if (end != "done") {
        EXPECT_TRUE(fired);
      }
    }
    for (const AnyTask& left : all_tasks(loop)) left.cancel();
    loop.run_until_idle();
    EXPECT_TRUE(all_tasks(loop).empty());
    const Task<void> again = create_task(loop, main());
    loop.run_until_idle();
    EXPECT_EQ(end_of(again), "done");
    return fired;
  };
  attempt(UINT64_MAX, Mode::kOnce);
  int failures = 0;
  for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
    bool fired = true;
    for (std::uint64_t nth = 1; fired; ++nth) {
      SCOPED_TRACE("allocation " + std::to_string(nth) +
                   (mode == Mode::kOnce ? ", once" : ", from then on"));
      const std::int64_t live_before = live_blocks();
      fired = attempt(nth, mode);
      EXPECT_EQ(live_blocks(), live_before) << "leaked";
      if (fired) ++failures;
      if (testing::Test::HasFailure()) return failures;
    }
  }
  return failures;
}

Coro<int> works(int n) {
  co_await sleep(1);
  co_return n;
}

TEST(FuturesAllocationFailure, IsSurvivedByAwaits) {
  EXPECT_GT(survives([]() -> Coro<void> {
              co_await sleep(0);
              co_await works(1);
              co_await create_task(works(2));
              const Future<int> future(get_running_loop());
              get_running_loop().call_soon([=] { future.set_result(1); });
              co_await future;
            }),
            5);
}

// What cannot wait for want of memory is told so, and may go on.
TEST(FuturesAllocationFailure, IsSurvivedByWhoCatchesIt) {
  EXPECT_GT(survives([]() -> Coro<void> {
              for (int i = 0; i < 3; ++i) {
                try {
                  co_await works(1);
                } catch (const std::bad_alloc&) {
                  if (i == 2) throw;
                }
              }
            }),
            5);
}

TEST(FuturesAllocationFailure, IsSurvivedByGather) {
  EXPECT_GT(survives([]() -> Coro<void> {
              co_await gather(works(1), works(2), sleep(1));
            }),
            5);
}

TEST(FuturesAllocationFailure, IsSurvivedByShield) {
  EXPECT_GT(survives([]() -> Coro<void> { co_await shield(works(1)); }), 3);
}

TEST(FuturesAllocationFailure, IsSurvivedByWaitFor) {
  EXPECT_GT(survives([]() -> Coro<void> {
              co_await wait_for(works(1), 5);
              co_await wait_for(create_task(works(1)), 5);
              try {
                co_await wait_for(works(5), 1);
              } catch (const TimeoutError&) {
              }
              try {
                co_await wait_for(create_task(works(5)), 0);
              } catch (const TimeoutError&) {
              }
            }),
            10);
}

TEST(FuturesAllocationFailure, IsSurvivedByWait) {
  EXPECT_GT(survives([]() -> Coro<void> {
              std::vector<Task<int>> tasks;
              tasks.push_back(create_task(works(1)));
              tasks.push_back(create_task(works(2)));
              co_await rondo::wait(tasks, WaitOptions().timeout(5));
            }),
            5);
}

TEST(FuturesAllocationFailure, IsSurvivedByATaskGroup) {
  EXPECT_GT(survives([]() -> Coro<void> {
              TaskGroup group;
              co_await with(group, [](TaskGroup& g) -> Coro<void> {
                for (int i = 0; i < 20; ++i) g.create_task(works(i));
                co_await sleep(1);
              }(group));
            }),
            10);
}

TEST(FuturesAllocationFailure, IsSurvivedByRun) {
  // Real descriptors, real time: but a sleep of nothing.
  using Mode = FailingAllocations::Mode;
  const auto main = []() -> Coro<int> {
    co_await sleep(0);
    co_return 7;
  };
  for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
    bool fired = true;
    for (std::uint64_t nth = 1; fired; ++nth) {
      const LogCapture quiet;
      const EmptyPool empty_pool;
      const FailingAllocations failing(nth, mode);
      try {
        EXPECT_EQ(run(main()), 7);
      } catch (const std::bad_alloc&) {
      }
      fired = failing.fired();
    }
  }
  EXPECT_EQ(run(main()), 7);
}

// Its entry has no reference to give back yet.
TEST(FuturesAllocationFailure, LeavesACallbackWithAContextUnadded) {
  const ContextVar<int> variable("variable", 0);
  EventLoop loop;
  const Future<int> done(loop);
  done.set_result(7);
  const std::uint32_t references = done.state()->references();
  for (std::uint64_t nth = 1;; ++nth) {
    try {
      const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
      done.add_done_callback(Large());
      break;
    } catch (const std::bad_alloc&) {
      ASSERT_EQ(done.state()->references(), references) << "allocation " << nth;
    }
  }
  run_one_pass(loop);
  EXPECT_EQ(done.state()->references(), references);
}

// The text may be had in vain; once there is one, the task is cancelled, at
// worst without it.
TEST(FuturesAllocationFailure, DoesNotStopACancelOfANewTask) {
  int cancelled = 0;
  for (std::uint64_t nth = 1; nth <= 8; ++nth) {
    EventLoop loop;
    const Task<int> task = create_task(loop, test::Returns(7));
    const std::string text(100, 'x');
    try {
      const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
      task.cancel(text);
    } catch (const std::bad_alloc&) {
      EXPECT_EQ(task.cancelling(), 0u);
      run_one_pass(loop);
      EXPECT_EQ(end_of(task), "done");
      continue;
    }
    run_one_pass(loop);
    EXPECT_TRUE(task.cancelled());
    ++cancelled;
  }
  EXPECT_GE(cancelled, 4);
}

Coro<int> fails(int n) {
  co_await sleep(n);
  throw 42;
}

Coro<void> race_of(bool stagger, bool some_win) {
  std::vector<Attempt<int>> attempts;
  attempts.emplace_back([]() -> Future<int> { return create_task(fails(1)); });
  attempts.emplace_back([]() -> Future<int> { return create_task(fails(2)); });
  attempts.emplace_back([some_win]() -> Future<int> {
    if (some_win) return create_task(works(3));
    return create_task(fails(3));
  });
  try {
    auto one = race(std::move(attempts), stagger ? 5 : 0);
    co_await std::move(one);
  } catch (const ExceptionGroup&) {
  }
}

TEST(FuturesAllocationFailure, IsSurvivedByRace) {
  EXPECT_GT(survives([] { return race_of(false, true); }), 5);
}

TEST(FuturesAllocationFailure, IsSurvivedByRaceThatNobodyWins) {
  EXPECT_GT(survives([] { return race_of(false, false); }), 5);
}

TEST(FuturesAllocationFailure, IsSurvivedByRaceWithAStagger) {
  EXPECT_GT(survives([] { return race_of(true, true); }), 5);
}

TEST(FuturesAllocationFailure, IsSurvivedByRaceWithAStaggerThatNobodyWins) {
  EXPECT_GT(survives([] { return race_of(true, false); }), 5);
}

TEST(FuturesAllocationFailure, IsSurvivedByAsCompleted) {
  EXPECT_GT(survives([]() -> Coro<void> {
              std::vector<Task<int>> tasks;
              for (int i = 0; i < 10; ++i)
                tasks.push_back(create_task(works(i)));
              auto completed = as_completed(std::move(tasks));
              while (completed.has_next()) co_await completed.next();
            }),
            5);
}

TEST(FuturesAllocationFailure, IsSurvivedByTheTimeoutOfAsCompleted) {
  EXPECT_GT(survives([]() -> Coro<void> {
              std::vector<Sleep<void>> sleeps;
              for (int i = 0; i < 10; ++i) sleeps.push_back(sleep(5));
              auto completed = as_completed(std::move(sleeps), 1);
              while (completed.has_next()) {
                try {
                  co_await completed.next();
                } catch (const TimeoutError&) {
                }
              }
            }),
            5);
}

}  // namespace
}  // namespace rondo

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN
