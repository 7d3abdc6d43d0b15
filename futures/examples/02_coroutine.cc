// SPDX-License-Identifier: MIT
//
// The same as 01, written as a coroutine: the compiler makes the state machine.
// Each co_await is a `return Step::wait(...)`, what stands behind it is the
// next state, and the locals are the members. The Task is the same Task, and
// does not know the difference.
//
// Calling a coroutine function runs nothing. co_await runs the coroutine inside
// this task, like a call; create_task() runs it beside this one. run() makes a
// loop and runs the first.
//
// Whoever uses g++ 12: keep lambdas with captures, braces and `?:` out of
// co_await expressions. README.md says why.
//
// New against 01: the class has become a function.
//
// Expected output:
//   made, and nothing has run: <Task pending name='Task-2' coro=<say() <any>>>
//   hello
//   world
//   hello, again
//   world, again
//   greetings: 2 and 2
//   both took the time of one: 1

#include <chrono>
#include <cstdio>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"

using namespace std::chrono_literals;
using rondo::Coro;
using rondo::Task;

static Coro<int> say(std::string whom) {
  std::puts(whom.c_str());
  co_await rondo::sleep(0.2);
  std::printf("%s, again\n", whom.c_str());
  co_return 2;
}

static Coro<> main_coroutine() {
  rondo::EventLoop& loop = rondo::get_running_loop();
  const rondo::TimePoint start = loop.time();
  const Task<int> hello = create_task(say("hello"));
  const Task<int> world = create_task(say("world"));
  std::printf("made, and nothing has run: %s\n", to_string(hello).c_str());

  const int greetings = co_await hello;
  const int others = co_await world;
  std::printf("greetings: %d and %d\n", greetings, others);
  std::printf("both took the time of one: %d\n", loop.time() - start < 400ms);
}

int main() { rondo::run(main_coroutine()); }
