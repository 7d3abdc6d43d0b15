// SPDX-License-Identifier: MIT
//
// The smallest program on the library's loop: callbacks, one after the other.
//
// call_soon() queues a callback; the loop runs what is queued, first in,
// first out, in passes. What a callback queues waits for the next pass, so
// nobody can keep the loop to himself. stop() ends the run with the pass in
// which it is called: "third" still runs, "next pass" stays in the queue.
//
// New against 00: the loop is the library's; no descriptor, no timer yet.
//
// Expected output:
//   queued
//   first
//   second, stops the loop
//   third
//   stopped
//   next pass

#include <cstdio>

#include "reactor/event_loop.h"

int main() {
  rondo::EventLoop loop;
  loop.call_soon([] { std::puts("first"); });
  loop.call_soon([&] {
    std::puts("second, stops the loop");
    loop.call_soon([] { std::puts("next pass"); });
    loop.stop();
  });
  loop.call_soon([] { std::puts("third"); });
  std::puts("queued");
  loop.run_forever();
  std::puts("stopped");

  loop.run_once();  // one pass more
}
