// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "reactor/thread_pool.h"
#include "test/support/allocation.h"
#include "test/support/at_death.h"
#include "test/support/descriptors.h"

// FAULTS H3 (the loop goes away) and H4 (jobs that fail, threads that cannot be
// had).

namespace rondo {
namespace {

using test::AtDeath;

const auto nothing = [](std::exception_ptr) {};

/// Runs `job` on `pool`; what its completion was told, in words.
std::string outcome_of(ThreadPool& pool, ThreadPool::Job job) {
  VirtualTimeLoop loop;
  std::string told = "not called";
  pool.submit(loop, std::move(job), [&](std::exception_ptr error) {
    told = error ? describe(error) : "";
  });
  loop.run_until_idle();
  return told;
}

// -- H4: jobs that fail ------------------------------------------------------

TEST(ThreadPool, HandsWhatAJobThrowsToItsCompletion) {
  ThreadPool pool(1);
  EXPECT_EQ(outcome_of(pool, [] { throw std::runtime_error("no disk"); }),
            "std::runtime_error: no disk");
  EXPECT_EQ(outcome_of(pool, [] { throw 42; }), "int");
  EXPECT_EQ(outcome_of(pool, [] { throw SystemExit(3); }),
            "rondo::SystemExit: 3");
  EXPECT_EQ(outcome_of(pool, [] {}), "");
  EXPECT_EQ(pool.thread_count(), 1u);
}

TEST(ThreadPool, ReportsAJobThatEndsItsThread) {
  ThreadPool pool(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(outcome_of(pool, [] { ::pthread_exit(nullptr); }),
              "rondo::RuntimeError: the job ended its thread (pthread_exit)");
  }
  EXPECT_EQ(outcome_of(pool, [] {}), "");
}

TEST(ThreadPool, DestroysTheCapturesOfAJobThatEndsItsThread) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::atomic<int> deaths = 0;
  pool.submit(
      loop,
      [dies = AtDeath([&] { ++deaths; })] {
        const AtDeath local([] {});
        ::pthread_exit(nullptr);
      },
      [dies = AtDeath([&] { ++deaths; })](auto) {});
  loop.run_until_idle();
  EXPECT_EQ(deaths, 2);
}

TEST(ThreadPool, LeavesAnExitedThreadsPlaceToAnother) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch queued(1);
  std::atomic<int> jobs = 0;
  pool.submit(
      loop,
      [&] {
        queued.wait();
        ::pthread_exit(nullptr);
      },
      nothing);
  for (int i = 0; i < 10; ++i) pool.submit(loop, [&] { ++jobs; }, nothing);
  queued.count_down();
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(jobs, 10);
  loop.run_until_idle();
}

// -- H4: threads that cannot be had ------------------------------------------

/// Submits to a pool that cannot make a thread. What must be so afterwards.
void expect_refused_for_want_of_a_thread(ThreadPool& pool, EventLoop& loop) {
  int deaths = 0;
  try {
    pool.submit(
        loop, [dies = AtDeath([&] { ++deaths; })] {},
        [dies = AtDeath([&] { ++deaths; })](auto) {});
    ADD_FAILURE() << "accepted without a thread";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::resource_unavailable_try_again);
  }
  EXPECT_EQ(deaths, 2);
  EXPECT_EQ(pool.queued(), 0u);
  EXPECT_EQ(pool.thread_count(), 0u);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ThreadPool, RefusesAJobWhenTheFirstThreadCannotBeMade) {
  VirtualTimeLoop loop;
  ScriptedKernel kernel;
  ThreadPool pool(2, "pool", kernel);
  kernel.fail(KernelCall::kThreadCreate, EAGAIN);
  expect_refused_for_want_of_a_thread(pool, loop);
  bool completed = false;
  pool.submit(loop, [] {}, [&](auto) { completed = true; });
  loop.run_until_idle();
  EXPECT_TRUE(completed);
}

TEST(ThreadPool, RefusesEachJobWhileNoThreadCanBeMade) {
  VirtualTimeLoop loop;
  ScriptedKernel kernel;
  ThreadPool pool(2, "pool", kernel);
  kernel.fail(KernelCall::kThreadCreate, EAGAIN,
              {.times = ScriptedKernel::kForever});
  for (int i = 0; i < 10; ++i) expect_refused_for_want_of_a_thread(pool, loop);
  EXPECT_TRUE(pool.shutdown());
}

