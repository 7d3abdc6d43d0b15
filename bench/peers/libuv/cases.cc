// SPDX-License-Identifier: MIT
//
// libuv, as its guide and its own benchmarks write it.
//
// soon: it has no call that runs a function soon; a started idle handle is
// what comes nearest, and its intrusive queue costs least. Each stops itself.
// timers: started again while they run; uv_timer_again is the same for who
// waits equally long each time, and is used for the idle timers of pipe_chain.
// remote: uv_async_send coalesces, so a queue stands beside it.
// pipe_chain: uv_poll, for descriptors that are not libuv's own.

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/peers/libuv/loop.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using peers::Clock;
using peers::Sample;

// -- soon --------------------------------------------------------------------

struct Batches {
  std::vector<uv_idle_t> idles{1000};
  uv_idle_t pump;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_idle(uv_idle_t* handle) {
    uv_idle_stop(handle);
    count(handle->data);
  }
  static void on_pump(uv_idle_t* handle) {
    auto& self = *static_cast<Batches*>(handle->data);
    if (self.left == 0) {
      uv_idle_stop(handle);
      return;
    }
    const auto size = std::min<std::uint64_t>(self.left, self.idles.size());
    for (std::uint64_t n = 0; n < size; ++n) {
      uv_idle_start(&self.idles[n], on_idle);
    }
    self.left -= size;
  }
};

void batch(Sample& sample) {
  Batches batches;
  Loop loop;
  batches.left = sample.operations();
  for (uv_idle_t& idle : batches.idles) {
    uv_idle_init(loop.get(), &idle);
    idle.data = &batches.ran;
  }
  uv_idle_init(loop.get(), &batches.pump);
  batches.pump.data = &batches;
  uv_idle_start(&batches.pump, Batches::on_pump);
  sample.measure([&] { loop.run(); });
  sample.done(batches.ran);
}

struct Link {
  uv_idle_t idle;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_idle(uv_idle_t* handle) {
    auto& self = *static_cast<Link*>(handle->data);
    uv_idle_stop(handle);
    ++self.ran;
    if (--self.left > 0) uv_idle_start(handle, on_idle);
  }
};

void chain(Sample& sample) {
  Link link;
  Loop loop;
  link.left = sample.operations();
  uv_idle_init(loop.get(), &link.idle);
  link.idle.data = &link;
  uv_idle_start(&link.idle, Link::on_idle);
  sample.measure([&] { loop.run(); });
  sample.done(link.ran);
}

// -- timers ------------------------------------------------------------------

void on_timer(uv_timer_t* timer) { count(timer->data); }

void init_timers(Loop& loop, std::vector<uv_timer_t>& timers,
                 std::uint64_t& ran) {
  for (uv_timer_t& timer : timers) {
    uv_timer_init(loop.get(), &timer);
    timer.data = &ran;
  }
}

std::uint64_t active(const std::vector<uv_timer_t>& timers) {
  std::uint64_t sum = 0;
  for (const uv_timer_t& timer : timers) {
    sum += uv_is_active(reinterpret_cast<const uv_handle_t*>(&timer)) != 0;
  }
  return sum;
}

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays = peers::far_delays_ms(count);
  std::vector<uv_timer_t> timers(count);
  std::uint64_t ran = 0;
  Loop loop;
  init_timers(loop, timers, ran);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        uv_timer_start(&timers[n], on_timer, delays[n], 0);
      }
    });
    const std::uint64_t inserted = active(timers);
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) uv_timer_stop(&timers[n]);
    });
    sample.done(inserted - active(timers));
  });
  loop.run();
  if (ran > 0) peers::fail("timers that ran though cancelled");
}

void insert_expire(Sample& sample, std::size_t count) {
  const auto delays = peers::near_delays_ms(count);
  std::vector<uv_timer_t> timers(count);
  std::uint64_t ran = 0;
  Loop loop;
  init_timers(loop, timers, ran);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      uv_update_time(loop.get());
      for (std::size_t n = 0; n < size; ++n) {
        uv_timer_start(&timers[n], on_timer, delays[n], 0);
      }
      loop.run();
    });
  });
  sample.done(ran);
}

