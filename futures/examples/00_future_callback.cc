// SPDX-License-Identifier: MIT
//
// A Future is a value that is not there yet, and the callbacks of those who
// wait for it. Whoever has the value says set_result(), once.
//
// set_result() calls nobody: it puts the callbacks into the loop's ready queue.
// So "set_result() has returned" comes before "callback", and whoever settles a
// Future never finds that somebody else's code has run in between. A callback
// added later, to a Future that is done, takes the same way.
//
// New against the reactor's examples: the Future. No Task, no coroutine yet.
//
// Expected output:
//   <Future pending>
//   done: 0, cancelled: 0, of this loop: 1
//   Result is not set.
//   <Future pending cb=[main::<lambda>() at <any>00_future_callback.cc:<line>]>
//   set_result() has returned, the result is 111
//   a second one throws: invalid state
//   <Future finished result=111>
//   -- one pass of the loop
//   callback: 111
//   -- one more
//   callback, added when it was done: 111

#include "futures/future.h"

#include <cstdio>
#include <string>

#include "reactor/event_loop.h"

using rondo::Future;

static void print(const Future<int>& future) {
  std::puts(to_string(future).c_str());
}

int main() {
  rondo::EventLoop loop;
  const Future<int> future(loop);  // or create_future<int>(loop)
  print(future);
  std::printf("done: %d, cancelled: %d, of this loop: %d\n", future.done(),
              future.cancelled(), &future.get_loop() == &loop);
  try {
    std::printf("the result is %d\n", future.result());
  } catch (const rondo::InvalidStateError& error) {
    std::puts(error.what());
  }

  future.add_done_callback([](const Future<int>& f) {
    std::printf("callback: %d\n", f.result());
    f.add_done_callback([](const Future<int>& same) {
      std::printf("callback, added when it was done: %d\n", same.result());
    });
  });
  print(future);

  future.set_result(111);
  std::printf("set_result() has returned, the result is %d\n", future.result());
  try {
    future.set_result(222);
  } catch (const rondo::InvalidStateError& error) {
    std::printf("a second one throws: %s\n", error.what());
  }
  print(future);

  std::puts("-- one pass of the loop");
  loop.run_once();
  std::puts("-- one more");
  loop.run_once();
}
