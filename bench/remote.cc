// SPDX-License-Identifier: MIT
//
// call_soon_threadsafe: what other threads pay, and how fast two loops talk.
//
//   remote/post_P          P threads post, the loop runs what comes, all on
//                          one processor: the processor time of both, without
//                          the luck of the scheduler
//   remote/post_P_apart    the same, each on a processor of its own if there is
//                          one: wall time from the first post until the last
//                          has run
//   remote/batch_1000      what the two halves cost without any waking: 1,000
//                          posts, then a pass of the loop that runs them, on
//                          one thread
//   remote/ping_pong       two loops on two threads of one processor: a post
//                          there and a post back is one operation
//
// The floor of a post is a vector of {function, pointer} under a mutex, which
// the loop swaps for an empty one, and an eventfd written once for each time
// that the loop sleeps. The floor of the ping-pong is two raw epoll loops with
// an eventfd each and no queue.

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "bench/support/harness.h"
#include "bench/support/pin.h"
#include "reactor/event_loop.h"

namespace {

using bench::Run;

/// An epoll set with one eventfd in it.
class Bell {
 public:
  Bell() {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) != 0) {
      bench::fail("epoll_ctl");
    }
  }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  ~Bell() {
    close(event_);
    close(epoll_);
  }

  void ring() const {
    const std::uint64_t one = 1;
    if (write(event_, &one, sizeof one) != sizeof one) bench::fail("write");
  }
  /// Sleeps until it rings, at most `timeout_ms`.
  void wait(int timeout_ms) const {
    epoll_event events[8];
    if (epoll_wait(epoll_, events, 8, timeout_ms) == 0) return;
    std::uint64_t count;
    if (read(event_, &count, sizeof count) != sizeof count) {
      bench::fail("read");
    }
  }

 private:
  int epoll_ = epoll_create1(0);
  int event_ = eventfd(0, EFD_NONBLOCK);
};

// -- posts -------------------------------------------------------------------

// How far the producers run ahead. Without a bound, what is measured is how
// fast a vector of a million callbacks grows.
constexpr std::uint64_t kAhead = 16'384;

/// Starts `producers` threads that call `post` until all operations are done,
/// and calls `consume` here, which counts in `done` what has run. Times from
/// the start to the end of both.
template <class Post, class Consume>
void produce(Run& run, unsigned producers, bool one_cpu,
             const std::atomic<std::uint64_t>& done, Post&& post,
             Consume&& consume) {
  std::optional<bench::Pin> pin;
  if (one_cpu) pin.emplace(0);
  std::atomic<bool> go{false};
  std::atomic<unsigned> waiting{0};
  std::vector<std::thread> threads;
  for (unsigned index = 0; index < producers; ++index) {
    threads.emplace_back([&, index] {
      std::optional<bench::Pin> own;
      if (!one_cpu) own.emplace(static_cast<int>(index + 1));
      ++waiting;
      while (!go.load()) std::this_thread::yield();
      const std::uint64_t share = run.operations() / producers;
      for (std::uint64_t n = 0; n < share; ++n) {
        if (n % 256 == 0) {
          while (n > done.load() / producers + kAhead / producers) {
            std::this_thread::yield();
          }
        }
        post();
      }
    });
  }
  while (waiting.load() < producers) std::this_thread::yield();
  run.measure("all", [&] {
    go.store(true);
    consume();
  });
  for (std::thread& thread : threads) thread.join();
}

/// What the consumer has done, for the producers to see: written by one
/// thread, so a store does.
struct Counter {
  std::uint64_t add() {
    const std::uint64_t sum = done.load(std::memory_order_relaxed) + 1;
    done.store(sum, std::memory_order_relaxed);
    return sum;
  }
  std::atomic<std::uint64_t> done{0};
};

void ours_post(Run& run, unsigned producers, bool one_cpu) {
  rondo::EventLoop loop;
  Counter counter;
  produce(
      run, producers, one_cpu, counter.done,
      [&, total = run.operations()] {
        loop.call_soon_threadsafe([&, total] {
          if (counter.add() == total) loop.stop();
        });
      },
      [&] { loop.run_forever(); });
  run.check(counter.done, run.operations(), "posts that ran");
  run.check(loop.stats().remote_calls, run.operations(), "posts taken");
}

/// The queue that a hand-written loop would have.
class FloorMailbox {
 public:
  using Function = void (*)(void*);

  void post(Function function, void* data) {
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = incoming_.empty();
      incoming_.push_back({function, data});
    }
    if (first && sleeping_.exchange(false)) bell_.ring();
  }

  /// Runs what was posted; sleeps first if there is nothing.
  void turn() {
    sleeping_.store(true);
    bool nothing;
    {
      const std::lock_guard lock(mutex_);
      nothing = incoming_.empty();
    }
    bell_.wait(nothing ? -1 : 0);
    sleeping_.store(false);
    {
      const std::lock_guard lock(mutex_);
      taken_.swap(incoming_);
    }
    for (const Item& item : taken_) item.function(item.data);
    taken_.clear();
  }

 private:
  struct Item {
    Function function;
    void* data;
  };
  std::mutex mutex_;
  std::vector<Item> incoming_;
  std::vector<Item> taken_;
  std::atomic<bool> sleeping_{false};
  Bell bell_;
};

