// SPDX-License-Identifier: MIT
//
// GLib's main loop. A callback for later is an idle source, attached each time
// it is to run, here at the priority of the rest: idle sources else wait until
// nothing else is ready. Its timers and descriptors are sources in lists,
// looked through at each turn, and it waits with poll(2).
// While a source is called it is out of that list; to take it out and to put it
// back are a write to an eventfd each.

#include <glib-unix.h>
#include <glib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/peers/glib/loop.h"
#include "bench/peers/glib/servers.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using glib::Loop;
using peers::Clock;
using peers::Sample;

GSource* soon_source(int priority = G_PRIORITY_DEFAULT) {
  GSource* source = g_idle_source_new();
  g_source_set_priority(source, priority);
  return source;
}

// -- soon --------------------------------------------------------------------

struct Batches {
  static constexpr std::uint64_t kSize = 1000;

  Loop loop;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static gboolean on_call(void* data) {
    ++static_cast<Batches*>(data)->ran;
    return G_SOURCE_REMOVE;
  }
  /// Runs when nothing else is ready: after all that it has asked for.
  static gboolean on_pump(void* data) {
    auto& self = *static_cast<Batches*>(data);
    if (self.left == 0) {
      self.loop.stop();
      return G_SOURCE_REMOVE;
    }
    for (std::uint64_t n = 0; n < kSize; ++n) {
      self.loop.attach(soon_source(), on_call, &self);
    }
    self.left -= kSize;
    return G_SOURCE_CONTINUE;
  }
};

void batch(Sample& sample) {
  Batches batches;
  batches.left = sample.operations();
  batches.loop.attach(soon_source(G_PRIORITY_DEFAULT_IDLE), Batches::on_pump,
                      &batches);
  sample.measure([&] { batches.loop.run(); });
  sample.done(batches.ran);
}

struct Link {
  Loop loop;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static gboolean on_call(void* data) {
    auto& self = *static_cast<Link*>(data);
    ++self.ran;
    if (--self.left == 0) {
      self.loop.stop();
    } else {
      self.loop.attach(soon_source(), on_call, &self);
    }
    return G_SOURCE_REMOVE;
  }
};

void chain(Sample& sample) {
  Link link;
  link.left = sample.operations();
  link.loop.attach(soon_source(), Link::on_call, &link);
  sample.measure([&] { link.loop.run(); });
  sample.done(link.ran);
}

// -- timers ------------------------------------------------------------------

struct Timers {
  explicit Timers(std::size_t count) : sources(count) {}

  Loop loop;
  std::vector<GSource*> sources;
  std::uint64_t ran = 0;
  std::uint64_t wanted = 0;

  static gboolean on_time(void* data) {
    auto& self = *static_cast<Timers*>(data);
    if (++self.ran == self.wanted) self.loop.stop();
    return G_SOURCE_REMOVE;
  }
  void add(std::size_t index, std::uint32_t delay_ms) {
    sources[index] = g_timeout_source_new(delay_ms);
    loop.attach(sources[index], on_time, this);
  }
};

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays_ms = peers::far_delays_ms(count);
  Timers timers(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) timers.add(n, delays_ms[n]);
    });
    std::uint64_t armed = 0;
    for (std::size_t n = 0; n < size; ++n) {
      armed += g_source_get_ready_time(timers.sources[n]) > 0;
    }
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        g_source_destroy(timers.sources[n]);
      }
    });
    sample.done(armed);
  });
  if (timers.ran > 0) peers::fail("timers that ran though cancelled");
}

void insert_expire(Sample& sample, std::size_t count) {
  const auto delays_ms = peers::near_delays_ms(count);
  Timers timers(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    timers.ran = 0;
    timers.wanted = size;
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) timers.add(n, delays_ms[n]);
      timers.loop.run();
    });
    sample.done(timers.ran);
  });
}

