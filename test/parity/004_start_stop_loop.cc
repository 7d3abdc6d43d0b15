// SPDX-License-Identifier: MIT
// shows: running on a new loop, twice; stop and close of a loop that never ran
#include "reactor/event_loop.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Delay;
using rondo::EventLoop;
using rondo::new_event_loop;

static void sleep(EventLoop& loop, Delay second) {
  by_callbacks::sleep(loop, second, [&loop] {
    print("sleep() done");
    by_callbacks::finish(loop);
  });
}

int main() {
  // Start, case 1: a loop that stays open.
  auto loop = new_event_loop();
  by_callbacks::run(*loop, [&loop] { sleep(*loop, 1); });

  // Start, case 2: a loop of its own, closed at its end, as asyncio.run().
  {
    EventLoop own;
    by_callbacks::run(own, [&own] { sleep(own, 1); });
  }

  // Stop.
  loop = new_event_loop();
  print(loop->is_closed());
  print(loop->is_running());
  loop->stop();
  loop->close();
  print(loop->is_closed());
}
