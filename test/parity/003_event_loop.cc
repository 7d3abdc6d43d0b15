// SPDX-License-Identifier: MIT
// shows: a main function that is run until it is complete, then loop.close()
#include "reactor/event_loop.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Callback;
using rondo::EventLoop;

static void my_coroutine(EventLoop& loop, Callback then) {
  print("Coroutine started");
  by_callbacks::sleep(loop, 1, [then = std::move(then)]() mutable {
    print("Coroutine finished");
    then();
  });
}

int main() {
  // The loop.
  EventLoop loop;
  // Runs the main function.
  by_callbacks::run(loop, [&loop] {
    my_coroutine(loop, [&loop] { by_callbacks::finish(loop); });
  });
  // Closes the loop.
  loop.close();
}