TEST(ThreadPool, MakesDoWithTheThreadsThatItHas) {
  VirtualTimeLoop loop;
  ScriptedKernel kernel;
  ThreadPool pool(8, "pool", kernel);
  kernel.fail(KernelCall::kThreadCreate, EAGAIN,
              {.from_call = 2, .times = ScriptedKernel::kForever});
  std::latch submitted(1);
  int completions = 0;
  for (int i = 0; i < 20; ++i) {
    pool.submit(loop, [&] { submitted.wait(); }, [&](auto) { ++completions; });
  }
  EXPECT_EQ(pool.thread_count(), 1u);
  submitted.count_down();
  loop.run_until_idle();
  EXPECT_EQ(completions, 20);
}

// The only thread ends, and there is no other to be had: what waits for one
// must not wait for ever.
TEST(ThreadPool, ReportsTheJobsBehindAnExitedThreadThatCannotBeReplaced) {
  VirtualTimeLoop loop;
  ScriptedKernel kernel;
  ThreadPool pool(1, "pool", kernel);
  kernel.fail(KernelCall::kThreadCreate, EAGAIN,
              {.from_call = 2, .times = ScriptedKernel::kForever});
  std::latch queued(1);
  pool.submit(
      loop,
      [&] {
        queued.wait();
        ::pthread_exit(nullptr);
      },
      nothing);
  int failed = 0;
  for (int i = 0; i < 3; ++i) {
    pool.submit(
        loop, [] { ADD_FAILURE() << "ran without a thread"; },
        [&](std::exception_ptr error) {
          try {
            std::rethrow_exception(error);
          } catch (const std::system_error& e) {
            if (e.code().value() == EAGAIN) ++failed;
          }
        });
  }
  queued.count_down();
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(pool.queued(), 0u);
  ASSERT_EQ(loop.remote_queue()->external_work(), 0u) << "would wait for ever";
  loop.run_until_idle();
  EXPECT_EQ(failed, 3);
}

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN
// Nor for want of memory to write it down: of a second one, as there is room
// for the first.
TEST(ThreadPool, ReportsTheJobsBehindAnExitedThreadThatFindsNoMemory) {
  VirtualTimeLoop loop;
  for (int times = 0; times < 2; ++times) {  // room for the completions
    for (int i = 0; i < 8; ++i) loop.remote_queue()->post([] {});
    loop.run_until_idle();
  }
  ThreadPool pool(1);
  std::latch queued(1);
  pool.submit(
      loop,
      [&] {
        queued.wait();
        ::pthread_exit(nullptr);
      },
      nothing);
  pool.submit(
      loop,
      [] {
        // The text of this job's own exception comes first.
        static thread_local std::optional<test::FailingAllocations> failing;
        failing.emplace(2, test::FailingAllocations::Mode::kOnce);
        ::pthread_exit(nullptr);
      },
      nothing);
  std::string told;
  pool.submit(
      loop, [] { ADD_FAILURE() << "ran without a thread"; },
      [&](std::exception_ptr error) { told = describe(error); });
  queued.count_down();
  EXPECT_TRUE(pool.shutdown());
  loop.run_until_idle();
  EXPECT_EQ(told,
            "std::system_error: ThreadPool: no thread can be made: Cannot "
            "allocate memory");
}

// Nor if there is none from then on.
TEST(ThreadPool, ReportsTheJobsBehindAnExitedThreadThatFindsNoMemoryAtAll) {
  VirtualTimeLoop loop;
  for (int times = 0; times < 2; ++times) {  // room for the completions
    for (int i = 0; i < 8; ++i) loop.remote_queue()->post([] {});
    loop.run_until_idle();
  }
  ThreadPool pool(1);
  std::latch queued(1);
  pool.submit(
      loop,
      [&] {
        queued.wait();
        ::pthread_exit(nullptr);
      },
      nothing);
  pool.submit(
      loop,
      [] {
        // The text of this job's own exception comes first.
        static thread_local std::optional<test::FailingAllocations> failing;
        failing.emplace(2, test::FailingAllocations::Mode::kFromThenOn);
        ::pthread_exit(nullptr);
      },
      nothing);
  std::string told;
  pool.submit(
      loop, [] { ADD_FAILURE() << "ran without a thread"; },
      [&](std::exception_ptr error) { told = describe(error); });
  queued.count_down();
  EXPECT_TRUE(pool.shutdown());
  loop.run_until_idle();
  EXPECT_NE(told, "");
}
#endif

// -- H3: the loop goes away --------------------------------------------------

TEST(ThreadPool, RefusesAClosedLoop) {
  EventLoop loop;
  loop.close();
  ThreadPool pool(1);
  try {
    pool.submit(loop, [] {}, nothing);
    FAIL() << "accepted a closed loop";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "Event loop is closed");
  }
  EXPECT_EQ(pool.thread_count(), 0u);
}

