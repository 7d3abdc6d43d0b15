// SPDX-License-Identifier: MIT
// shows: Future by hand: state, result before it is set, done callback through
//   the ready queue
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
using rondo::InvalidStateError;

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto future = create_future<int>(loop);

  print(future.done());                // False
  print(future.cancelled());           // False
  print(&loop == &future.get_loop());  // True

  try {
    print("Get future result:", future.result());  // throws
  } catch (const InvalidStateError&) {
    print("Result is not set");
  }

  future.add_done_callback(
      [](Future<int>) { print("Run future done callback!"); });
  // Queues the callback, which the loop will run.
  future.set_result(111);
  try {
    print("get future result:", future.result());  // 111
  } catch (const InvalidStateError&) {
    print("Result is not set");
  }
  co_return;
}

int main() { rondo::run(main_function()); }
