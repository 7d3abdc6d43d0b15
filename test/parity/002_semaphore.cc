// SPDX-License-Identifier: MIT
// shows: a Semaphore(3) lets 3 of 5 coroutines run at a time: 2 s in total
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/semaphore.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::gather;
using rondo::None;
using rondo::Semaphore;
using rondo::sleep;

static Coro<> test(Semaphore& semaphore) {
  auto turn = co_await semaphore.scoped();  // as many as the semaphore lets
  print("hello");
  co_await sleep(1);
  print("world");
}

static Coro<std::vector<None>> main_function() {
  Semaphore semaphore(3);  // the most that run at a time
  std::vector<Coro<>> coroutine_list;
  for (int i = 0; i < 5; ++i) coroutine_list.push_back(test(semaphore));
  co_return co_await gather(std::move(coroutine_list));
}

int main() { print(rondo::run(main_function())); }
