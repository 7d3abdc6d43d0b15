// SPDX-License-Identifier: MIT
// shows: debug mode: callbacks slower than 0.1 s are logged. A call from
//   another thread, and a callback that cannot be called, are refused in every
//   mode (asyncio: in debug mode only; README.md, "Where we promise more")
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/loop_options.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::LoopOptions;

// loop.call_soon(5) is no program; an empty function is the nearest to it.
template <class T>
concept IsCallback =
    requires(EventLoop& loop, T value) { loop.call_soon(value); };
static_assert(IsCallback<void (*)()> && !IsCallback<int>);
static constexpr void (*not_callable)() = nullptr;

static void slow() { std::this_thread::sleep_for(150ms); }

static void after_slow() {
  EventLoop& loop = get_running_loop();
  std::vector<std::string> err;
  std::thread th([&] {
    try {
      loop.call_soon(print);
    } catch (const rondo::RuntimeError& e) {
      err.push_back(e.what());
    }
  });
  th.join();
  print("RuntimeError:", err.at(0));
  try {
    loop.call_soon(not_callable);
  } catch (...) {
    print(python::Error());
  }
  by_callbacks::finish(loop);
}

static void main_function() {
  EventLoop& loop = get_running_loop();
  print("debug", loop.get_debug(), "slow_callback_duration",
        std::chrono::duration<double>(loop.slow_callback_duration()).count());
  loop.call_soon(slow);
  loop.call_soon(after_slow);
}

static void plain() {
  EventLoop& loop = get_running_loop();
  try {
    loop.call_soon(not_callable);
  } catch (...) {
    print("without debug a non-callable is refused as well");
  }
  by_callbacks::finish(loop);
}

int main() {
  {
    EventLoop loop(LoopOptions().debug(true));
    by_callbacks::run(loop, main_function);
    loop.close();
  }
  EventLoop loop;
  by_callbacks::run(loop, plain);
}
