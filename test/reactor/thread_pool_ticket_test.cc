// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <latch>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "reactor/thread_pool.h"
#include "test/support/at_death.h"
#include "test/support/scale.h"

// FAULTS H5: a job that is cancelled before, while and after it runs.

namespace rondo {
namespace {

using test::AtDeath;

const auto nothing = [](std::exception_ptr) {};

/// A pool of one thread that is kept busy until release().
class BusyPool {
 public:
  explicit BusyPool(EventLoop& loop) {
    std::latch started(1);
    pool.submit(
        loop,
        [&] {
          started.count_down();
          go_on_.acquire();
        },
        nothing);
    started.wait();
  }
  void release() { go_on_.release(); }

 private:
  std::binary_semaphore go_on_{0};

 public:
  ThreadPool pool{1};
};

TEST(ThreadPoolTicket, TakesBackAJobThatHasNotBegun) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  bool ran = false;
  int deaths = 0;
  ThreadPool::Ticket ticket = busy.pool.submit(
      loop, [&, dies = AtDeath([&] { ++deaths; })] { ran = true; },
      [&, dies = AtDeath([&] { ++deaths; })](auto) { ran = true; });
  EXPECT_EQ(busy.pool.queued(), 1u);
  EXPECT_TRUE(ticket.cancel());
  EXPECT_EQ(deaths, 2);  // "both are destroyed here"
  EXPECT_EQ(busy.pool.queued(), 0u);
  EXPECT_EQ(loop.remote_queue()->external_work(), 1u);
  EXPECT_FALSE(ticket.cancel());
  busy.release();
  loop.run_until_idle();
  EXPECT_FALSE(ran);
}

TEST(ThreadPoolTicket, LeavesTheOthersInTheirOrder) {
  VirtualTimeLoop loop;
  BusyPool busy(loop);
  std::string order;
  std::vector<ThreadPool::Ticket> tickets;
  for (const char name : {'a', 'b', 'c', 'd', 'e'}) {
    tickets.push_back(
        busy.pool.submit(loop, [&order, name] { order += name; }, nothing));
  }
  EXPECT_TRUE(tickets[3].cancel());
  EXPECT_TRUE(tickets[1].cancel());
  busy.release();
  loop.run_until_idle();
  EXPECT_EQ(order, "ace");
}

TEST(ThreadPoolTicket, DoesNothingToAJobThatHasBegun) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  std::latch started(1);
  std::latch go_on(1);
  bool completed = false;
  ThreadPool::Ticket ticket = pool.submit(
      loop,
      [&] {
        started.count_down();
        go_on.wait();
      },
      [&](auto) { completed = true; });
  started.wait();
  EXPECT_FALSE(ticket.cancel());
  go_on.count_down();
  loop.run_until_idle();
  EXPECT_TRUE(completed);
  EXPECT_FALSE(ticket.cancel());
}

TEST(ThreadPoolTicket, DoesNothingFromInsideItsOwnJobOrCompletion) {
  VirtualTimeLoop loop;
  ThreadPool pool(1);
  ThreadPool::Ticket ticket;
  std::latch assigned(1);
  bool cancelled_in_job = true;
  bool cancelled_in_completion = true;
  ticket = pool.submit(
      loop,
      [&] {
        assigned.wait();
        cancelled_in_job = ticket.cancel();
      },
      [&](auto) { cancelled_in_completion = ticket.cancel(); });
  assigned.count_down();
  loop.run_until_idle();
  EXPECT_FALSE(cancelled_in_job);
  EXPECT_FALSE(cancelled_in_completion);
}

TEST(ThreadPoolTicket, MeansNoJobByDefault) {
  ThreadPool::Ticket ticket;
  EXPECT_FALSE(ticket.cancel());
}

TEST(ThreadPoolTicket, MayOutliveThePool) {
  VirtualTimeLoop loop;
  ThreadPool::Ticket ticket;
  {
    ThreadPool pool(1);
    ticket = pool.submit(loop, [] {}, nothing);
  }
  EXPECT_FALSE(ticket.cancel());
  loop.run_until_idle();
}

// The race itself: whatever cancel() says is true.
TEST(ThreadPoolTicket, EitherCancelsOrTheJobRuns) {
  VirtualTimeLoop loop;
  ThreadPool pool(2);
  const std::size_t rounds = test::scaled(5000);
  std::size_t cancelled = 0;
  std::size_t completed = 0;
  std::atomic<std::size_t> ran = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    ThreadPool::Ticket ticket =
        pool.submit(loop, [&] { ++ran; }, [&](auto) { ++completed; });
    if (round % 3 == 0) std::this_thread::yield();
    if (ticket.cancel()) ++cancelled;
  }
  loop.run_until_idle();
  EXPECT_EQ(ran + cancelled, rounds);
  EXPECT_EQ(completed, ran);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

}  // namespace
}  // namespace rondo
