// SPDX-License-Identifier: MIT
// shows: co_await on a coroutine is a direct call within the same task; on a
//   Future or Task that is done it returns at once; nothing else runs in
//   between. Only a pending Future (or sleep(0)) suspends
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;

static Coro<> other() {
  print("other runs");
  co_return;
}

static Coro<std::string> plain() { co_return "value of a coroutine"; }

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto t = create_task(other());
  auto f = create_future<std::string>(loop);
  f.set_result("value of a done future");
  print(co_await plain());
  print(co_await f);
  for (int i = 0; i < 1000; ++i) co_await plain();
  print("1001 awaits later: other has run:", t.done());
  auto done = create_task(plain());
  co_await sleep(0);
  print("after sleep(0) it has:", t.done());
  print("await of a done task:", co_await done);
}

int main() { rondo::run(main_function()); }
