// SPDX-License-Identifier: MIT
// shows: run passes on the exception of main after the same cleanup; main
//   cancelling itself; nested run and run_until_complete; Runner used twice
//   keeps one loop; run makes a new loop each time
#include <memory>
#include <stdexcept>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/remote_queue.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::new_event_loop;
using rondo::RemoteQueue;
using rondo::run;
using rondo::run_until_complete;
using rondo::Runner;
using rondo::RuntimeError;
using rondo::sleep;

class Left {
 public:
  Left() = default;
  Left(const Left&) = delete;
  Left& operator=(const Left&) = delete;
  ~Left() { print("leftover finally"); }
};

static Coro<> left() {
  const Left finally;
  co_await sleep(10);
}

static Coro<> fail() {
  create_task(left());
  co_await sleep(0);
  throw std::out_of_range("main failed");
}

static Coro<> selfcancel() {
  current_task().cancel();
  co_await sleep(0);
}

/// What is of one loop and outlives it: tells whether two are the same.
using Identity = std::shared_ptr<RemoteQueue>;

static Coro<Identity> nested() {
  try {
    run(sleep(0));
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  try {
    run_until_complete(get_running_loop(), sleep(0));
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  try {
    get_running_loop().run_forever();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  std::unique_ptr<EventLoop> other = new_event_loop();
  try {
    run_until_complete(*other, sleep(0));
  } catch (const RuntimeError& e) {
    print("another loop in the same thread: RuntimeError:", e.what());
  }
  other->close();
  try {
    get_running_loop().close();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  co_return get_running_loop().remote_queue();
}

static Coro<Identity> get() { co_return get_running_loop().remote_queue(); }

int main() {
  try {
    run(fail());
  } catch (const std::out_of_range&) {
    const python::Error e;
    print(e.type, e.text);
  }
  try {
    run(selfcancel());
  } catch (const CancelledError& e) {
    print("CancelledError out of asyncio.run", python::args(e));
  }
  const Identity a = run(nested());
  print("new loop each time:", run(get()) != a);
  Runner r;
  const Identity l1 = r.run(get());
  const Identity l2 = r.run(get());
  print("Runner keeps its loop:",
        l1 == l2 && l2 == r.get_loop().remote_queue());
  const EventLoop& loop = r.get_loop();
  r.close();
  print("closed:", loop.is_closed());
  try {
    r.run(get());
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  try {
    static_cast<void>(get_running_loop());
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  try {
    create_task(sleep(0));
  } catch (const RuntimeError& e) {
    print("create_task without a loop: RuntimeError:", e.what());
  }
}
