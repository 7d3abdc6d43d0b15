// SPDX-License-Identifier: MIT
//
// A loop and all that belongs to it live on one thread, and need no locks for
// that. call_soon_threadsafe() is the one door for other threads: it hands
// over a callback, in order and never twice, and wakes the loop if it sleeps.
// Whoever knocks anywhere else is told so.
//
// New against 05: a second thread in place of a signal.
//
// Expected output:
//   the loop sleeps
//   worker: call_soon() refused: Non-thread-safe operation <any>
//   loop: step 1 of the worker
//   loop: step 2 of the worker
//   loop: step 3 of the worker
//   loop: the worker is done

#include <cstdio>
#include <thread>

#include "reactor/errors.h"
#include "reactor/event_loop.h"

static void work(rondo::EventLoop& loop) {
  try {
    loop.call_soon([] { std::puts("never"); });
  } catch (const rondo::RuntimeError& error) {
    std::printf("worker: call_soon() refused: %s\n", error.what());
  }
  for (int step = 1; step <= 3; ++step) {
    loop.call_soon_threadsafe(
        [step] { std::printf("loop: step %d of the worker\n", step); });
  }
  loop.call_soon_threadsafe([&] {
    std::puts("loop: the worker is done");
    loop.stop();
  });
}

int main() {
  rondo::EventLoop loop;
  std::thread worker;
  loop.call_soon([&] {
    std::puts("the loop sleeps");
    worker = std::thread(work, std::ref(loop));
  });
  loop.run_forever();
  worker.join();
}
