// SPDX-License-Identifier: MIT
//
// Timers: made, cancelled, moved, fired. Deadlines are random, from one seed.
//
//   timers/insert_cancel_N        N made, due within a minute, then all
//                                 cancelled in the order they were made
//   timers/insert_expire_N        N made, due in 0 to 9 ms, and the loop runs
//                                 until all have fired
//   timers/insert_expire_1000000  a million made over one second, then that
//                                 second passes in 1,000 passes of the loop
//   timers/..._fresh              the same two in memory that the process has
//                                 not had before: most of the difference is
//                                 the kernel's, a page fault for each 4 KiB
//   timers/reschedule_N           N live timers; each in turn is moved back
//   timers/cancel_call_later_N    the same the way asyncio has to do it:
//                                 cancel() and a new call_later()
//   timers/cancel_call_at_N       the same with a deadline that is known, so
//                                 without a look at the clock
//
// The clock of the loop with that million is a kernel of our own, so that a
// second passes when the program says so.

#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "bench/support/floor_heap.h"
#include "bench/support/harness.h"
#include "reactor/event_loop.h"

namespace {

using bench::FloorHeap;
using bench::Run;
using rondo::Duration;
using rondo::TimePoint;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kMillion = 1'000'000;

std::int64_t real_now() { return bench::now_ns(bench::Clock::kWall); }

TimePoint at(std::int64_t ns) { return TimePoint(Duration(ns)); }

/// `count` numbers from zero up to `limit`, the same each time.
const std::vector<std::int64_t>& random_delays(std::size_t count,
                                               std::int64_t limit) {
  static std::vector<std::int64_t> delays;
  static std::int64_t made_for = 0;
  if (delays.size() < count || made_for != limit) {
    std::mt19937_64 random(1);
    delays.resize(count);
    for (std::int64_t& delay : delays) {
      delay = static_cast<std::int64_t>(random() %
                                        static_cast<std::uint64_t>(limit));
    }
    made_for = limit;
  }
  return delays;
}

/// A kernel whose clock stands still until it is told.
class SteppedKernel : public rondo::LinuxKernel {
 public:
  std::int64_t monotonic_ns() noexcept override { return now; }
  std::int64_t now = kSecond;
};

/// Whether a sample finds the memory that the last one has left.
enum class Memory { kWarm, kFresh };

void prepare(Memory memory) {
  if (memory == Memory::kFresh) malloc_trim(0);
}

// -- insert and cancel -------------------------------------------------------

/// `count` timers, as often as the sample asks for.
std::size_t at_once(const Run& run, std::size_t count) {
  return std::min<std::size_t>(count, run.operations());
}

void ours_insert_cancel(Run& run, std::size_t scale, Memory memory) {
  prepare(memory);
  const std::size_t count = at_once(run, scale);
  const auto& delays = random_delays(count, 60 * kSecond);
  rondo::EventLoop loop;
  std::vector<rondo::TimerHandle> handles(count);
  std::uint64_t ran = 0;
  std::uint64_t cancelled = 0;
  const std::int64_t base = real_now() + kSecond;
  for (std::uint64_t left = run.operations(); left >= count; left -= count) {
    run.measure("insert", [&] {
      for (std::size_t n = 0; n < count; ++n) {
        handles[n] = loop.call_at(at(base + delays[n]), [&ran] { ++ran; });
      }
    });
    run.measure("cancel", [&] {
      for (rondo::TimerHandle& handle : handles) handle.cancel();
    });
    loop.stop();  // one pass, without sleeping
    loop.run_forever();
    for (const rondo::TimerHandle& handle : handles) {
      cancelled += handle.cancelled();
    }
  }
  run.check(cancelled, run.operations(), "cancelled");
  run.check(ran, 0, "timers that ran though cancelled");
}

void heap_insert_cancel(Run& run, std::size_t scale, Memory memory) {
  prepare(memory);
  const std::size_t count = at_once(run, scale);
  const auto& delays = random_delays(count, 60 * kSecond);
  FloorHeap heap(count);
  std::vector<FloorHeap::Timer*> timers(count);
  std::uint64_t ran = 0;
  std::uint64_t cancelled = 0;
  const std::int64_t base = real_now() + kSecond;
  for (std::uint64_t left = run.operations(); left >= count; left -= count) {
    run.measure("insert", [&] {
      for (std::size_t n = 0; n < count; ++n) {
        timers[n] = heap.call_at(base + delays[n], [&ran] { ++ran; });
      }
    });
    run.measure("cancel", [&] {
      for (FloorHeap::Timer* timer : timers) heap.cancel(timer);
    });
    run.check(heap.size(), 0, "timers left");
    cancelled += count;
  }
  run.check(cancelled, run.operations(), "cancelled");
  run.check(ran, 0, "timers that ran though cancelled");
}

// -- insert and expire -------------------------------------------------------

constexpr std::int64_t kTicks = 1000;

void ours_insert_expire(Run& run, Memory memory) {
  prepare(memory);
  const std::size_t count = run.operations();
  const auto& delays = random_delays(count, kSecond);
  SteppedKernel kernel;
  rondo::EventLoop loop(rondo::LoopOptions().kernel(kernel));
  std::uint64_t ran = 0;
  run.measure("insert", [&] {
    for (std::size_t n = 0; n < count; ++n) {
      loop.call_at(at(kSecond + delays[n]), [&ran] { ++ran; });
    }
  });
  run.measure("expire", [&] {
    for (std::int64_t tick = 0; tick < kTicks; ++tick) {
      kernel.now += kSecond / kTicks;
      loop.poll_events(Duration::zero());
      loop.collect();
      loop.run_ready();
    }
  });
  run.check(ran, count, "timers that ran");
}

void heap_insert_expire(Run& run, Memory memory) {
  prepare(memory);
  const std::size_t count = run.operations();
  const auto& delays = random_delays(count, kSecond);
  FloorHeap heap(count);
  std::uint64_t ran = 0;
  std::int64_t now = kSecond;
  run.measure("insert", [&] {
    for (std::size_t n = 0; n < count; ++n) {
      heap.call_at(kSecond + delays[n], [&ran] { ++ran; });
    }
  });
  run.measure("expire", [&] {
    for (std::int64_t tick = 0; tick < kTicks; ++tick) {
      now += kSecond / kTicks;
      heap.run_due(now);
    }
  });
  run.check(ran, count, "timers that ran");
}

/// Whole milliseconds up to ten, as most peers know no others: so many waits
/// for everyone.
std::vector<std::int64_t> soon_delays(std::size_t count) {
  constexpr std::int64_t kMillisecond = kSecond / 1000;
  std::vector<std::int64_t> delays = random_delays(count, 10);
  for (std::int64_t& delay : delays) delay *= kMillisecond;
  return delays;
}

void ours_insert_expire_soon(Run& run, std::size_t scale) {
  const std::size_t count = at_once(run, scale);
  const auto delays = soon_delays(count);
  rondo::EventLoop loop;
  std::uint64_t ran = 0;
  std::uint64_t wanted = 0;
  const auto fire = [&] {
    if (++ran == wanted) loop.stop();
  };
  for (std::uint64_t left = run.operations(); left >= count; left -= count) {
    wanted += count;
    run.measure("insert", [&] {
      const std::int64_t base = real_now();
      for (std::size_t n = 0; n < count; ++n) {
        loop.call_at(at(base + delays[n]), [&fire] { fire(); });
      }
    });
    run.measure("expire", [&] { loop.run_forever(); });
  }
  run.check(ran, run.operations(), "timers that ran");
}

void heap_insert_expire_soon(Run& run, std::size_t scale) {
  const std::size_t count = at_once(run, scale);
  const auto delays = soon_delays(count);
  FloorHeap heap(count);
  std::uint64_t ran = 0;
  for (std::uint64_t left = run.operations(); left >= count; left -= count) {
    run.measure("insert", [&] {
      const std::int64_t base = real_now();
      for (std::size_t n = 0; n < count; ++n) {
        heap.call_at(base + delays[n], [&ran] { ++ran; });
      }
    });
    run.measure("expire", [&] {
      while (heap.size() > 0) {
        const std::int64_t wait_ns = heap.next_deadline() - real_now();
        if (wait_ns > 0) {
          const timespec wait{0, wait_ns};
          nanosleep(&wait, nullptr);
        }
        heap.run_due(real_now());
      }
    });
  }
  run.check(ran, run.operations(), "timers that ran");
}

// -- moving a deadline among `live` ------------------------------------------

/// Live timers with random deadlines, an hour from now.
struct OurTimers {
  explicit OurTimers(std::size_t live) : handles(live) {
    const auto& delays = random_delays(live, 60 * kSecond);
    for (std::size_t n = 0; n < live; ++n) {
      handles[n] = loop.call_at(at(base + delays[n]), [this] { ++ran; });
    }
  }
  std::int64_t base = real_now() + 3600 * kSecond;
  std::uint64_t ran = 0;
  rondo::EventLoop loop;
  std::vector<rondo::TimerHandle> handles;
};

struct FloorTimers {
  explicit FloorTimers(std::size_t live) : heap(live + 1), timers(live) {
    const auto& delays = random_delays(live, 60 * kSecond);
    for (std::size_t n = 0; n < live; ++n) {
      timers[n] = heap.call_at(base + delays[n], [this] { ++ran; });
    }
  }
  std::int64_t base = real_now() + 3600 * kSecond;
  std::uint64_t ran = 0;
  FloorHeap heap;
  std::vector<FloorHeap::Timer*> timers;
};

/// Calls `move(n, delay)` for each timer in turn, `operations` times.
template <class Move>
void churn(Run& run, std::size_t live, Move&& move) {
  const auto& delays = random_delays(live, 60 * kSecond);
  run.measure("all", [&] {
    std::size_t n = 0;
    std::size_t with = live / 2;
    for (std::uint64_t left = run.operations(); left > 0; --left) {
      move(n, delays[with]);
      if (++n == live) n = 0;
      if (++with == live) with = 0;
    }
  });
}

/// Where a timer is pushed to: a minute further in each pass over all of them,
/// and as spread as before. So every push is to a later time, and the last pass
/// finds what the first found.
class Pushes {
 public:
  explicit Pushes(std::int64_t base) : base_(base) {}
  std::int64_t next(std::size_t n, std::int64_t delay) {
    if (n == 0) base_ += 60 * kSecond;
    ++count_;
    return base_ + delay;
  }
  std::uint64_t count() const { return count_; }

