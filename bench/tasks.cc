// SPDX-License-Identifier: MIT
//
// Futures, tasks and coroutines: what a switch, a task and a hand-over cost.
//
//   tasks/yield_100            100 tasks that do nothing but sleep(0): one
//                              switch; one poll a hundred
//   tasks/ping_pong            two tasks that wake each other through futures:
//                              one switch, one poll
//   tasks/spawn_join_100       100 trivial tasks are made and awaited: one task
//   tasks/await_coro           a coroutine that awaits trivial coroutines
//   tasks/future_callback_1000 a future is made, gets a callback and a result
//   tasks/sleeping             memory of tasks that sleep for an hour

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "bench/support/floor_ring.h"
#include "bench/support/harness.h"
#include "futures/coro/coro.h"
#include "futures/sleep.h"

namespace {

using bench::Run;
using rondo::Coro;
using rondo::EventLoop;
using rondo::Future;
using rondo::Task;

constexpr std::uint64_t kTasks = 100;

// -- ours --------------------------------------------------------------------

Coro<> yield_times(std::uint64_t times, std::uint64_t* done) {
  for (; times > 0; --times) {
    co_await rondo::sleep(0);
    ++*done;
  }
}

/// Runs `loop` until `last` is done, as one measured part.
void run_until(Run& run, EventLoop& loop, const rondo::AnyFuture& last) {
  last.add_done_callback([&loop](rondo::AnyFuture) { loop.stop(); });
  run.measure("all", [&] { loop.run_forever(); });
}

void ours_yield(Run& run) {
  EventLoop loop;
  std::uint64_t done = 0;
  rondo::AnyFuture last;
  for (std::uint64_t n = 0; n < kTasks; ++n) {
    last = create_task(loop, yield_times(run.operations() / kTasks, &done));
  }
  run_until(run, loop, last);
  run.check(done, run.operations(), "yields");
}

class Court {
 public:
  explicit Court(EventLoop& on)
      : loop(on), sides{Future<void>(on), Future<void>(on)} {}
  EventLoop& loop;
  Future<void> sides[2];
  std::uint64_t hits = 0;
};

Coro<> play(Court& court, int side, std::uint64_t times) {
  for (; times > 0; --times) {
    co_await court.sides[side];
    court.sides[side] = Future<void>(court.loop);
    ++court.hits;
    court.sides[1 - side].set_result();
  }
}

void ours_ping_pong(Run& run) {
  EventLoop loop;
  Court court(loop);
  const Task<void> one =
      create_task(loop, play(court, 0, run.operations() / 2));
  const Task<void> two =
      create_task(loop, play(court, 1, run.operations() / 2));
  court.sides[0].set_result();
  run_until(run, loop, two);
  run.check(court.hits, run.operations(), "hits");
}

Coro<> count(std::uint64_t* done) {
  ++*done;
  co_return;
}

Coro<> spawn_and_join(std::uint64_t times, std::uint64_t* done) {
  std::vector<Task<void>> tasks(kTasks);
  for (; times > 0; times -= kTasks) {
    for (Task<void>& task : tasks) task = rondo::create_task(count(done));
    for (Task<void>& task : tasks) co_await task;
  }
}

void ours_spawn(Run& run) {
  EventLoop loop;
  std::uint64_t done = 0;
  run_until(run, loop,
            create_task(loop, spawn_and_join(run.operations(), &done)));
  run.check(done, run.operations(), "tasks");
}

Coro<> await_times(std::uint64_t times, std::uint64_t* done) {
  for (; times > 0; --times) co_await count(done);
}

void ours_await(Run& run) {
  EventLoop loop;
  std::uint64_t done = 0;
  run_until(run, loop, create_task(loop, await_times(run.operations(), &done)));
  run.check(done, run.operations(), "awaits");
}

void ours_future(Run& run) {
  EventLoop loop;
  std::uint64_t done = 0;
  const auto batch = [&] {
    for (int n = 0; n < 1000; ++n) {
      const Future<int> future(loop);
      future.add_done_callback(
          [&done](const Future<int>& f) { done += f.result(); });
      future.set_result(1);
    }
    loop.run_once();
  };
  run.measure("all", [&] {
    for (std::uint64_t left = run.operations(); left > 0; left -= 1000) batch();
  });
  run.check(done, run.operations(), "callbacks");
}

Coro<> sleep_long(std::uint64_t* woken) {
  co_await rondo::sleep(3600);
  ++*woken;
}

/// Makes `count` tasks that sleep, and says how far memory has grown.
std::int64_t ours_sleeping(std::uint64_t count) {
  EventLoop loop;
  const auto pass = [&loop] {  // without sleeping
    loop.stop();
    loop.run_forever();
  };
  pass();
  std::uint64_t woken = 0;
  std::vector<Task<void>> tasks(count);
  const std::int64_t before = bench::resident_bytes();
  for (Task<void>& task : tasks) task = create_task(loop, sleep_long(&woken));
  pass();
  const std::int64_t grown = bench::resident_bytes() - before;
  if (woken > 0) bench::fail("a task did not sleep");
  for (const Task<void>& task : tasks) task.cancel();
  while (!tasks.back().done()) pass();
  return grown;
}

// -- floors: a bare C++20 coroutine and a ring of what is to be resumed -------

struct Fiber {
  struct promise_type {
    Fiber get_return_object() {
      return Fiber{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

struct BareLoop {
  bench::FloorRing ring;
  bench::FloorPoll poll;
  bool stopping = false;

  void schedule(std::coroutine_handle<> handle) {
    ring.call_soon(
        [](void* frame) {
          std::coroutine_handle<>::from_address(frame).resume();
        },
        handle.address());
  }
  void run_forever() {
    while (!stopping) {
      poll.look();
      ring.run_ready();
    }
  }
};

struct BareYield {
  BareLoop& loop;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    loop.schedule(handle);
  }
  void await_resume() const noexcept {}
};

Fiber bare_yield(BareLoop& loop, std::uint64_t times, std::uint64_t* done,
                 bool last) {
  for (; times > 0; --times) {
    BareYield yield{loop};
    co_await yield;
    ++*done;
  }
  if (last) loop.stopping = true;
}

void floor_yield(Run& run, std::uint64_t tasks) {
  BareLoop loop;
  std::uint64_t done = 0;
  std::vector<Fiber> fibers;
  for (std::uint64_t n = 0; n < tasks; ++n) {
    fibers.push_back(
        bare_yield(loop, run.operations() / tasks, &done, n + 1 == tasks));
    loop.schedule(fibers.back().handle);
  }
  run.measure("all", [&] { loop.run_forever(); });
  for (const Fiber& fiber : fibers) fiber.handle.destroy();
  run.check(done, run.operations(), "yields");
}

Fiber bare_sleep(BareLoop& loop, std::uint64_t* woken) {
  BareYield sleep{loop};
  co_await sleep;
  ++*woken;
}

/// A frame, and its place in a heap of deadlines.
std::int64_t floor_sleeping(std::uint64_t count) {
  struct Item {
    std::int64_t when;
    std::coroutine_handle<> handle;
  };
  const auto loop = std::make_unique<BareLoop>();
  std::uint64_t woken = 0;
  const std::int64_t before = bench::resident_bytes();
  std::vector<Item> heap(count);
  for (Item& item : heap) item = {3600, bare_sleep(*loop, &woken).handle};
  const std::int64_t grown = bench::resident_bytes() - before;
  if (woken > 0) bench::fail("a fiber did not sleep");
  for (const Item& item : heap) item.handle.destroy();
  return grown;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Program program(argc, argv);
  program.add("tasks/yield_100", 1'000'000)
      .contestant("ours", ours_yield)
      .contestant("ring", [](Run& run) { floor_yield(run, kTasks); })
      .row("ring", bench::at_most_ns(12));
  program.add("tasks/ping_pong", 200'000)
      .contestant("ours", ours_ping_pong)
      .contestant("ring", [](Run& run) { floor_yield(run, 1); })
      .row("ring", bench::at_most_ratio(1.15));
  program.add("tasks/spawn_join_100", 500'000)
      .contestant("ours", ours_spawn)
      .contestant("ring", [](Run& run) { floor_yield(run, kTasks); })
      .row("ring", bench::at_most_ns(45));
  program.add("tasks/await_coro", 2'000'000)
      .contestant("ours", ours_await)
      .contestant("ring", [](Run& run) { floor_yield(run, kTasks); })
      .row("ring");
  program.add("tasks/future_callback_1000", 1'000'000)
      .contestant("ours", ours_future)
      .contestant("ring", [](Run& run) { floor_yield(run, kTasks); })
      .row("ring", bench::at_most_ns(25));
  using bench::Role;
  program.memory("tasks/sleeping",
                 {"ours", Role::kOurs, bench::at_most_bytes(300)},
                 ours_sleeping);
  program.memory("tasks/sleeping", {"ring", Role::kFloor, {}}, floor_sleeping);
  return program.run();
}
