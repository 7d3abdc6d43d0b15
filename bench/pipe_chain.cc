// SPDX-License-Identifier: MIT
//
// libevent's classic: N socket pairs, of which A are active. A byte arrives
// at a pair, its reader takes it and writes one byte into the next pair. One
// operation is one byte read: a read(2), a write(2) and a share of one
// epoll_wait(2).
//
//   pipe_chain/N_A       readers that stay registered
//   pipe_chain/N_A_idle  each pair also has an idle timeout of ten seconds,
//                        moved with every event
//
// The floor is a loop over epoll_wait(2) with an array of the pairs. Where
// timers are, it keeps them in the heap of bench/support/floor_heap.h, looks
// at the clock as often as an event moves a deadline and once a turn, and
// sleeps no longer than to the first.

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/support/floor_heap.h"
#include "bench/support/harness.h"
#include "reactor/event_loop.h"

namespace {

using bench::FloorHeap;
using bench::Run;

constexpr std::int64_t kIdleNs = 10'000'000'000;

struct Load {
  std::size_t pairs;
  std::size_t active;
  bool idle_timers;
};

struct Pair {
  int read_end;
  int write_end;
};

/// `count` socket pairs, kept for all who ask: making them takes longer than
/// measuring.
const std::vector<Pair>& socket_pairs(std::size_t count) {
  static std::vector<Pair> pairs;
  while (pairs.size() < count) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
      bench::fail("socketpair: too few descriptors (ulimit -n)?");
    }
    pairs.push_back({ends[0], ends[1]});
  }
  return pairs;
}

/// The bytes on their way: so many still to be written and to be read.
struct Relay {
  Relay(const Load& load, std::uint64_t events)
      : pairs(socket_pairs(load.pairs)),
        count(load.pairs),
        to_read(events),
        to_write(events) {
    const std::size_t apart = load.pairs / load.active;
    for (std::size_t n = 0; n < load.active; ++n) send(n * apart);
  }

  /// What a reader does. Returns whether that was the last byte.
  bool relay(std::size_t index) {
    char byte;
    if (read(pairs[index].read_end, &byte, 1) != 1) bench::fail("read");
    send(index + 1 == count ? 0 : index + 1);
    return --to_read == 0;
  }
  void send(std::size_t index) {
    if (to_write == 0) return;
    --to_write;
    if (write(pairs[index].write_end, "x", 1) != 1) bench::fail("write");
  }

  const std::vector<Pair>& pairs;
  const std::size_t count;
  std::uint64_t to_read;
  std::uint64_t to_write;
};

// -- ours --------------------------------------------------------------------

void ours(Run& run, const Load& load) {
  rondo::EventLoop loop;
  std::vector<rondo::TimerHandle> idle;
  Relay relay(load, run.operations());
  std::uint64_t timed_out = 0;
  const rondo::Duration limit(kIdleNs);
  run.measure("setup", load.pairs, [&] {
    for (std::size_t index = 0; index < load.pairs; ++index) {
      const int fd = relay.pairs[index].read_end;
      if (!load.idle_timers) {
        loop.add_reader(fd, [&, index] {
          if (relay.relay(index)) loop.stop();
        });
        continue;
      }
      idle.push_back(loop.call_later(limit, [&] { ++timed_out; }));
      loop.add_reader(fd, [&, index] {
        idle[index].reschedule(loop.time() + limit);
        if (relay.relay(index)) loop.stop();
      });
    }
  });
  run.measure("events", [&] { loop.run_forever(); });
  run.check(run.operations() - relay.to_read, run.operations(), "events");
  run.check(timed_out, 0, "idle timeouts");
  for (std::size_t index = 0; index < load.pairs; ++index) {
    loop.remove_reader(relay.pairs[index].read_end);
  }
}

// -- floor -------------------------------------------------------------------

std::int64_t clock_now() { return bench::now_ns(bench::Clock::kWall); }

/// How long epoll_wait(2) may sleep, rounded up.
int timeout_ms(const FloorHeap& heap) {
  if (heap.size() == 0) return -1;
  const std::int64_t left = heap.next_deadline() - clock_now();
  return left <= 0 ? 0 : static_cast<int>((left + 999'999) / 1'000'000);
}

void raw(Run& run, const Load& load) {
  const int epoll = epoll_create1(0);
  FloorHeap heap(load.pairs);
  std::vector<FloorHeap::Timer*> idle(load.pairs);
  Relay relay(load, run.operations());
  std::uint64_t timed_out = 0;
  run.measure("setup", load.pairs, [&] {
    for (std::size_t index = 0; index < load.pairs; ++index) {
      if (load.idle_timers) {
        idle[index] = heap.call_at(clock_now() + kIdleNs, [&] { ++timed_out; });
      }
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = index;
      if (epoll_ctl(epoll, EPOLL_CTL_ADD, relay.pairs[index].read_end,
                    &event) != 0) {
        bench::fail("epoll_ctl");
      }
    }
  });
  run.measure("events", [&] {
    epoll_event events[1024];
    while (relay.to_read > 0) {
      const int count = epoll_wait(epoll, events, 1024, timeout_ms(heap));
      if (count < 0) bench::fail("epoll_wait");
      for (int n = 0; n < count; ++n) {
        const std::size_t index = events[n].data.u64;
        if (load.idle_timers) {
          heap.reschedule(idle[index], clock_now() + kIdleNs);
        }
        relay.relay(index);
      }
      if (load.idle_timers) heap.run_due(clock_now());
    }
  });
  run.check(run.operations() - relay.to_read, run.operations(), "events");
  run.check(timed_out, 0, "idle timeouts");
  close(epoll);
}

void add(bench::Program& program, const Load& load) {
  const std::string name = "pipe_chain/" + std::to_string(load.pairs) + "_" +
                           std::to_string(load.active) +
                           (load.idle_timers ? "_idle" : "");
  program.add(name, 20'000)
      .rounds(41)
      .contestant("ours", [=](Run& run) { ours(run, load); })
      .contestant("raw", [=](Run& run) { raw(run, load); })
      .timed("events")
      .row("raw", bench::at_most_ratio(1.05), "events")
      .row("raw", {}, "setup");
}

/// As many pairs as the limit allows, at most libevent's 10,000 less a few.
std::size_t pairs_max() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t pairs = (limit.rlim_cur - 100) / 2;
  return std::min<std::size_t>(9'900, pairs);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Program program(argc, argv);
  const std::size_t many = pairs_max();
  for (const bool idle_timers : {false, true}) {
    for (const std::size_t pairs : {std::size_t{1'000}, many}) {
      for (const std::size_t active : {std::size_t{1}, std::size_t{100}}) {
        add(program, {pairs, active, idle_timers});
      }
    }
  }
  return program.run();
}
