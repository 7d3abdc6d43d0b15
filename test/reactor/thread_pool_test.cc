// SPDX-License-Identifier: MIT
#include "reactor/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <latch>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/at_death.h"
#include "test/support/patience.h"

// What a pool does when all goes well. Jobs that fail, threads that cannot be
// had and loops that go away: thread_pool_fault_test.cc; cancelling:
// thread_pool_ticket_test.cc.

namespace rondo {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;
using test::AtDeath;
using test::run_patiently;

const auto nothing = [](std::exception_ptr) {};

// -- jobs and their completions ----------------------------------------------

TEST(ThreadPool, RunsTheJobElsewhereAndItsCompletionOnTheLoop) {
  EventLoop loop;
  ThreadPool pool(1);
  std::thread::id job_ran_on;
  std::thread::id completed_on;
  std::exception_ptr error = std::make_exception_ptr(0);
  pool.submit(
      loop, [&] { job_ran_on = std::this_thread::get_id(); },
      [&](std::exception_ptr e) {
        completed_on = std::this_thread::get_id();
        error = e;
        loop.stop();
      });
  run_patiently(loop);
  EXPECT_NE(job_ran_on, std::thread::id());
  EXPECT_NE(job_ran_on, std::this_thread::get_id());
  EXPECT_EQ(completed_on, std::this_thread::get_id());
  EXPECT_EQ(error, nullptr);
}

TEST(ThreadPool, StartsJobsInTheOrderSubmitted) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::string jobs;
  std::string completions;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    pool.submit(
        loop, [&jobs, name] { jobs += name; },
        [&completions, name](auto) { completions += name; });
  }
  loop.run_until_idle();
  EXPECT_EQ(jobs, "abcd");
  EXPECT_EQ(completions, "abcd");
}

TEST(ThreadPool, RunsSoManyJobsAtOnceAndNoMore) {
  VirtualTimeLoop loop;
  ThreadPool pool(2);
  std::latch two_run(2);
  std::latch go_on(1);
  std::atomic<int> running = 0;
  std::atomic<int> running_max = 0;
  for (int i = 0; i < 6; ++i) {
    pool.submit(
        loop,
        [&, i] {
          const int now = ++running;
          if (now > running_max) running_max = now;
          if (i < 2) two_run.count_down();
          go_on.wait();
          --running;
        },
        nothing);
  }
  two_run.wait();
  EXPECT_EQ(pool.thread_count(), 2u);
  EXPECT_EQ(pool.queued(), 4u);
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_EQ(running_max, 2);
  EXPECT_EQ(pool.queued(), 0u);
}

TEST(ThreadPool, StartsNoThreadBeforeThereIsWork) {
  VirtualTimeLoop loop;
  ThreadPool pool(4);
  EXPECT_EQ(pool.thread_count(), 0u);
  pool.submit(loop, [] {}, nothing);
  EXPECT_EQ(pool.thread_count(), 1u);
  loop.run_until_idle();
}

TEST(ThreadPool, GivesAnIdleThreadTheNextJob) {
  VirtualTimeLoop loop;
  constexpr std::size_t kJobs = 1000;
  ThreadPool pool(kJobs);
  for (std::size_t i = 0; i < kJobs; ++i) {
    pool.submit(loop, [] {}, nothing);
    loop.run_until_idle();
  }
  // One would do; but a thread reports before it is idle again.
  EXPECT_LT(pool.thread_count(), kJobs / 2);
}

TEST(ThreadPool, ServesTwoLoops) {
  VirtualTimeLoop first;
  VirtualTimeLoop second;
  ThreadPool pool(2);
  EventLoop* completed_on_first = nullptr;
  EventLoop* completed_on_second = nullptr;
  pool.submit(
      first, [] {}, [&](auto) { completed_on_first = &get_running_loop(); });
  pool.submit(
      second, [] {}, [&](auto) { completed_on_second = &get_running_loop(); });
  first.run_until_idle();
  second.run_until_idle();
  EXPECT_EQ(completed_on_first, &first);
  EXPECT_EQ(completed_on_second, &second);
}

TEST(ThreadPool, LetsACompletionSubmitTheNextJob) {
  VirtualTimeLoop loop;
  ThreadPool pool(2);
  int jobs = 0;
  UniqueFunction<void()> submit_next = [&] {
    pool.submit(
        loop, [&] { ++jobs; },
        [&](auto) {
          if (jobs < 100) submit_next();
        });
  };
  submit_next();
  loop.run_until_idle();
  EXPECT_EQ(jobs, 100);
}

TEST(ThreadPool, SendsWhatACompletionThrowsToTheExceptionHandler) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::string told;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    told = describe(context.exception);
  });
  pool.submit(loop, [] {}, [](auto) { throw std::runtime_error("no"); });
  loop.run_until_idle();
  EXPECT_EQ(told, "std::runtime_error: no");
}

