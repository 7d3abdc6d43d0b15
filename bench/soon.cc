// SPDX-License-Identifier: MIT
//
// call_soon: what one callback costs, from the call that schedules it until
// it has run.
//
//   soon/batch_1000        a callback schedules 1,000 and itself, again and
//                          again: one poll a thousand callbacks
//   soon/batch_1000_40b    the same with 40 bytes of captures
//   soon/batch_1000_kept   the same, and the handles are kept until the next
//                          batch, as who wants to cancel keeps them
//   soon/cancel_1000       1,000 scheduled, all cancelled, none runs
//   soon/chain_1           a callback that schedules itself: one poll each
//   soon/chain_1_budget_64 the same with LoopOptions::passes_per_poll(64)

#include <array>
#include <cstdint>
#include <vector>

#include "bench/support/floor_ring.h"
#include "bench/support/harness.h"
#include "reactor/event_loop.h"

namespace {

using bench::FloorHandleRing;
using bench::Run;

constexpr std::uint64_t kBatch = 1000;

// -- ours --------------------------------------------------------------------

/// Schedules batch after batch from inside the loop, then stops it. `Schedule`
/// is called for each callback with the loop and the counter.
template <class Schedule>
struct Pump {
  rondo::EventLoop* loop;
  std::uint64_t* ran;
  std::uint64_t left;
  Schedule* schedule;

  void operator()() {
    if (left == 0) return loop->stop();
    for (std::uint64_t n = 0; n < kBatch; ++n) (*schedule)(*loop, ran);
    left -= kBatch;
    loop->call_soon(Pump(*this));
  }
};

template <class Schedule>
void run_batches(Run& run, Schedule schedule) {
  rondo::EventLoop loop;
  std::uint64_t ran = 0;
  loop.call_soon(Pump<Schedule>{&loop, &ran, run.operations(), &schedule});
  run.measure("all", [&] { loop.run_forever(); });
  run.check(ran, run.operations(), "callbacks");
}

void ours_batch(Run& run) {
  run_batches(run, [](rondo::EventLoop& loop, std::uint64_t* ran) {
    loop.call_soon([ran] { ++*ran; });
  });
}

void ours_batch_40b(Run& run) {
  run_batches(run, [](rondo::EventLoop& loop, std::uint64_t* ran) {
    std::array<std::uint64_t, 4> ballast{1, 0, 0, 0};
    bench::keep(ballast);
    loop.call_soon([ran, ballast] { *ran += ballast[0] + ballast[3]; });
  });
}

void ours_batch_kept(Run& run) {
  std::vector<rondo::Handle> handles(kBatch);
  std::size_t at = 0;
  run_batches(run, [&](rondo::EventLoop& loop, std::uint64_t* ran) {
    handles[at] = loop.call_soon([ran] { ++*ran; });
    at = at + 1 == kBatch ? 0 : at + 1;
  });
}

void ours_cancel(Run& run) {
  std::vector<rondo::Handle> handles(kBatch);
  std::size_t at = 0;
  std::uint64_t cancelled = 0;
  rondo::EventLoop loop;
  std::uint64_t ran = 0;
  auto schedule = [&](rondo::EventLoop& on, std::uint64_t* count) {
    handles[at] = on.call_soon([count] { ++*count; });
    if (++at < kBatch) return;
    at = 0;
    for (rondo::Handle& handle : handles) {
      handle.cancel();
      cancelled += handle.cancelled();
    }
  };
  loop.call_soon(
      Pump<decltype(schedule)>{&loop, &ran, run.operations(), &schedule});
  run.measure("all", [&] { loop.run_forever(); });
  run.check(ran, 0, "callbacks that ran though cancelled");
  run.check(cancelled, run.operations(), "cancelled");
}

struct Chain {
  rondo::EventLoop* loop;
  std::uint64_t* left;
  void operator()() const {
    if (--*left == 0) return loop->stop();
    loop->call_soon(Chain(*this));
  }
};

void ours_chain(Run& run, unsigned passes_per_poll) {
  rondo::EventLoop loop(rondo::LoopOptions().passes_per_poll(passes_per_poll));
  std::uint64_t left = run.operations();
  loop.call_soon(Chain{&loop, &left});
  run.measure("all", [&] { loop.run_forever(); });
  run.check(run.operations() - left, run.operations(), "links of the chain");
  // One poll in so many passes, give or take the first.
  const std::uint64_t expected = run.operations() / passes_per_poll;
  run.check(loop.stats().polls - expected <= 1, true, "polls as promised");
}

// -- floors ------------------------------------------------------------------

struct BareLoop {
  bench::FloorRing ring;
  bench::FloorPoll poll;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;
  bool stopping = false;