 private:
  std::int64_t base_;
  std::uint64_t count_ = 0;
};

void ours_reschedule(Run& run, std::size_t live) {
  OurTimers timers(live);
  std::uint64_t moved = 0;
  Pushes pushes(timers.base);
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    moved += timers.handles[n].reschedule(at(pushes.next(n, delay)));
  });
  run.check(moved, run.operations(), "timers moved");
  timers.loop.stop();  // one pass, without sleeping: nothing is due
  timers.loop.run_forever();
  run.check(timers.ran, 0, "timers that ran too early");
}

void lazy_reschedule(Run& run, std::size_t live) {
  FloorTimers timers(live);
  Pushes pushes(timers.base);
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    timers.heap.reschedule(timers.timers[n], pushes.next(n, delay));
  });
  run.check(pushes.count(), run.operations(), "moves");
  timers.heap.run_due(real_now());
  run.check(timers.ran, 0, "timers that ran too early");
  run.check(timers.timers[0]->when >= timers.base + 60 * kSecond, 1,
            "timers moved");
}

void ours_cancel_call_later(Run& run, std::size_t live) {
  OurTimers timers(live);
  std::uint64_t moved = 0;
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    ++moved;
    timers.handles[n].cancel();
    timers.handles[n] = timers.loop.call_later(Duration(3600 * kSecond + delay),
                                               [&timers] { ++timers.ran; });
  });
  run.check(moved, run.operations(), "moves");
  run.check(timers.ran, 0, "timers that ran too early");
}

