// SPDX-License-Identifier: MIT
// shows: cancelling a task that waits for a future cancels that future at once
//   (other waiters see it too) and the task gets CancelledError in a later pass
#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::Future;
using rondo::gather;
using rondo::get_running_loop;
using rondo::return_exceptions;
using rondo::sleep;

static Coro<> waiter(const char* name, Future<void> fut) {
  struct Finally {
    ~Finally() { print(name, "finally"); }
    const char* name;
  } const finally{name};
  try {
    co_await fut;
  } catch (const CancelledError&) {
    print(name, "CancelledError; future cancelled:", fut.cancelled());
    throw;
  }
}

static Coro<> main_function() {
  auto fut = create_future<void>(get_running_loop());
  auto a = create_task(waiter("a", fut));
  auto b = create_task(waiter("b", fut));
  co_await sleep(0);
  print("cancel a:", a.cancel());
  print("future cancelled at once:", fut.cancelled(), "; a done:", a.done());
  auto r = co_await gather(return_exceptions, a, b);
  print(r);
  print("cancelled:", a.cancelled(), b.cancelled(),
        "cancelling:", a.cancelling(), b.cancelling());
}

int main() { rondo::run(main_function()); }
