// SPDX-License-Identifier: MIT
//
// The cases with callbacks.
//
// timers: to move one is to cancel its wait and to wait again; the cancelled
// handler runs too, and is part of the price. So it is in insert_cancel.

#include <algorithm>
#include <asio/error_code.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "bench/peers/asio/cases.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using peers::Clock;
using peers::Sample;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// -- soon --------------------------------------------------------------------

struct Pump {
  Context& context;
  std::uint64_t left;
  std::uint64_t ran = 0;

  void operator()() {
    if (left == 0) return;
    const auto size = std::min<std::uint64_t>(left, 1000);
    for (std::uint64_t n = 0; n < size; ++n) {
      asio::post(context, [this] { ++ran; });
    }
    left -= size;
    asio::post(context, [this] { (*this)(); });
  }
};

void batch(Sample& sample, int concurrency_hint) {
  Context context(concurrency_hint);
  Pump pump{context, sample.operations()};
  asio::post(context, [&pump] { pump(); });
  sample.measure([&] { context.run(); });
  sample.done(pump.ran);
}

struct Link {
  Context& context;
  std::uint64_t left;
  std::uint64_t ran = 0;

  void operator()() {
    ++ran;
    if (--left > 0) asio::post(context, [this] { (*this)(); });
  }
};

void chain(Sample& sample, int concurrency_hint) {
  Context context(concurrency_hint);
  Link link{context, sample.operations()};
  asio::post(context, [&link] { link(); });
  sample.measure([&] { context.run(); });
  sample.done(link.ran);
}

// -- timers ------------------------------------------------------------------

struct Timers {
  explicit Timers(std::size_t count) {
    timers.reserve(count);
    for (std::size_t n = 0; n < count; ++n) timers.emplace_back(context);
  }
  /// `timer` will count itself when its time has come or it was cancelled.
  void wait(asio::steady_timer& timer) {
    timer.async_wait(
        [this](const asio::error_code& error) { ++(error ? cancelled : ran); });
  }
  /// Runs `work` as a handler, and then what comes of it.
  template <class Work>
  void run(Work work) {
    context.restart();
    asio::post(context, std::move(work));
    context.run();
  }

  Context context;
  std::vector<asio::steady_timer> timers;
  std::uint64_t ran = 0;
  std::uint64_t cancelled = 0;
};

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays = peers::far_delays_ms(count);
  Timers all(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    const auto insert_and_cancel = [&] {
      const auto now = steady_clock::now();
      for (std::size_t n = 0; n < size; ++n) {
        all.timers[n].expires_at(now + milliseconds(delays[n]));
        all.wait(all.timers[n]);
      }
      for (std::size_t n = 0; n < size; ++n) all.timers[n].cancel();
    };
    sample.measure([&] { all.run(insert_and_cancel); });
  });
  if (all.ran > 0) peers::fail("timers that ran though cancelled");
  sample.done(all.cancelled);
}

void insert_expire(Sample& sample, std::size_t count) {
  const auto delays = peers::near_delays_ms(count);
  Timers all(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    const auto insert = [&] {
      const auto now = steady_clock::now();
      for (std::size_t n = 0; n < size; ++n) {
        all.timers[n].expires_at(now + milliseconds(delays[n]));
        all.wait(all.timers[n]);
      }
    };
    sample.measure([&] { all.run(insert); });
  });
  sample.done(all.ran);
}

// So many a turn: their cancelled handlers run before the next.
constexpr std::uint64_t kPushesATurn = 1000;