// -- where captures die ------------------------------------------------------

TEST(ThreadPool, DestroysTheJobsCapturesOnItsThreadBeforeTheCompletionRuns) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::thread::id ran_on;
  std::thread::id died_on;
  std::thread::id died_by_then;
  pool.submit(
      loop, [&, dies = AtDeath([&] {
                  died_on = std::this_thread::get_id();
                })] { ran_on = std::this_thread::get_id(); },
      [&](auto) { died_by_then = died_on; });
  loop.run_until_idle();
  EXPECT_NE(ran_on, std::thread::id());
  EXPECT_EQ(died_by_then, ran_on);
}

TEST(ThreadPool, DestroysTheCompletionsCapturesOnTheThreadOfTheLoop) {
  VirtualTimeLoop loop;
  ThreadPool pool(4);
  int deaths = 0;  // not atomic: the thread sanitizer looks on
  int elsewhere = 0;
  constexpr int kJobs = 200;
  for (int i = 0; i < kJobs; ++i) {
    pool.submit(
        loop, [] {}, [dies = AtDeath([&, here = std::this_thread::get_id()] {
                        ++deaths;
                        if (std::this_thread::get_id() != here) ++elsewhere;
                      })](auto) {});
  }
  loop.run_until_idle();
  EXPECT_EQ(deaths, kJobs);
  EXPECT_EQ(elsewhere, 0);
}

// -- names -------------------------------------------------------------------

std::string own_name() {
  char name[16];
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

/// The names of a pool's first two threads, sorted.
std::vector<std::string> names_of(ThreadPool& pool) {
  VirtualTimeLoop loop;
  std::latch both_run(2);
  std::vector<std::string> names(2);
  for (std::string& name : names) {
    pool.submit(
        loop,
        [&] {
          both_run.arrive_and_wait();
          name = own_name();
        },
        nothing);
  }
  loop.run_until_idle();
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

TEST(ThreadPool, NamesItsThreadsForDebuggers) {
  ThreadPool unnamed(2);
  EXPECT_EQ(names_of(unnamed), (Names{"rondo-0", "rondo-1"}));
  ThreadPool files(2, "files");
  EXPECT_EQ(names_of(files), (Names{"files-0", "files-1"}));
}

TEST(ThreadPool, ShortensANameThatTheKernelWouldRefuse) {
  ThreadPool pool(2, "a-very-long-name-indeed");
  EXPECT_EQ(names_of(pool), (Names{"a-very-long-n-0", "a-very-long-n-1"}));
}

// -- what is refused ---------------------------------------------------------

TEST(ThreadPool, NeedsAtLeastOneThread) {
  EXPECT_THROW(ThreadPool(0), std::invalid_argument);
}

TEST(ThreadPool, NeedsAJobAndACompletion) {
  EventLoop loop;
  ThreadPool pool(1);
  EXPECT_THROW(pool.submit(loop, nullptr, nothing), std::invalid_argument);
  EXPECT_THROW(pool.submit(loop, [] {}, nullptr), std::invalid_argument);
  EXPECT_EQ(pool.thread_count(), 0u);
}

// -- shutting down -----------------------------------------------------------

TEST(ThreadPool, RefusesJobsAfterShutdown) {
  EventLoop loop;
  ThreadPool pool(1);
  EXPECT_TRUE(pool.shutdown());
  int deaths = 0;
  try {
    pool.submit(
        loop, [dies = AtDeath([&] { ++deaths; })] {},
        [dies = AtDeath([&] { ++deaths; })](auto) {});
    FAIL() << "accepted after shutdown";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "cannot schedule new jobs after shutdown");
  }
  EXPECT_EQ(deaths, 2);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ThreadPool, FinishesInShutdownWhatIsQueued) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::atomic<int> jobs = 0;
  int completions = 0;
  for (int i = 0; i < 100; ++i) {
    pool.submit(loop, [&] { ++jobs; }, [&](auto) { ++completions; });
  }
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(jobs, 100);
  EXPECT_EQ(pool.thread_count(), 0u);
  // "Completions of jobs still run on their loops."
  EXPECT_EQ(completions, 0);
  loop.run_until_idle();
  EXPECT_EQ(completions, 100);
}

TEST(ThreadPool, MayBeShutDownTwice) {
  ThreadPool pool(1);
  EXPECT_TRUE(pool.shutdown());
  EXPECT_TRUE(pool.shutdown());
}

TEST(ThreadPool, FinishesInItsDestructorWhatIsQueued) {
  VirtualTimeLoop loop;
  std::atomic<int> jobs = 0;
  int completions = 0;
  {
    ThreadPool pool(2);
    for (int i = 0; i < 10; ++i) {
      pool.submit(loop, [&] { ++jobs; }, [&](auto) { ++completions; });
    }
  }
  EXPECT_EQ(jobs, 10);
  loop.run_until_idle();
  EXPECT_EQ(completions, 10);
}

