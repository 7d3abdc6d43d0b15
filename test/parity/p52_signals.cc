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

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::EventLoop;
using rondo::TimePoint;

static EventLoop loop;
static std::vector<std::string> got;
static std::thread timer;

static void append(const char* text) { got.push_back(text); }

static bool has_default_action(int signal_number) {
  struct sigaction action{};
  ::sigaction(signal_number, nullptr, &action);
  return action.sa_handler == SIG_DFL;
}

// main() of the original, cut at each of its awaits.

static void woken(TimePoint t0) {
  print("woken by a signal", python::tenths(loop.time() - t0), "s");
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
  by_callbacks::finish(loop);
}

static void after_usr2() {
  print(got);
  const TimePoint t0 = loop.time();
  // Sets a future's result; its waiter goes on in the next pass.
  loop.add_signal_handler(SIGUSR1, [t0] { loop.call_soon(call(woken, t0)); });
  timer = std::thread([] {
    std::this_thread::sleep_for(100ms);
    ::kill(::getpid(), SIGUSR1);
  });
}

static void after_usr1() {
  print("afterwards:", got);
  loop.call_soon(call(append, "call_soon before the signal"));
  ::kill(::getpid(), SIGUSR2);
  loop.call_soon(call(append, "call_soon after the signal"));
  by_callbacks::sleep(loop, 0.02, after_usr2);
}

static void main_function() {
  loop.add_signal_handler(SIGUSR1, [] { got.push_back("usr1"); });
  loop.add_signal_handler(SIGUSR2, call(append, "usr2"));
  ::kill(::getpid(), SIGUSR1);
  std::this_thread::sleep_for(20ms);
  print("not yet while a callback blocks the loop:", got);
  by_callbacks::sleep(loop, 0.02, after_usr1);
}

int main() {
  by_callbacks::run(loop, main_function);
  loop.close();
  timer.join();
}
