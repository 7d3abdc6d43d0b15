// SPDX-License-Identifier: MIT
// shows: run_until_complete on a new loop, run(), stop and close of a loop that
//   never ran
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::new_event_loop;
using rondo::run_until_complete;

static Coro<> sleep(int second) {
  co_await rondo::sleep(second);
  print("sleep() done");
}

int main() {
  // Start, case 1.
  auto loop = new_event_loop();
  run_until_complete(*loop, sleep(1));

  // Start, case 2.
  rondo::run(sleep(1));

  // Stop.
  loop = new_event_loop();
  print(loop->is_closed());
  print(loop->is_running());
  loop->stop();
  loop->close();
  print(loop->is_closed());
}
