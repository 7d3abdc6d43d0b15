// SPDX-License-Identifier: MIT
// shows: call_soon twice, run_forever, stop
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::EventLoop;
using rondo::partial;

static void hello_world() { print("Hello World"); }

static void stop_loop(EventLoop& loop) {
  print("Stopping loop");
  loop.stop();
}

int main() {
  EventLoop loop;
  print(loop.is_running());  // False

  loop.call_soon(hello_world);

  loop.call_soon(partial(stop_loop, std::ref(loop)));

  loop.run_forever();
}
