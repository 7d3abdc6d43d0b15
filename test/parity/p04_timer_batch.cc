// SPDX-License-Identifier: MIT
// shows: all timers due when the loop wakes up are moved to the ready queue
//   together and run in one pass, before callbacks they schedule; a timer due
//   exactly "now" after a long blocking callback runs behind callbacks that
//   were already ready
#include <chrono>
#include <thread>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::EventLoop;

static EventLoop loop;

template <class... Then>
static void cb(const char* name, Then... then) {
  print(name);
  (loop.call_soon(call(cb<>, then)), ...);
}

static void block() {
  print("block 0.4 s");
  loop.call_soon(call(cb<>, "ready before the timers"));
  std::this_thread::sleep_for(400ms);
}

int main() {
  using Text = const char*;
  loop.call_later(0.08, call(cb<Text>, "timer 0.08", "soon from 0.08"));
  loop.call_later(0.16, call(cb<Text>, "timer 0.16", "soon from 0.16"));
  loop.call_later(0.12, call(cb<Text>, "timer 0.12", "soon from 0.12"));
  loop.call_soon(block);
  loop.call_later(0.8, [] { loop.stop(); });
  loop.run_forever();
  loop.close();
}
