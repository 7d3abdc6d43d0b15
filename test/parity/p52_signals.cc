// SPDX-License-Identifier: MIT
// shows: add_signal_handler runs the callback as a normal loop callback (not
//   inside the signal); several deliveries; remove; errors; the loop is woken
//   from its sleep
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::Coro;
using rondo::create_future;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;

static std::vector<std::string> got;

static void append(const char* text) { got.push_back(text); }

static bool has_default_action(int signal_number) {
  struct sigaction action{};
  ::sigaction(signal_number, nullptr, &action);
  return action.sa_handler == SIG_DFL;
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.add_signal_handler(SIGUSR1, [] { got.push_back("usr1"); });
  loop.add_signal_handler(SIGUSR2, call(append, "usr2"));
  ::kill(::getpid(), SIGUSR1);
  std::this_thread::sleep_for(20ms);
  print("not yet while a callback blocks the loop:", got);
  co_await sleep(0.02);
  print("afterwards:", got);
  loop.call_soon(call(append, "call_soon before the signal"));
  ::kill(::getpid(), SIGUSR2);
  loop.call_soon(call(append, "call_soon after the signal"));
  co_await sleep(0.02);
  print(got);
  const auto t0 = loop.time();
  auto fut = create_future<std::string>(loop);
  loop.add_signal_handler(SIGUSR1,
                          [fut] { fut.set_result("woken by a signal"); });
  std::thread timer([] {
    std::this_thread::sleep_for(100ms);
    ::kill(::getpid(), SIGUSR1);
  });
  const auto woken = co_await fut;
  print(woken, python::tenths(loop.time() - t0), "s");
  timer.join();
  // One after the other: C++ leaves the order of arguments open.
  const bool first = loop.remove_signal_handler(SIGUSR1);
  const bool second = loop.remove_signal_handler(SIGUSR1);
  print("remove:", first, second);
  print("SIGUSR1 is back to the default:", has_default_action(SIGUSR1));
  for (const int bad : {SIGKILL, 1000}) {
    try {
      loop.add_signal_handler(bad, print);
    } catch (...) {
      print(python::Error());
    }
  }
}

// add_signal_handler(SIGUSR1, co) is no program.
[[maybe_unused]] static Coro<> co() { co_return; }
template <class F>
concept IsSignalHandler = requires(EventLoop& loop, F function) {
  loop.add_signal_handler(SIGUSR1, function);
};
static_assert(IsSignalHandler<void (*)()> && !IsSignalHandler<decltype(&co)>);

int main() { rondo::run(main_function()); }
