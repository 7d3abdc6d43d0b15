// SPDX-License-Identifier: MIT
// shows: inside a callback the loop is the running one; new_event_loop() makes
//   another
#include "reactor/event_loop.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::new_event_loop;

int main() {
  EventLoop loop;
  by_callbacks::run(loop, [&loop] {
    EventLoop* loop1 = &loop;  // asyncio.get_event_loop()
    EventLoop* loop2 = &get_running_loop();
    const auto loop3 = new_event_loop();
    print(loop1 == loop2);                          // True
    print(loop1 == loop2 && loop2 == loop3.get());  // False
    by_callbacks::finish(loop);
  });
}
