// SPDX-License-Identifier: MIT
//
// The cases of tasks: asio::awaitable, made by co_spawn.

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <exception>

#include "bench/peers/asio/cases.h"
#include "bench/peers/worker.h"

namespace {

using asio::awaitable;
using asio::use_awaitable;
using peers::Clock;
using peers::Sample;

constexpr std::uint64_t kTasks = 100;

// A channel for one ball: who sends does not wait. (Without a payload, its
// traits are ambiguous in 1.22.)
using Signal = asio::experimental::channel<void(asio::error_code, bool)>;

/// Ends the program if a coroutine ended with an exception.
void rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

// -- yield -------------------------------------------------------------------

awaitable<void> yield_times(std::uint64_t times, std::uint64_t* done) {
  for (; times > 0; --times) {
    co_await asio::post(use_awaitable);
    ++*done;
  }
}

void yield_100(Sample& sample) {
  Context context;
  std::uint64_t done = 0;
  for (std::uint64_t n = 0; n < kTasks; ++n) {
    const std::uint64_t more = n < sample.operations() % kTasks;
    asio::co_spawn(context,
                   yield_times(sample.operations() / kTasks + more, &done),
                   rethrow);
  }
  sample.measure([&] { context.run(); });
  sample.done(done);
}

// -- ping-pong ---------------------------------------------------------------

struct Court {
  explicit Court(asio::io_context& context)
      : sides{Signal(context, 1), Signal(context, 1)} {}
  Signal sides[2];
  std::uint64_t hits = 0;
};

awaitable<void> play(Court& court, int side, std::uint64_t times) {
  for (; times > 0; --times) {
    co_await court.sides[side].async_receive(use_awaitable);
    ++court.hits;
    court.sides[1 - side].try_send(asio::error_code(), true);
  }
}

void ping_pong(Sample& sample) {
  Context context;
  Court court(context);
  // The first has the odd one.
  const std::uint64_t half = sample.operations() / 2;
  asio::co_spawn(context, play(court, 0, sample.operations() - half), rethrow);
  asio::co_spawn(context, play(court, 1, half), rethrow);
  court.sides[0].try_send(asio::error_code(), true);
  sample.measure([&] { context.run(); });
  sample.done(court.hits);
}

// -- spawn and join ----------------------------------------------------------

awaitable<void> count(std::uint64_t* done) {
  ++*done;
  co_return;
}

awaitable<void> spawn_and_join(std::uint64_t times, std::uint64_t* done) {
  const auto executor = co_await asio::this_coro::executor;
  Signal joined(executor, 1);
  while (times > 0) {
    const std::uint64_t size = times < kTasks ? times : kTasks;
    std::uint64_t running = size;
    for (std::uint64_t n = 0; n < size; ++n) {
      asio::co_spawn(executor, count(done), [&](std::exception_ptr error) {
        rethrow(error);
        if (--running == 0) joined.try_send(asio::error_code(), true);
      });
    }
    co_await joined.async_receive(use_awaitable);
    times -= size;
  }
}

void spawn_join_100(Sample& sample) {
  Context context;
  std::uint64_t done = 0;
  asio::co_spawn(context, spawn_and_join(sample.operations(), &done), rethrow);
  sample.measure([&] { context.run(); });
  sample.done(done);
}

// -- sleeping ----------------------------------------------------------------

awaitable<void> sleep_long(std::size_t* asleep) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::hours(1));
  ++*asleep;
  co_await timer.async_wait(use_awaitable);
}

void sleeping(std::size_t count, const std::function<void()>& report) {
  Context context;
  std::size_t asleep = 0;
  for (std::size_t n = 0; n < count; ++n) {
    asio::co_spawn(context, sleep_long(&asleep), asio::detached);
  }
  context.poll();
  if (asleep != count) peers::fail("tasks that do not sleep");
  report();
}

}  // namespace

void add_coroutines(peers::Program& program) {
  const char* name = "asio_coroutines";
  program.add("tasks/yield_100", name, 100'000, Clock::kThread, yield_100);
  program.add("tasks/ping_pong", name, 50'000, Clock::kThread, ping_pong);
  program.add("tasks/spawn_join_100", name, 50'000, Clock::kThread,
              spawn_join_100);
  program.add_memory("tasks/sleeping", name, sleeping);
}