void heap_cancel_call_later(Run& run, std::size_t live) {
  FloorTimers timers(live);
  std::uint64_t moved = 0;
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    ++moved;
    timers.heap.cancel(timers.timers[n]);
    timers.timers[n] = timers.heap.call_at(real_now() + 3600 * kSecond + delay,
                                           [&timers] { ++timers.ran; });
  });
  run.check(moved, run.operations(), "moves");
  run.check(timers.heap.size(), live, "timers live");
}

void ours_cancel_call_at(Run& run, std::size_t live) {
  OurTimers timers(live);
  std::uint64_t moved = 0;
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    ++moved;
    timers.handles[n].cancel();
    timers.handles[n] = timers.loop.call_at(at(timers.base + delay),
                                            [&timers] { ++timers.ran; });
  });
  run.check(moved, run.operations(), "moves");
  run.check(timers.ran, 0, "timers that ran too early");
}

void heap_cancel_call_at(Run& run, std::size_t live) {
  FloorTimers timers(live);
  std::uint64_t moved = 0;
  churn(run, live, [&](std::size_t n, std::int64_t delay) {
    ++moved;
    timers.heap.cancel(timers.timers[n]);
    timers.timers[n] =
        timers.heap.call_at(timers.base + delay, [&timers] { ++timers.ran; });
  });
  run.check(moved, run.operations(), "moves");
  run.check(timers.heap.size(), live, "timers live");
}