void reschedule(Sample& sample, std::size_t live) {
  const auto delays_ms = peers::far_delays_ms(live);
  Timers timers(live);
  for (std::size_t n = 0; n < live; ++n) timers.add(n, delays_ms[n]);
  const std::int64_t now_us = g_get_monotonic_time();
  std::uint32_t pass = 0;
  const auto due_us = [&](std::size_t n) {
    return now_us +
           peers::pushed_delay_ms(delays_ms, n, pass) * std::int64_t{1000};
  };
  peers::in_batches(sample.operations(), live, [&](std::size_t size) {
    ++pass;
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        g_source_set_ready_time(timers.sources[n], due_us(n));
      }
    });
    std::uint64_t moved = 0;
    for (std::size_t n = 0; n < size; ++n) {
      moved += g_source_get_ready_time(timers.sources[n]) == due_us(n);
    }
    sample.done(moved);
  });
  if (timers.ran > 0) peers::fail("timers that ran too early");
  for (GSource* source : timers.sources) g_source_destroy(source);
}

// -- pipe chain --------------------------------------------------------------

// One byte round 9,900 pairs is left out: each event is a poll(2) of them all
// and takes 2 ms, so a round would last longer than the idle timeouts.
constexpr peers::Chain kChains[] = {{1'000, 1, false},   {1'000, 100, false},
                                    {9'900, 100, false}, {1'000, 1, true},
                                    {1'000, 100, true},  {9'900, 100, true}};

struct Pair {
  std::size_t index;
  peers::Relay* relay;
  Loop* loop;
  GSource* idle;

  static gboolean on_readable(int, GIOCondition, void* data) {
    const auto& pair = *static_cast<Pair*>(data);
    if (pair.idle != nullptr) {
      g_source_set_ready_time(pair.idle, idle_due_us());
    }
    if (pair.relay->relay(pair.index)) pair.loop->stop();
    return G_SOURCE_CONTINUE;
  }
  static gboolean on_idle(void*) { peers::fail("a pair that was idle"); }
  static std::int64_t idle_due_us() {
    return g_get_monotonic_time() + peers::kPairIdleMs * std::int64_t{1000};
  }
};

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  peers::Relay relay(chain, sample.operations());
  Loop loop;
  std::vector<Pair> pairs(relay.count());
  for (std::size_t index = 0; index < pairs.size(); ++index) {
    pairs[index] = {index, &relay, &loop, nullptr};
    if (chain.idle_timers) {
      pairs[index].idle = g_timeout_source_new(peers::kPairIdleMs);
      loop.attach(pairs[index].idle, Pair::on_idle, nullptr);
    }
    loop.attach(g_unix_fd_source_new(relay.read_end(index), G_IO_IN),
                glib::as_source_func(Pair::on_readable), &pairs[index]);
  }
  g_main_context_iteration(loop.get(), FALSE);
  relay.start();
  sample.measure([&] { loop.run(); });
  sample.done(sample.operations() - relay.left());
}

}  // namespace

int main(int argc, char** argv) {
  const char* name = "glib";
  peers::Program program("glib " + std::to_string(glib_major_version) + "." +
                         std::to_string(glib_minor_version) + "." +
                         std::to_string(glib_micro_version));
  program.add("soon/batch_1000", name, 100'000, Clock::kThread, batch);
  program.add("soon/chain_1", name, 50'000, Clock::kThread, chain);
  peers::add_timers(program, "insert_cancel", name, 100'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 100'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 100'000, reschedule);
  for (const peers::Chain& chain : kChains) {
    program.add("pipe_chain/" + std::to_string(chain.pairs) + "_" +
                    std::to_string(chain.active) +
                    (chain.idle_timers ? "_idle" : ""),
                name, 1'000, Clock::kThread,
                [chain](Sample& sample) { pipe_chain(sample, chain); });
  }
  program.add("remote/post_1", name, 100'000, Clock::kProcess,
              peers::post_1<Loop>);
  program.add("remote/ping_pong", name, 5'000, Clock::kProcess,
              peers::ping_pong<Loop>);
  glib::add_servers(program);
  return program.run(argc, argv);
}
