// SPDX-License-Identifier: MIT
// shows: co_await gives the value the coroutine returns
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;

static Coro<int> test() { co_return 0; }

static Coro<> main_function() {
  auto result = co_await test();
  print(result);
}

int main() { rondo::run(main_function()); }