void reschedule(Sample& sample, std::size_t live) {
  const auto delays = peers::far_delays_ms(live);
  std::vector<uv_timer_t> timers(live);
  std::uint64_t ran = 0;
  Loop loop;
  init_timers(loop, timers, ran);
  for (std::size_t n = 0; n < live; ++n) {
    uv_timer_start(&timers[n], on_timer, delays[n], 0);
  }
  std::uint32_t pass = 0;
  peers::in_batches(sample.operations(), live, [&](std::size_t size) {
    ++pass;
    uv_update_time(loop.get());
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        uv_timer_start(&timers[n], on_timer,
                       peers::pushed_delay_ms(delays, n, pass), 0);
      }
    });
    std::uint64_t moved = 0;
    for (std::size_t n = 0; n < size; ++n) {
      moved += uv_timer_get_due_in(&timers[n]) ==
               peers::pushed_delay_ms(delays, n, pass);
    }
    sample.done(moved);
  });
  uv_run(loop.get(), UV_RUN_NOWAIT);
  if (ran > 0) peers::fail("timers that ran too early");
}

// -- other threads -----------------------------------------------------------

class RemoteLoop {
 public:
  RemoteLoop() {
    uv_async_init(loop_.get(), &async_, [](uv_async_t* async) {
      static_cast<RemoteLoop*>(async->data)->mailbox_.run();
    });
    async_.data = this;
  }

  void post(peers::Mailbox::Function function, void* data) {
    if (mailbox_.post(function, data)) uv_async_send(&async_);
  }
  void run() { loop_.run(); }
  void stop() { loop_.stop(); }

 private:
  peers::Mailbox mailbox_;
  uv_async_t async_;
  Loop loop_;
};

// -- pipe chain --------------------------------------------------------------

struct Pair {
  uv_poll_t poll;
  uv_timer_t idle;
  std::size_t index;
  struct Pipes* pipes;
};

struct Pipes {
  explicit Pipes(std::size_t count) : pairs(count) {}
  std::vector<Pair> pairs;
  peers::Relay* relay = nullptr;
  bool idle_timers = false;
  std::uint64_t timed_out = 0;
};

void on_readable(uv_poll_t* poll, int status, int) {
  auto& pair = *static_cast<Pair*>(poll->data);
  uv_checked(status, "uv_poll");
  if (pair.pipes->idle_timers) uv_timer_again(&pair.idle);
  if (pair.pipes->relay->relay(pair.index)) uv_stop(poll->loop);
}

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  peers::Relay relay(chain, sample.operations());
  const auto pipes = std::make_unique<Pipes>(relay.count());
  pipes->relay = &relay;
  pipes->idle_timers = chain.idle_timers;
  Loop loop;
  for (std::size_t index = 0; index < relay.count(); ++index) {
    Pair& pair = pipes->pairs[index];
    pair.index = index;
    pair.pipes = pipes.get();
    pair.poll.data = &pair;
    uv_checked(uv_poll_init(loop.get(), &pair.poll, relay.read_end(index)),
               "uv_poll_init");
    uv_checked(uv_poll_start(&pair.poll, UV_READABLE, on_readable),
               "uv_poll_start");
    if (!chain.idle_timers) continue;
    uv_timer_init(loop.get(), &pair.idle);
    pair.idle.data = &pipes->timed_out;
    uv_timer_start(&pair.idle, on_timer, peers::kPairIdleMs,
                   peers::kPairIdleMs);
  }
  uv_run(loop.get(), UV_RUN_NOWAIT);
  relay.start();
  sample.measure([&] { loop.run(); });
  if (pipes->timed_out > 0) peers::fail("idle timeouts");
  sample.done(sample.operations() - relay.left());
}

}  // namespace

int main(int argc, char** argv) {
  peers::Program program(std::string("libuv ") + uv_version_string());
  const char* name = "libuv";
  program.add("soon/batch_1000", name, 2'000'000, Clock::kThread, batch);
  program.add("soon/chain_1", name, 100'000, Clock::kThread, chain);
  peers::add_timers(program, "insert_cancel", name, 200'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 100'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 300'000, reschedule);
  program.add("remote/post_1", name, 500'000, Clock::kProcess,
              peers::post_1<RemoteLoop>);
  program.add("remote/ping_pong", name, 500, Clock::kProcess,
              peers::ping_pong<RemoteLoop>);
  peers::add_chains(program, name, pipe_chain);
  add_servers(program);
  return program.run(argc, argv);
}