  /// The loop: a poll every `passes` turns.
  void run_forever(unsigned passes) {
    for (unsigned since = passes; !stopping; ++since) {
      if (since >= passes) {
        poll.look();
        since = 0;
      }
      ring.run_ready();
    }
  }
};

void ring_batch(Run& run) {
  BareLoop loop;
  loop.left = run.operations();
  const auto pump = [](void* data) {
    auto& on = *static_cast<BareLoop*>(data);
    if (on.left == 0) return static_cast<void>(on.stopping = true);
    for (std::uint64_t n = 0; n < kBatch; ++n) {
      on.ring.call_soon(
          [](void* counter) { ++*static_cast<std::uint64_t*>(counter); },
          &on.ran);
    }
    on.left -= kBatch;
  };
  run.measure("all", [&] {
    while (!loop.stopping) {
      loop.ring.call_soon(pump, &loop);
      loop.poll.look();
      loop.ring.run_ready();
    }
  });
  run.check(loop.ran, run.operations(), "callbacks");
}

void ring_chain(Run& run, unsigned passes_per_poll) {
  BareLoop loop;
  loop.left = run.operations();
  struct Link {
    static void call(void* data) {
      auto& on = *static_cast<BareLoop*>(data);
      if (--on.left == 0) return static_cast<void>(on.stopping = true);
      on.ring.call_soon(&call, data);
    }
  };
  loop.ring.call_soon(&Link::call, &loop);
  run.measure("all", [&] { loop.run_forever(passes_per_poll); });
  run.check(run.operations() - loop.left, run.operations(),
            "links of the chain");
}

/// Batches in `ring`, each call by `schedule`. Then `ran` must be `expected`.
template <class Schedule>
void run_handle_batches(Run& run, FloorHandleRing& ring, Schedule schedule,
                        const std::uint64_t& ran, std::uint64_t expected) {
  bench::FloorPoll poll;
  std::uint64_t left = run.operations();
  run.measure("all", [&] {
    while (left > 0) {
      ring.call_soon([&] {
        for (std::uint64_t n = 0; n < kBatch; ++n) schedule();
        left -= kBatch;
      });
      poll.look();
      ring.run_ready();
    }
    ring.run_ready();
  });
  run.check(ran, expected, "callbacks");
}

void handles_batch(Run& run) {
  FloorHandleRing ring;
  std::uint64_t ran = 0;
  const auto schedule = [&ring, count = &ran] {
    ring.call_soon([count] { ++*count; });
  };
  run_handle_batches(run, ring, schedule, ran, run.operations());
}

void handles_batch_40b(Run& run) {
  FloorHandleRing ring;
  std::uint64_t ran = 0;
  const auto schedule = [&ring, count = &ran] {
    std::array<std::uint64_t, 4> ballast{1, 0, 0, 0};
    bench::keep(ballast);
    ring.call_soon([count, ballast] { *count += ballast[0] + ballast[3]; });
  };
  run_handle_batches(run, ring, schedule, ran, run.operations());
}

void handles_batch_kept(Run& run) {
  FloorHandleRing ring;
  std::vector<FloorHandleRing::Handle> handles(kBatch);
  std::uint64_t ran = 0;
  const auto schedule = [&, at = std::size_t{0}, count = &ran]() mutable {
    handles[at] = ring.call_soon([count] { ++*count; });
    at = at + 1 == kBatch ? 0 : at + 1;
  };
  run_handle_batches(run, ring, schedule, ran, run.operations());
}

void handles_cancel(Run& run) {
  FloorHandleRing ring;
  std::vector<FloorHandleRing::Handle> handles(kBatch);
  std::uint64_t ran = 0;
  std::uint64_t cancelled = 0;
  const auto schedule = [&, at = std::size_t{0}, count = &ran]() mutable {
    handles[at] = ring.call_soon([count] { ++*count; });
    if (++at < kBatch) return;
    at = 0;
    for (FloorHandleRing::Handle& handle : handles) handle.cancel();
    cancelled += kBatch;
  };
  run_handle_batches(run, ring, schedule, ran, 0);
  run.check(cancelled, run.operations(), "cancelled");
}

}  // namespace

int main(int argc, char** argv) {
  bench::Program program(argc, argv);
  program.add("soon/batch_1000", 2'000'000)
      .contestant("ours", ours_batch)
      .contestant("ring", ring_batch)
      .contestant("handles", handles_batch)
      .row("ring", bench::at_most_ns(8))
      .row("handles")
      .row_of("handles", "ring");
  program.add("soon/batch_1000_40b", 2'000'000)
      .contestant("ours", ours_batch_40b)
      .contestant("handles", handles_batch_40b)
      .row("handles");
  program.add("soon/batch_1000_kept", 2'000'000)
      .contestant("ours", ours_batch_kept)
      .contestant("handles", handles_batch_kept)
      .row("handles");
  program.add("soon/cancel_1000", 2'000'000)
      .contestant("ours", ours_cancel)
      .contestant("handles", handles_cancel)
      .row("handles");
  program.add("soon/chain_1", 200'000)
      .contestant("ours", [](Run& run) { ours_chain(run, 1); })
      .contestant("ring", [](Run& run) { ring_chain(run, 1); })
      .row("ring", bench::at_most_ratio(1.07));
  program.add("soon/chain_1_budget_64", 1'000'000)
      .contestant("ours", [](Run& run) { ours_chain(run, 64); })
      .contestant("ring", [](Run& run) { ring_chain(run, 64); })
      .row("ring", bench::at_most_ns(12));
  return program.run();
}