void floor_post(Run& run, unsigned producers, bool one_cpu) {
  FloorMailbox mailbox;
  Counter counter;
  produce(
      run, producers, one_cpu, counter.done,
      [&] {
        mailbox.post([](void* data) { static_cast<Counter*>(data)->add(); },
                     &counter);
      },
      [&] {
        while (counter.done < run.operations()) mailbox.turn();
      });
  run.check(counter.done, run.operations(), "posts that ran");
}

// -- both halves, one after the other ----------------------------------------

constexpr std::uint64_t kBatch = 1000;

void ours_batch(Run& run) {
  rondo::EventLoop loop;
  Counter counter;
  for (std::uint64_t left = run.operations(); left > 0; left -= kBatch) {
    run.measure("post", [&] {
      for (std::uint64_t n = 0; n < kBatch; ++n) {
        loop.call_soon_threadsafe([&] { counter.add(); });
      }
    });
    run.measure("run", [&] {
      loop.stop();  // one pass, without sleeping
      loop.run_forever();
    });
  }
  run.check(counter.done, run.operations(), "posts that ran");
}

void floor_batch(Run& run) {
  FloorMailbox mailbox;
  Counter counter;
  for (std::uint64_t left = run.operations(); left > 0; left -= kBatch) {
    run.measure("post", [&] {
      for (std::uint64_t n = 0; n < kBatch; ++n) {
        mailbox.post([](void* data) { static_cast<Counter*>(data)->add(); },
                     &counter);
      }
    });
    run.measure("run", [&] { mailbox.turn(); });
  }
  run.check(counter.done, run.operations(), "posts that ran");
}

// -- ping-pong ---------------------------------------------------------------

/// Runs `far` in a thread and `near` here, both on one processor.
template <class Far, class Near>
void on_one_cpu(Run& run, Far&& far, Near&& near) {
  const bench::Pin pin(0);
  std::atomic<bool> ready{false};
  std::thread thread([&] {
    ready.store(true);
    far();
  });
  while (!ready.load()) std::this_thread::yield();
  run.measure("all", [&] {
    near();
    thread.join();
  });
}

/// One of two loops that throw a callback at each other.
struct Player {
  rondo::EventLoop loop;
  Player* other = nullptr;
  std::uint64_t left = 0;

  void hit() {
    const bool last = --left == 0;
    other->loop.call_soon_threadsafe([to = other] { to->hit(); });
    if (last) loop.stop();
  }
};

void ours_ping_pong(Run& run) {
  Player near;
  Player far;
  near.other = &far;
  far.other = &near;
  // The near one serves; what it is sent back counts. The last ball of the
  // far one finds nobody who would play on.
  near.left = run.operations() + 1;
  far.left = run.operations();
  on_one_cpu(
      run, [&] { far.loop.run_forever(); },
      [&] {
        near.loop.call_soon([&] { near.hit(); });
        near.loop.run_forever();
      });
  run.check(run.operations() - near.left - far.left, run.operations(), "balls");
}

void floor_ping_pong(Run& run) {
  Bell near;
  Bell far;
  std::uint64_t hits = 0;
  on_one_cpu(
      run,
      [&] {
        for (std::uint64_t left = run.operations(); left > 0; --left) {
          far.wait(-1);
          near.ring();
        }
      },
      [&] {
        for (; hits < run.operations(); ++hits) {
          far.ring();
          near.wait(-1);
        }
      });
  run.check(hits, run.operations(), "balls");
}

void add_posts(bench::Program& program, unsigned producers) {
  const std::string name = "remote/post_" + std::to_string(producers);
  program.add(name + "_apart", 1'000'000, bench::Clock::kWall)
      .contestant("ours", [=](Run& run) { ours_post(run, producers, false); })
      .contestant("mailbox",
                  [=](Run& run) { floor_post(run, producers, false); })
      .row("mailbox", bench::at_most_ns(35));
  program.add(name, 1'000'000, bench::Clock::kProcess)
      .contestant("ours", [=](Run& run) { ours_post(run, producers, true); })
      .contestant("mailbox",
                  [=](Run& run) { floor_post(run, producers, true); })
      .row("mailbox", bench::at_most_ns(35));
}

}  // namespace

int main(int argc, char** argv) {
  // From the first thread on, the C library locks with atomic instructions,
  // and does not go back. So it is for who needs to post.
  std::thread([] {}).join();
  bench::Program program(argc, argv);
  add_posts(program, 1);
  add_posts(program, 2);
  program.add("remote/batch_1000", 1'000'000)
      .contestant("ours", ours_batch)
      .contestant("mailbox", floor_batch)
      .row("mailbox", {}, "post")
      .row("mailbox", {}, "run");
  program.add("remote/ping_pong", 50'000, bench::Clock::kProcess)
      .contestant("ours", ours_ping_pong)
      .contestant("eventfd", floor_ping_pong)
      .row("eventfd", bench::at_most_ratio(1.05));
  return program.run();
}