/// The three kinds of moving, among `live` timers.
void add_churn(bench::Program& program, std::size_t live) {
  const std::string among = "_" + std::to_string(live);
  program.add("timers/reschedule" + among, 2'000'000)
      .contestant("ours", [=](Run& run) { ours_reschedule(run, live); })
      .contestant("lazy", [=](Run& run) { lazy_reschedule(run, live); })
      .row("lazy", bench::at_most_ns(8));
  program.add("timers/cancel_call_later" + among, 500'000)
      .contestant("ours", [=](Run& run) { ours_cancel_call_later(run, live); })
      .contestant("heap", [=](Run& run) { heap_cancel_call_later(run, live); })
      .row("heap", bench::at_most_ns(40));
  program.add("timers/cancel_call_at" + among, 500'000)
      .contestant("ours", [=](Run& run) { ours_cancel_call_at(run, live); })
      .contestant("heap", [=](Run& run) { heap_cancel_call_at(run, live); })
      .row("heap");
}

/// `count` timers, made and got rid of in two ways.
void add_counts(bench::Program& program, std::size_t count) {
  const std::string of = "_" + std::to_string(count);
  program.add("timers/insert_cancel" + of, 500'000)
      .contestant(
          "ours",
          [=](Run& run) { ours_insert_cancel(run, count, Memory::kWarm); })
      .contestant(
          "heap",
          [=](Run& run) { heap_insert_cancel(run, count, Memory::kWarm); })
      .row("heap");
  program.add("timers/insert_expire" + of, 200'000)
      .contestant("ours",
                  [=](Run& run) { ours_insert_expire_soon(run, count); })
      .contestant("heap",
                  [=](Run& run) { heap_insert_expire_soon(run, count); })
      .row("heap");
}

/// A million timers, the same.
void add_millions(bench::Program& program, Memory memory) {
  const std::string ending = memory == Memory::kFresh ? "_fresh" : "";
  program.add("timers/insert_cancel_1000000" + ending, 1'000'000)
      .contestant("ours",
                  [=](Run& run) { ours_insert_cancel(run, kMillion, memory); })
      .contestant("heap",
                  [=](Run& run) { heap_insert_cancel(run, kMillion, memory); })
      .row("heap", bench::at_most_ns(60))
      .row("heap", {}, "insert")
      .row("heap", {}, "cancel")
      .rounds(9);
  program.add("timers/insert_expire_1000000" + ending, 1'000'000)
      .contestant("ours", [=](Run& run) { ours_insert_expire(run, memory); })
      .contestant("heap", [=](Run& run) { heap_insert_expire(run, memory); })
      .row("heap", bench::at_most_ns(270))
      .row("heap", {}, "insert")
      .row("heap", {}, "expire")
      .rounds(9);
}

}  // namespace

int main(int argc, char** argv) {
  // Keep what was freed. Otherwise it depends on the order of frees whether a
  // sample pays the kernel for its memory again.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_MAX, 0);
  bench::Program program(argc, argv);
  add_counts(program, 10'000);
  add_counts(program, 100'000);
  add_millions(program, Memory::kWarm);
  add_millions(program, Memory::kFresh);
  add_churn(program, 10'000);
  add_churn(program, 100'000);
  return program.run();
}
