// SPDX-License-Identifier: MIT
// shows: the loop inside a coroutine is the running one; new_event_loop()
//   makes another
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/task.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::current_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::new_event_loop;

static Coro<> main_function() {
  EventLoop* loop1 = &current_task().get_loop();  // asyncio.get_event_loop()
  EventLoop* loop2 = &get_running_loop();
  const auto loop3 = new_event_loop();
  print(loop1 == loop2);                          // True
  print(loop1 == loop2 && loop2 == loop3.get());  // False
  co_return;
}

int main() { rondo::run(main_function()); }
