// SPDX-License-Identifier: MIT
//
// libev, as its manual writes it.
//
// soon: ev_feed_event. What is fed meanwhile runs in the same pass, so a chain
// never polls; "libev_idle" starts idle watchers instead, which poll each turn
// as other libraries' calls do.
// timers: ev_timer_again is what the manual has for idle timeouts ("be smart
// about timeouts").
// remote: ev_async_send coalesces, so a queue stands beside it, as in the
// manual.

#include <ev.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/peers/libev/loop.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using peers::Clock;
using peers::Sample;

// -- soon, fed ---------------------------------------------------------------

struct Batches {
  std::vector<ev_prepare> watchers{1000};
  ev_prepare pump;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_fed(struct ev_loop*, ev_prepare* watcher, int) {
    ++*static_cast<std::uint64_t*>(watcher->data);
  }
  static void on_pump(struct ev_loop* loop, ev_prepare* watcher, int) {
    auto& self = *static_cast<Batches*>(watcher->data);
    if (self.left == 0) return;
    // What was fed last runs first.
    ev_feed_event(loop, watcher, EV_CUSTOM);
    const auto size = std::min<std::uint64_t>(self.left, self.watchers.size());
    for (std::uint64_t n = 0; n < size; ++n) {
      ev_feed_event(loop, &self.watchers[n], EV_CUSTOM);
    }
    self.left -= size;
  }
};

void batch(Sample& sample) {
  Batches batches;
  Loop loop;
  batches.left = sample.operations();
  for (ev_prepare& watcher : batches.watchers) {
    ev_init(&watcher, Batches::on_fed);
    watcher.data = &batches.ran;
  }
  ev_init(&batches.pump, Batches::on_pump);
  batches.pump.data = &batches;
  ev_feed_event(loop.get(), &batches.pump, EV_CUSTOM);
  sample.measure([&] { loop.run(); });
  sample.done(batches.ran);
}

struct Link {
  std::uint64_t left;
  std::uint64_t ran = 0;

  static void on_fed(struct ev_loop* loop, ev_prepare* watcher, int) {
    auto& self = *static_cast<Link*>(watcher->data);
    ++self.ran;
    if (--self.left > 0) ev_feed_event(loop, watcher, EV_CUSTOM);
  }
  static void on_idle(struct ev_loop* loop, ev_idle* watcher, int) {
    auto& self = *static_cast<Link*>(watcher->data);
    ev_idle_stop(loop, watcher);
    ++self.ran;
    if (--self.left > 0) ev_idle_start(loop, watcher);
  }
};

void chain(Sample& sample) {
  Link link{sample.operations()};
  Loop loop;
  ev_prepare watcher;
  ev_init(&watcher, Link::on_fed);
  watcher.data = &link;
  ev_feed_event(loop.get(), &watcher, EV_CUSTOM);
  sample.measure([&] { loop.run(); });
  sample.done(link.ran);
}

// -- soon, idle --------------------------------------------------------------

struct IdleBatches {
  std::vector<ev_idle> watchers{1000};
  ev_idle pump;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_idle(struct ev_loop* loop, ev_idle* watcher, int) {
    ev_idle_stop(loop, watcher);
    ++*static_cast<std::uint64_t*>(watcher->data);
  }
  static void on_pump(struct ev_loop* loop, ev_idle* watcher, int) {
    auto& self = *static_cast<IdleBatches*>(watcher->data);
    if (self.left == 0) {
      ev_idle_stop(loop, watcher);
      return;
    }
    // Started before the others, it runs after them.
    const auto size = std::min<std::uint64_t>(self.left, self.watchers.size());
    for (std::uint64_t n = 0; n < size; ++n) {
      ev_idle_start(loop, &self.watchers[n]);
    }
    self.left -= size;
  }
};

void idle_batch(Sample& sample) {
  IdleBatches batches;
  Loop loop;
  batches.left = sample.operations();
  for (ev_idle& watcher : batches.watchers) {
    ev_idle_init(&watcher, IdleBatches::on_idle);
    watcher.data = &batches.ran;
  }
  ev_idle_init(&batches.pump, IdleBatches::on_pump);
  batches.pump.data = &batches;
  ev_idle_start(loop.get(), &batches.pump);
  sample.measure([&] { loop.run(); });
  sample.done(batches.ran);
}

void idle_chain(Sample& sample) {
  Link link{sample.operations()};
  Loop loop;
  ev_idle watcher;
  ev_idle_init(&watcher, Link::on_idle);
  watcher.data = &link;
  ev_idle_start(loop.get(), &watcher);
  sample.measure([&] { loop.run(); });
  sample.done(link.ran);
}

// -- timers ------------------------------------------------------------------

double seconds(std::uint32_t ms) { return ms / 1000.0; }

std::vector<double> in_seconds(const std::vector<std::uint32_t>& delays_ms) {
  std::vector<double> found;
  found.reserve(delays_ms.size());
  for (const std::uint32_t ms : delays_ms) found.push_back(seconds(ms));
  return found;
}

struct Timers {
  explicit Timers(std::size_t count) : watchers(count) {
    for (ev_timer& watcher : watchers) {
      ev_init(&watcher, on_timer);
      watcher.data = &ran;
    }
  }
  static void on_timer(struct ev_loop*, ev_timer* watcher, int) {
    ++*static_cast<std::uint64_t*>(watcher->data);
  }
  std::uint64_t active() const {
    std::uint64_t sum = 0;
    for (const ev_timer& watcher : watchers) sum += ev_is_active(&watcher) != 0;
    return sum;
  }

