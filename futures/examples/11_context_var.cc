// SPDX-License-Identifier: MIT
//
// A ContextVar is a global variable that has a value of its own in each task: a
// request's number, for all that is logged on its behalf, without handing it
// through every function. A task begins with a copy of what its maker sees;
// what it sets is seen by itself, by the coroutines that it awaits and the
// tasks that it makes, and by no other task. A callback runs with the values of
// the moment when it was registered.
//
// New against 10: what belongs to a task without standing in its arguments.
//
// Expected output:
//   [no request] the server begins
//   [request 1] begins
//   [request 2] begins
//   [request 1] asks the database
//   [request 1] a callback
//   [request 1] a task of its own
//   [request 2] asks the database
//   [request 2] a callback
//   [request 2] a task of its own
//   [no request] the server ends

#include <cstdio>
#include <string>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/context.h"

using rondo::Coro;

static rondo::ContextVar<std::string> request("request", "no request");

static void log(const char* what) {
  std::printf("[%s] %s\n", request.get().c_str(), what);
}

static Coro<> audit() {
  log("a task of its own");
  co_return;
}

static Coro<> ask_database() {
  log("asks the database");
  rondo::get_running_loop().call_soon([] { log("a callback"); });
  co_await create_task(audit());
}

static Coro<> handle(int number) {
  request.set("request " + std::to_string(number));
  log("begins");
  co_await rondo::sleep(number * 0.02);
  co_await ask_database();
}

static Coro<> main_coroutine() {
  log("the server begins");
  co_await gather(handle(1), handle(2));
  log("the server ends");
}

int main() { rondo::run(main_coroutine()); }
