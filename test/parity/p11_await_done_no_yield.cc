// SPDX-License-Identifier: MIT
// shows: awaiting a future or task that is already done does not suspend: no
//   other task runs in between
#include <stdexcept>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::current_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::None;

static Coro<None> other() {
  print("other runs");
  co_return None();
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto fut = create_future<int>(loop);
  fut.set_result(5);
  auto t = create_task(other());
  print("await done future ->", co_await fut);
  print("await it again ->", co_await fut);
  auto bad = create_future<int>(loop);
  bad.set_exception(std::out_of_range("k"));
  try {
    co_await bad;
  } catch (const std::out_of_range&) {
    print("await failed future -> KeyError", python::Error().text);
  }
  auto c = create_future<int>(loop);
  c.cancel();
  try {
    co_await c;
  } catch (const CancelledError&) {
    print(
        "await cancelled future -> CancelledError; main itself is not being "
        "cancelled:",
        current_task().cancelling());
  }
  print("other has not run yet:", !t.done());
  co_await t;
  print("now it has");
  print("await done task ->", co_await t);
}

int main() { rondo::run(main_function()); }
