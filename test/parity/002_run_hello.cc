// SPDX-License-Identifier: MIT
// shows: calling a coroutine function gives a coroutine object, and its
//   destruction a report; run() runs one
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;

namespace twin {
static Coro<> main() {
  print("hello");
  co_return;
}
}  // namespace twin

int main() {
  print(twin::main());       // runs nothing
  rondo::run(twin::main());  // runs it
}