  Loop loop;
  std::vector<ev_timer> watchers;
  std::uint64_t ran = 0;
};

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays = in_seconds(peers::far_delays_ms(count));
  Timers timers(count);
  struct ev_loop* loop = timers.loop.get();
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        ev_timer_set(&timers.watchers[n], delays[n], 0.);
        ev_timer_start(loop, &timers.watchers[n]);
      }
    });
    const std::uint64_t inserted = timers.active();
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        ev_timer_stop(loop, &timers.watchers[n]);
      }
    });
    sample.done(inserted - timers.active());
  });
  timers.loop.run();
  if (timers.ran > 0) peers::fail("timers that ran though cancelled");
}

void insert_expire(Sample& sample, std::size_t count) {
  const auto delays = in_seconds(peers::near_delays_ms(count));
  Timers timers(count);
  struct ev_loop* loop = timers.loop.get();
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      ev_now_update(loop);
      for (std::size_t n = 0; n < size; ++n) {
        ev_timer_set(&timers.watchers[n], delays[n], 0.);
        ev_timer_start(loop, &timers.watchers[n]);
      }
      timers.loop.run();
    });
  });
  sample.done(timers.ran);
}

void reschedule(Sample& sample, std::size_t live) {
  const auto delays_ms = peers::far_delays_ms(live);
  Timers timers(live);
  struct ev_loop* loop = timers.loop.get();
  std::uint32_t pass = 0;
  for (std::size_t n = 0; n < live; ++n) {
    ev_timer_set(&timers.watchers[n], seconds(delays_ms[n]), 0.);
    ev_timer_start(loop, &timers.watchers[n]);
  }
  peers::in_batches(sample.operations(), live, [&](std::size_t size) {
    ++pass;
    ev_now_update(loop);
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        ev_timer& watcher = timers.watchers[n];
        watcher.repeat = seconds(peers::pushed_delay_ms(delays_ms, n, pass));
        ev_timer_again(loop, &watcher);
      }
    });
    std::uint64_t moved = 0;
    for (std::size_t n = 0; n < size; ++n) {
      moved += ev_timer_remaining(loop, &timers.watchers[n]) >
               seconds(peers::pushed_delay_ms(delays_ms, n, pass)) - 0.001;
    }
    sample.done(moved);
  });
  ev_run(loop, EVRUN_NOWAIT);
  if (timers.ran > 0) peers::fail("timers that ran too early");
}

// -- other threads -----------------------------------------------------------

class RemoteLoop {
 public:
  RemoteLoop() {
    ev_async_init(&arrived_, [](struct ev_loop*, ev_async* watcher, int) {
      static_cast<RemoteLoop*>(watcher->data)->mailbox_.run();
    });
    arrived_.data = this;
    ev_async_start(loop_.get(), &arrived_);
  }

  void post(peers::Mailbox::Function function, void* data) {
    if (mailbox_.post(function, data)) ev_async_send(loop_.get(), &arrived_);
  }
  void run() { loop_.run(); }
  void stop() { loop_.stop(); }

 private:
  peers::Mailbox mailbox_;
  ev_async arrived_;
  Loop loop_;
};

// -- pipe chain --------------------------------------------------------------

struct Pair {
  ev_io readable;
  ev_timer idle;
  std::size_t index;
  peers::Relay* relay;
};

void on_readable(struct ev_loop* loop, ev_io* watcher, int) {
  auto& pair = *static_cast<Pair*>(watcher->data);
  if (pair.relay->relay(pair.index)) ev_break(loop, EVBREAK_ONE);
}

void on_readable_idle(struct ev_loop* loop, ev_io* watcher, int events) {
  ev_timer_again(loop, &static_cast<Pair*>(watcher->data)->idle);
  on_readable(loop, watcher, events);
}

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  peers::Relay relay(chain, sample.operations());
  std::vector<Pair> pairs(relay.count());
  Loop loop;
  const auto on_idle = [](struct ev_loop*, ev_timer*, int) {
    peers::fail("idle timeout");
  };
  for (std::size_t index = 0; index < relay.count(); ++index) {
    Pair& pair = pairs[index];
    pair.index = index;
    pair.relay = &relay;
    pair.readable.data = &pair;
    ev_io_init(&pair.readable,
               chain.idle_timers ? on_readable_idle : on_readable,
               relay.read_end(index), EV_READ);
    ev_io_start(loop.get(), &pair.readable);
    if (!chain.idle_timers) continue;
    ev_init(&pair.idle, on_idle);
    pair.idle.repeat = seconds(peers::kPairIdleMs);
    ev_timer_again(loop.get(), &pair.idle);
  }
  ev_run(loop.get(), EVRUN_NOWAIT);
  relay.start();
  sample.measure([&] { loop.run(); });
  sample.done(sample.operations() - relay.left());
}

}  // namespace

int main(int argc, char** argv) {
  peers::Program program("libev " + std::to_string(ev_version_major()) + "." +
                         std::to_string(ev_version_minor()));
  const char* name = "libev";
  program.add("soon/batch_1000", name, 2'000'000, Clock::kThread, batch);
  program.add("soon/batch_1000", "libev_idle", 1'000'000, Clock::kThread,
              idle_batch);
  program.add("soon/chain_1", name, 2'000'000, Clock::kThread, chain);
  program.add("soon/chain_1", "libev_idle", 100'000, Clock::kThread,
              idle_chain);
  peers::add_timers(program, "insert_cancel", name, 400'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 200'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 1'000'000, reschedule);
  program.add("remote/post_1", name, 500'000, Clock::kProcess,
              peers::post_1<RemoteLoop>);
  program.add("remote/ping_pong", name, 5'000, Clock::kProcess,
              peers::ping_pong<RemoteLoop>);
  peers::add_chains(program, name, pipe_chain);
  add_servers(program);
  return program.run(argc, argv);
}
