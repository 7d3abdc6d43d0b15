// SPDX-License-Identifier: MIT
// shows: call_soon and call_later from inside a coroutine
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.call_soon([] { print("Hello call_soon()"); });       // ready at once
  loop.call_later(1, [] { print("Hello call_later()"); });  // ready in 1 s
  co_await sleep(2);
}

int main() { rondo::run(main_function()); }
