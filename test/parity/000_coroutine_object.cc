// SPDX-License-Identifier: MIT
// shows: calling a coroutine function only makes a coroutine object; a
//   coroutine that was never awaited is reported when it is destroyed
#include "futures/coro/coro.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;

// A coroutine function.
static Coro<> say_hello() {
  print("hello world");
  co_return;
}

// A coroutine.
int main() {
  auto coro = say_hello();
  print(coro);
}