TEST(ThreadPool, GivesUpWaitingAfterTheTimeout) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch go_on(1);
  bool completed = false;
  pool.submit(loop, [&] { go_on.wait(); }, [&](auto) { completed = true; });
  EXPECT_FALSE(pool.shutdown(Duration::zero()));
  EXPECT_FALSE(pool.shutdown(std::chrono::milliseconds(1)));
  EXPECT_FALSE(pool.shutdown(Duration(-1)));
  // "Those that have not go on by themselves."
  go_on.count_down();
  EXPECT_TRUE(pool.shutdown());
  loop.run_until_idle();
  EXPECT_TRUE(completed);
}

TEST(ThreadPool, TakesATimeoutThatIsAsLongAsTheClock) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch go_on(1);
  pool.submit(loop, [&] { go_on.wait(); }, nothing);
  std::thread releaser([&] { go_on.count_down(); });
  EXPECT_TRUE(pool.shutdown(Duration::max() - Duration(1)));
  releaser.join();
}

// "... and are joined by shutdown()": nothing of a thread is left.
TEST(ThreadPool, WaitsInShutdownForThreadLocalDestructors) {
  static std::atomic<int> destroyed;
  struct TakesItsTime {
    ~TakesItsTime() {
      for (int i = 0; i < 1000; ++i) std::this_thread::yield();
      ++destroyed;
    }
    void touch() {}
  };
  destroyed = 0;
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  pool.submit(
      loop,
      [] {
        thread_local TakesItsTime object;
        object.touch();
      },
      nothing);
  EXPECT_TRUE(pool.shutdown());
  EXPECT_EQ(destroyed, 1);
}

// An ended thread is joined by whoever starts the next, and may still have
// something to ask.
TEST(ThreadPool, JoinsAThreadWhoseLastDestructorAsksThePool) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  struct AsksAtTheEnd {
    ~AsksAtTheEnd() {
      for (int i = 0; i < 1000; ++i) std::this_thread::yield();
      pool->queued();
    }
    ThreadPool* pool;
  };
  for (int i = 0; i < 20; ++i) {
    pool.submit(
        loop,
        [&] {
          thread_local AsksAtTheEnd object{&pool};
          static_cast<void>(object);
          ::pthread_exit(nullptr);
        },
        nothing);
    loop.run_until_idle();
  }
  EXPECT_TRUE(pool.shutdown());
}

TEST(ThreadPool, RefusesToWaitForItsOwnThread) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::string told;
  pool.submit(
      loop, [&] { pool.shutdown(); },
      [&](std::exception_ptr error) { told = describe(error); });
  loop.run_until_idle();
  EXPECT_EQ(told,
            "rondo::RuntimeError: ThreadPool::shutdown: cannot join current "
            "thread");
  EXPECT_TRUE(pool.shutdown());
}

// "After a shutdown() that gave up, it does not wait again."
TEST(ThreadPool, DoesNotWaitInItsDestructorAfterItHasGivenUp) {
  VirtualTimeLoop loop;
  std::latch go_on(1);
  bool completed = false;
  {
    ThreadPool pool(1);
    pool.submit(loop, [&] { go_on.wait(); }, [&](auto) { completed = true; });
    EXPECT_FALSE(pool.shutdown(Duration::zero()));
  }
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(completed);
}

// -- virtual time ------------------------------------------------------------

TEST(ThreadPool, KeepsVirtualTimeFromJumpingWhileAJobIsOut) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::binary_semaphore go_on{0};
  TimePoint completed_at = TimePoint::max();
  bool timer_ran = false;
  loop.call_later(1h, [&] { timer_ran = true; });
  pool.submit(
      loop, [&] { go_on.acquire(); },
      [&](auto) {
        completed_at = loop.time();
        EXPECT_FALSE(timer_ran);
      });
  // The last thing that the loop does before it sleeps.
  loop.call_soon([&] { go_on.release(); });
  loop.advance(2h);
  EXPECT_TRUE(timer_ran);
  EXPECT_EQ(completed_at, TimePoint(0s));
}

TEST(ThreadPool, LetsVirtualTimeGoOnAfterTheLastJob) {
  VirtualTimeLoop loop;
  ThreadPool pool(3);
  std::vector<TimePoint> completed_at;
  for (int i = 0; i < 10; ++i) {
    loop.call_later(std::chrono::hours(i), [&] {
      pool.submit(
          loop, [] {}, [&](auto) { completed_at.push_back(loop.time()); });
    });
  }
  loop.run_until_idle();
  ASSERT_EQ(completed_at.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(completed_at[i], TimePoint(std::chrono::hours(i)));
  }
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

}  // namespace
}  // namespace rondo
