// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/at_death.h"
#include "test/support/patience.h"
#include "test/support/scale.h"

// Goal: many threads post to a loop that runs, sleeps and closes, and nothing
// is lost, doubled or reordered (FAULTS H1, H2, I13).
//
// Method: volume. What a schedule of the steps could do is tried one by one in
// remote_queue_explorer_test.cc and test/model; here the machine picks the
// schedules, and the thread sanitizer watches. RONDO_TEST_SCALE=1 gives all of
// the ten million posts under a sanitizer, too.

namespace rondo {
namespace {

using test::AtDeath;
using test::run_patiently;
using test::scaled;

constexpr std::size_t kPosters = 4;
constexpr auto kPatience = std::chrono::minutes(30);  // TSan, all of it

/// Starts one thread for each of kPosters: body(index).
template <class Body>
std::vector<std::thread> start_posters(const Body& body) {
  std::vector<std::thread> threads;
  for (std::size_t me = 0; me < kPosters; ++me) {
    threads.emplace_back([body, me] { body(me); });
  }
  return threads;
}

void join_all(std::vector<std::thread>& threads) {
  for (std::thread& thread : threads) thread.join();
}

TEST(CallSoonThreadsafe, TenMillionPostsFromFourThreadsAllRunInOrder) {
  EventLoop loop;
  const std::size_t posts_each = scaled(10'000'000) / kPosters;
  // Posters wait for the loop now and then: memory stays small.
  constexpr std::size_t kAheadMax = 50'000;
  struct alignas(64) Lane {
    std::size_t next = 0;  // on the loop's thread
    std::atomic<std::size_t> ran{0};
  };
  std::array<Lane, kPosters> lanes;
  std::size_t out_of_order = 0;
  std::size_t lanes_done = 0;

  auto posters = start_posters([&](std::size_t me) {
    Lane& lane = lanes[me];
    for (std::size_t number = 0; number < posts_each; ++number) {
      while (number > lane.ran.load(std::memory_order_relaxed) + kAheadMax) {
        std::this_thread::yield();
      }
      loop.call_soon_threadsafe([&, number] {
        if (number != lane.next++) ++out_of_order;
        lane.ran.store(lane.next, std::memory_order_relaxed);
        if (lane.next == posts_each && ++lanes_done == kPosters) loop.stop();
      });
    }
  });
  run_patiently(loop, kPatience);
  join_all(posters);

  EXPECT_EQ(out_of_order, 0u);
  for (const Lane& lane : lanes) EXPECT_EQ(lane.next, posts_each);
  EXPECT_EQ(loop.stats().remote_calls, kPosters * posts_each);
}

/// Counts how often the loop lies down.
class SleepCounter : public LoopObserver {
 public:
  void on_poll_begin(EventLoop&, Duration timeout) override {
    if (timeout > Duration::zero()) ++count_;
  }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t count_ = 0;
};

// DESIGN 4: the loop is woken at most once per batch. Each thread waits until
// its post has run, so the loop sleeps as often as can be.
TEST(CallSoonThreadsafe, WakesTheLoopAtMostOnceEachTimeItLiesDown) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SleepCounter sleeps;
  loop.add_observer(sleeps);
  const std::size_t posts_each = scaled(100'000) / kPosters;
  std::size_t ran = 0;

  auto posters = start_posters([&](std::size_t) {
    for (std::size_t number = 0; number < posts_each; ++number) {
      std::atomic<bool> done = false;
      loop.call_soon_threadsafe([&] {
        if (++ran == kPosters * posts_each) loop.stop();
        done.store(true);
        done.notify_one();
      });
      done.wait(false);
    }
  });
  run_patiently(loop, kPatience);
  join_all(posters);

  EXPECT_EQ(ran, kPosters * posts_each);
  EXPECT_LE(kernel.calls(KernelCall::kWrite), sleeps.count());
  EXPECT_LE(loop.stats().wakeups, kernel.calls(KernelCall::kWrite));
  EXPECT_LE(kernel.idle_wakeups_max(), 3u);  // I11
}

// Two loops that send each other a ball: each post finds the other asleep, or
// nearly.
TEST(CallSoonThreadsafe, TwoLoopsWakeEachOther) {
  const std::size_t rallies = scaled(100'000);
  EventLoop here;
  EventLoop there;
  std::size_t returned = 0;
  UniqueFunction<void()> serve = [&] {
    there.call_soon_threadsafe([&] {
      here.call_soon_threadsafe([&] {
        if (++returned < rallies) return serve();
        there.call_soon_threadsafe([&] { there.stop(); });
        here.stop();
      });
    });
  };
  std::thread other([&] { run_patiently(there, kPatience); });
  here.call_soon([&] { serve(); });
  run_patiently(here, kPatience);
  other.join();
  EXPECT_EQ(returned, rallies);
}

constexpr std::size_t kPostsEach = 200;

/// Where the posts of a round ended.
struct Tally {
  std::atomic<std::size_t> ran{0};
  std::atomic<std::size_t> died{0};  // run or not: once for each post
  std::atomic<std::size_t> refused{0};
};

// CPython GH-96827, anyio #1265, janus #2: is_closed() and then a call is no
// protection, as the loop may close in between. Here the call itself is
// answered: each post runs, is destroyed by close(), or is refused.
TEST(CallSoonThreadsafe, EachPostThatRacesCloseRunsDiesOrIsRefused) {
  const std::size_t rounds = scaled(1000);
  for (std::size_t round = 0; round < rounds; ++round) {
    Tally tally;
    auto loop = std::make_unique<EventLoop>();
    std::latch ready(kPosters + 1);
    auto posters = start_posters([&, remote = loop->remote_queue()](auto) {
      ready.arrive_and_wait();
      for (std::size_t number = 0; number < kPostsEach; ++number) {
        Callback callback(
            [&tally, dies = AtDeath([&] { ++tally.died; })] { ++tally.ran; });
        if (!remote->post(std::move(callback))) ++tally.refused;
      }
    });
    ready.arrive_and_wait();
    // Some rounds close at once, others after a few passes.
    for (std::size_t pass = 0; pass < round % 8; ++pass) {
      loop->poll_events(Duration::zero());
      loop->collect();
      loop->run_ready();
    }
    loop->close();
    const std::size_t ran = tally.ran;
    loop.reset();  // with posters under way
    join_all(posters);

    ASSERT_EQ(tally.ran, ran) << "ran after close() had returned";
    ASSERT_EQ(tally.died, kPosters * kPostsEach);
    ASSERT_LE(tally.ran + tally.refused, kPosters * kPostsEach);
  }
}

// The same through the loop itself, which its owner keeps until the threads
// have ended: accepted, or RuntimeError.
TEST(CallSoonThreadsafe, AcceptsOrThrowsWhenItRacesClose) {
  const std::size_t rounds = scaled(1000);
  for (std::size_t round = 0; round < rounds; ++round) {
    Tally tally;
    std::atomic<std::size_t> accepted{0};
    EventLoop loop;
    std::latch ready(kPosters + 1);
    auto posters = start_posters([&](std::size_t) {
      ready.arrive_and_wait();
      for (std::size_t number = 0; number < kPostsEach; ++number) {
        try {
          loop.call_soon_threadsafe([dies = AtDeath([&] { ++tally.died; })] {});
          ++accepted;
        } catch (const RuntimeError&) {
          ++tally.refused;
        }
      }
    });
    ready.arrive_and_wait();
    loop.close();
    join_all(posters);
    ASSERT_EQ(accepted + tally.refused, kPosters * kPostsEach);
    ASSERT_EQ(tally.died, kPosters * kPostsEach);
  }
}

}  // namespace
}  // namespace rondo
