// SPDX-License-Identifier: MIT
// shows: sleep(0) gives up exactly one pass; tasks that do it alternate
//   strictly; negative delays are the same; sleep(d, result); a positive
//   delay, however small, goes through a timer
#include <string>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::EventLoop;
using rondo::gather;
using rondo::get_running_loop;
using rondo::sleep;

static int n = 0;

static void tick() {
  n += 1;
  get_running_loop().call_soon(tick);
}

static Coro<> worker(const char* name, int times, std::string& log) {
  for (int i = 0; i < times; ++i) {
    log += (log.empty() ? "" : " ") + (name + std::to_string(i));
    co_await sleep(0);
  }
}

static Coro<> main_function() {
  std::string log;
  co_await gather(worker("a", 3, log), worker("b", 5, log),
                  worker("c", 2, log));
  print(log);

  EventLoop& loop = get_running_loop();
  loop.call_soon(tick);
  co_await sleep(0);
  int start = n;
  co_await sleep(0);
  print("iterations for sleep(0):", n - start);
  start = n;
  co_await sleep(-1);
  print("iterations for sleep(-1):", n - start);
  start = n;
  co_await sleep(1e-9);
  print("iterations for sleep(1e-9) are more than one:", n - start > 1);
  const auto first = co_await sleep(0, std::string("result"));
  print(first, co_await sleep(0.001, std::string("result 2")));
}

int main() { rondo::run(main_function()); }