void reschedule(Sample& sample, std::size_t live) {
  const auto delays = peers::far_delays_ms(live);
  Timers all(live);
  const auto now = steady_clock::now();
  for (std::size_t n = 0; n < live; ++n) {
    all.timers[n].expires_at(now + milliseconds(delays[n]));
    all.wait(all.timers[n]);
  }
  struct Pusher {
    Timers& all;
    steady_clock::time_point now;
    const std::vector<std::uint32_t>& delays;
    std::uint64_t left;
    std::uint32_t pass = 1;
    std::size_t at = 0;

    void operator()() {
      if (left == 0) return all.context.stop();
      const auto size = std::min(left, kPushesATurn);
      for (std::uint64_t n = 0; n < size; ++n) {
        asio::steady_timer& timer = all.timers[at];
        timer.expires_at(
            now + milliseconds(peers::pushed_delay_ms(delays, at, pass)));
        all.wait(timer);
        if (++at < all.timers.size()) continue;
        at = 0;
        ++pass;
      }
      left -= size;
      asio::post(all.context, [this] { (*this)(); });
    }
  };
  Pusher pusher{all, now, delays, sample.operations()};
  sample.measure([&] { all.run([&pusher] { pusher(); }); });
  if (all.ran > 0) peers::fail("timers that ran too early");
  sample.done(all.cancelled);
}

// -- other threads -----------------------------------------------------------

class RemoteLoop {
 public:
  void post(peers::Mailbox::Function function, void* data) {
    asio::post(context_, [function, data] { function(data); });
  }
  void run() { context_.run(); }
  void stop() { context_.stop(); }

 private:
  Context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
};

// -- pipe chain --------------------------------------------------------------

struct Pipes {
  Pipes(const peers::Chain& chain, std::uint64_t events)
      : relay(chain, events), idle_timers(chain.idle_timers) {
    pairs.reserve(relay.count());
    for (std::size_t index = 0; index < relay.count(); ++index) {
      pairs.emplace_back(context, relay.read_end(index));
    }
  }
  ~Pipes() {
    // The descriptors are the relay's.
    for (Pair& pair : pairs) pair.socket.release();
  }

  void wait(std::size_t index) {
    Pair& pair = pairs[index];
    pair.socket.async_read_some(
        asio::buffer(&pair.byte, 1),
        [this, index](const asio::error_code& error, std::size_t) {
          if (!error) on_read(index);
        });
  }
  void wait_idle(std::size_t index) {
    asio::steady_timer& idle = pairs[index].idle;
    idle.expires_after(milliseconds(peers::kPairIdleMs));
    idle.async_wait([](const asio::error_code& error) {
      if (!error) peers::fail("idle timeout");
    });
  }
  void on_read(std::size_t index) {
    if (idle_timers) wait_idle(index);
    if (relay.pass_on(index)) return context.stop();
    wait(index);
  }

  struct Pair {
    Pair(Context& context, int fd)
        : socket(context, asio::local::stream_protocol(), fd), idle(context) {}
    asio::local::stream_protocol::socket socket;
    asio::steady_timer idle;
    char byte = 0;
  };

  peers::Relay relay;
  const bool idle_timers;
  Context context;
  std::vector<Pair> pairs;
};

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  const auto pipes = std::make_unique<Pipes>(chain, sample.operations());
  for (std::size_t index = 0; index < pipes->relay.count(); ++index) {
    if (chain.idle_timers) pipes->wait_idle(index);
    pipes->wait(index);
  }
  pipes->context.poll();
  pipes->relay.start();
  sample.measure([&] { pipes->context.run(); });
  sample.done(sample.operations() - pipes->relay.left());
}

}  // namespace

void add_callbacks(peers::Program& program) {
  struct Locking {
    const char* contestant;
    int hint;
  };
  for (const auto& [contestant, hint] :
       {Locking{"asio", kOneThread},
        Locking{"asio_unlocked", ASIO_CONCURRENCY_HINT_UNSAFE}}) {
    program.add("soon/batch_1000", contestant, 500'000, Clock::kThread,
                [hint = hint](Sample& sample) { batch(sample, hint); });
    program.add("soon/chain_1", contestant, 200'000, Clock::kThread,
                [hint = hint](Sample& sample) { chain(sample, hint); });
  }
  const char* name = "asio";
  peers::add_timers(program, "insert_cancel", name, 100'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 100'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 100'000, reschedule);
  program.add("remote/post_1", name, 200'000, Clock::kProcess,
              peers::post_1<RemoteLoop>);
  program.add("remote/ping_pong", name, 5'000, Clock::kProcess,
              peers::ping_pong<RemoteLoop>);
  peers::add_chains(program, name, pipe_chain);
}
