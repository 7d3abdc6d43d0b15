// SPDX-License-Identifier: MIT
// Links: benchmark
//
// Single operations, with Google Benchmark: to see at once what a change has
// done to one of them. Wall time of warm loops that do nothing else; what an
// operation costs among others, beside its floor, is what bench/run says.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/lock.h"
#include "futures/sync/queue.h"
#include "net/create_connection.h"
#include "reactor/context.h"

namespace {

using benchmark::State;
using rondo::Coro;
using rondo::EventLoop;

/// One pass of `loop`, without sleeping.
void pass(EventLoop& loop) {
  loop.stop();
  loop.run_forever();
}

/// Runs what is scheduled every so often, as a loop would; its share is in the
/// figure.
constexpr int kBatch = 1000;

void call_soon(State& state) {
  EventLoop loop;
  std::int64_t ran = 0;
  int scheduled = 0;
  for (auto _ : state) {
    loop.call_soon([&ran] { ++ran; });
    if (++scheduled == kBatch) {
      pass(loop);
      scheduled = 0;
    }
  }
  pass(loop);
  if (ran != state.iterations()) state.SkipWithError("callbacks are missing");
}
BENCHMARK(call_soon);

void call_later_and_cancel(State& state) {
  EventLoop loop;
  for (auto _ : state) {
    loop.call_later(std::chrono::hours(1), [] {}).cancel();
  }
}
BENCHMARK(call_later_and_cancel);

void future_set_and_callback(State& state) {
  EventLoop loop;
  std::int64_t ran = 0;
  int made = 0;
  for (auto _ : state) {
    const rondo::Future<int> future(loop);
    future.add_done_callback(
        [&ran](const rondo::Future<int>& done) { ran += done.result(); });
    future.set_result(1);
    if (++made == kBatch) {
      pass(loop);
      made = 0;
    }
  }
  pass(loop);
  if (ran != state.iterations()) state.SkipWithError("callbacks are missing");
}
BENCHMARK(future_set_and_callback);

// -- in a coroutine ----------------------------------------------------------

Coro<> nothing() { co_return; }

Coro<> spawns(State& state) {
  for (auto _ : state) {
    const rondo::Task<void> task = rondo::create_task(nothing());
    co_await task;
  }
}
void task_spawn_and_await(State& state) { rondo::run(spawns(state)); }
BENCHMARK(task_spawn_and_await);

Coro<> awaits(State& state) {
  for (auto _ : state) co_await nothing();
}
void coroutine_await(State& state) { rondo::run(awaits(state)); }
BENCHMARK(coroutine_await);

Coro<> locks(State& state) {
  rondo::Lock lock;
  for (auto _ : state) {
    co_await lock.acquire();
    lock.release();
  }
}
void lock_acquire_and_release(State& state) { rondo::run(locks(state)); }
BENCHMARK(lock_acquire_and_release);

Coro<> queues(State& state) {
  rondo::Queue<int> queue;
  for (auto _ : state) {
    co_await queue.put(1);
    benchmark::DoNotOptimize(co_await queue.get());
  }
}
void queue_put_and_get(State& state) { rondo::run(queues(state)); }
BENCHMARK(queue_put_and_get);

// -- a transport -------------------------------------------------------------

class Silent : public rondo::Protocol {};

Coro<> writes(State& state) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
    state.SkipWithError("socketpair");
    co_return;
  }
  auto connect = rondo::create_connection(
      [] { return std::make_unique<Silent>(); }, rondo::UniqueFd(ends[0]));
  const rondo::Connection connection = co_await std::move(connect);
  char bytes[64] = {};
  for (auto _ : state) {
    connection.transport->write(std::string_view(bytes, sizeof bytes));
    co_await rondo::sleep(0);
    if (read(ends[1], bytes, sizeof bytes) != sizeof bytes) {
      state.SkipWithError("read");
      break;
    }
  }
  connection.transport->abort();
  close(ends[1]);
  co_await rondo::sleep(0);
}
/// With the pass at whose end it is sent, and the read(2) at the other end.
void transport_write_64_bytes(State& state) { rondo::run(writes(state)); }
BENCHMARK(transport_write_64_bytes);

// -- last: a program that has a ContextVar pays for it in each callback ------

void context_var_get(State& state) {
  static rondo::ContextVar<int> variable("variable", 0);
  variable.set(1);
  for (auto _ : state) benchmark::DoNotOptimize(variable.get());
}
BENCHMARK(context_var_get);

}  // namespace

BENCHMARK_MAIN();