/// Lets `loop` go by `leave(loop)` while one job of it runs and two are
/// queued.
template <class Loop, class Leave>
void leave_with_jobs_out(std::unique_ptr<Loop> loop, Leave&& leave) {
  ThreadPool pool(1);
  std::latch started(1);
  std::latch gone(1);
  std::atomic<int> jobs = 0;
  std::atomic<int> completions = 0;
  std::atomic<int> deaths = 0;
  std::atomic<int> deaths_here = 0;
  for (int i = 0; i < 3; ++i) {
    pool.submit(
        *loop,
        [&] {
          if (++jobs == 1) started.count_down();
          gone.wait();
        },
        [&, dies = AtDeath([&, here = std::this_thread::get_id()] {
              ++deaths;
              if (std::this_thread::get_id() == here) ++deaths_here;
            })](auto) { ++completions; });
  }
  started.wait();
  leave(loop);
  gone.count_down();
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(jobs, 3) << "jobs run, though nobody waits for them";
  EXPECT_EQ(completions, 0);
  EXPECT_EQ(deaths, 3);
  EXPECT_EQ(deaths_here, 0) << "of the completions that were never posted";
}

TEST(ThreadPool, DestroysTheCompletionOnItsThreadWhenTheLoopWasClosed) {
  leave_with_jobs_out(std::make_unique<EventLoop>(),
                      [](auto& loop) { loop->close(); });
}

TEST(ThreadPool, DestroysTheCompletionOnItsThreadWhenTheLoopIsGone) {
  leave_with_jobs_out(std::make_unique<EventLoop>(),
                      [](auto& loop) { loop.reset(); });
}

// The kernel of a virtual loop goes with it.
TEST(ThreadPool, OutlivesAVirtualLoopToo) {
  leave_with_jobs_out(std::make_unique<VirtualTimeLoop>(),
                      [](auto& loop) { loop.reset(); });
}

TEST(ThreadPool, OutlivesALoopThatSharesItsEventfd) {
  auto loop = std::make_unique<EventLoop>();
  const std::shared_ptr<RemoteQueue> remote = loop->remote_queue();
  ThreadPool pool(1);
  std::latch gone(1);
  pool.submit(*loop, [&] { gone.wait(); }, nothing);
  EXPECT_EQ(remote->external_work(), 1u);
  loop.reset();
  gone.count_down();
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(remote->external_work(), 0u);
}

TEST(ThreadPool, DestroysInCloseACompletionThatWasPosted) {
  EventLoop loop;
  ThreadPool pool(1);
  bool ran = false;
  std::thread::id died_on;
  pool.submit(
      loop, [] {}, [&, dies = AtDeath([&] {
                         died_on = std::this_thread::get_id();
                       })](auto) { ran = true; });
  EXPECT_TRUE(pool.shutdown());  // done and posted, but not collected
  loop.close();
  EXPECT_EQ(died_on, std::this_thread::get_id());
  EXPECT_FALSE(ran);
}

/// Tells when the loop goes to sleep and when it is woken.
class HookedKernel : public LinuxKernel {
 public:
  std::function<void()> on_sleep;
  std::function<void()> on_write;

  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) override {
    if (timeout_ms != 0 && on_sleep) on_sleep();
    return LinuxKernel::epoll_wait(epoll_fd, events, events_max, timeout_ms);
  }
  ssize_t write(int fd, const void* data, std::size_t size) noexcept override {
    if (on_write) on_write();
    return LinuxKernel::write(fd, data, size);
  }
};

// The same at the worst moment: the worker has posted and is slow to wake the
// loop, which something else wakes first.
TEST(ThreadPool, DestroysAPostedCompletionOnTheThreadThatClosesTheLoop) {
  HookedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  Pipe pipe;
  loop.add_reader(pipe.reader.get(), [] {});
  std::binary_semaphore asleep{0};
  std::thread::id died_on;
  kernel.on_sleep = [&] { asleep.release(); };
  kernel.on_write = [&] {
    write_text(pipe.writer.get(), "x");
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  };
  ThreadPool pool(1);
  pool.submit(
      loop, [&] { asleep.acquire(); },
      [dies = AtDeath([&] { died_on = std::this_thread::get_id(); })](auto) {});
  loop.poll_events();
  loop.close();
  EXPECT_EQ(died_on, std::this_thread::get_id());
}

}  // namespace
}  // namespace rondo
