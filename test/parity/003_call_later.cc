// SPDX-License-Identifier: MIT
// shows: call_later, the text of the TimerHandle
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::EventLoop;
using rondo::partial;

static void hello_world() { print("Hello World!"); }

static void stop_loop(EventLoop& loop) {
  print("Stopping loop");
  loop.stop();
}

int main() {
  EventLoop loop;

  print(loop.call_later(1, hello_world));
  print(loop.call_later(2, partial(stop_loop, std::ref(loop))));

  loop.run_forever();
}
