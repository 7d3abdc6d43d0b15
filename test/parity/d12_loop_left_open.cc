// SPDX-License-Identifier: MIT
// shows: a loop that is destroyed unclosed is reported in debug mode (see
//   stderr); close() on a loop that never ran is fine; stop() before close()
//   is not needed
#include "reactor/event_loop.h"
#include "reactor/loop_options.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::LoopOptions;
using rondo::new_event_loop;

int main() {
  auto loop = new_event_loop(LoopOptions().debug(true));
  loop.reset();
  loop = new_event_loop(LoopOptions().debug(true));
  loop->close();
  print("closed one: no warning");
  loop.reset();
}
