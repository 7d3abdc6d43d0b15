// SPDX-License-Identifier: MIT
// shows: Future by hand, as written in the document, where it fails: there is
//   no asyncio.base_futures.InvalidStateError. Python finds that out when it
//   looks for a handler; in C++ such a handler is no program. So this one has
//   none, and the exception leaves main() all the same
#include "futures/coro/coro.h"
#include "futures/future.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto future = create_future<int>(loop);

  print(future.done());                // False
  print(future.cancelled());           // False
  print(&loop == &future.get_loop());  // True

  print("Get future result:", future.result());  // throws

  future.add_done_callback(
      [](Future<int>) { print("Run future done callback!"); });
  // Queues the callback, which the loop will run.
  future.set_result(111);
  print("get future result:", future.result());  // 111
  co_return;
}

int main() {
  return python::run_script([] { rondo::run(main_function()); });
}
