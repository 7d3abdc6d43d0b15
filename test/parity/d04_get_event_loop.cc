// SPDX-License-Identifier: MIT
// shows: what stands for asyncio.get_event_loop(). Here nothing makes a loop
//   behind one's back: a loop that does not run is an object that has a name,
//   and the only one to ask for is the running one. Where asyncio has no
//   current loop, get_running_loop() throws
#include <thread>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::run_until_complete;
using rondo::RuntimeError;

static Coro<EventLoop*> main_function() { co_return &get_running_loop(); }

static void thread() {
  try {
    get_running_loop();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
}

int main() {
  EventLoop a;
  EventLoop& b = a;
  print("same loop:", &a == &b, "; running:", a.is_running());

  print("inside a coroutine it is the running loop:",
        run_until_complete(a, main_function()) == &a);

  std::thread t(thread);
  t.join();
  print("a coroutine of asyncio.run has another loop:",
        rondo::run(main_function()) != &a);
  try {
    get_running_loop();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  a.close();
}
