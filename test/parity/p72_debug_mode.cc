// SPDX-License-Identifier: MIT
// shows: debug mode: callbacks slower than 0.1 s are logged. A call from
//   another thread, and a callback that cannot be called, are refused in every
//   mode (asyncio: in debug mode only; README.md, "Where we promise more")
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/loop_options.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::LoopOptions;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::TaskOptions;

// Neither loop.call_soon(slow) nor loop.call_soon(5) is a program; an empty
// function is the nearest to the latter.
template <class T>
concept IsCallback =
    requires(EventLoop& loop, T value) { loop.call_soon(value); };
static_assert(IsCallback<void (*)()> && !IsCallback<int>);
static constexpr void (*not_callable)() = nullptr;

static Coro<> slow() {
  std::this_thread::sleep_for(150ms);
  co_return;
}

static_assert(!IsCallback<decltype(&slow)>);

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  print("debug", loop.get_debug(), "slow_callback_duration",
        std::chrono::duration<double>(loop.slow_callback_duration()).count());
  auto named = create_task(slow(), TaskOptions().name("slow task"));
  co_await named;
  std::vector<std::string> err;

  const auto other = [&] {
    try {
      loop.call_soon(print);
    } catch (const RuntimeError& e) {
      err.push_back(e.what());
    }
  };
  std::thread th(other);
  th.join();
  print("RuntimeError:", err.at(0));
  try {
    loop.call_soon(not_callable);
  } catch (...) {
    print(python::Error());
  }
}

static Coro<> plain() {
  EventLoop& loop = get_running_loop();
  try {
    loop.call_soon(not_callable);
  } catch (...) {
    print("without debug a non-callable is refused as well");
  }
  co_await sleep(0);
}

int main() {
  rondo::run(main_function(), LoopOptions().debug(true));
  rondo::run(plain());
}
