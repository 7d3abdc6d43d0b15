// SPDX-License-Identifier: MIT
// shows: partial as a callback
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::EventLoop;
using rondo::partial;

static void stop_loop(EventLoop& loop) {
  print("Stopping loop");
  loop.stop();
}

int main() {
  EventLoop loop;

  loop.call_soon(partial(print, "Hello World!"));
  loop.call_soon(partial(stop_loop, std::ref(loop)));

  loop.run_forever();
}
