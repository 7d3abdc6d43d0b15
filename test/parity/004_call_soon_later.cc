// SPDX-License-Identifier: MIT
// shows: call_soon and call_later from inside a callback
#include "reactor/event_loop.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::EventLoop;
using rondo::get_running_loop;

static void main_function() {
  EventLoop& loop = get_running_loop();
  loop.call_soon([] { print("Hello call_soon()"); });       // ready at once
  loop.call_later(1, [] { print("Hello call_later()"); });  // ready in 1 s
  by_callbacks::sleep(loop, 2, [&loop] { by_callbacks::finish(loop); });
}

int main() {
  EventLoop loop;
  by_callbacks::run(loop, main_function);
}
