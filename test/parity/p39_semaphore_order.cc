// SPDX-License-Identifier: MIT
// shows: the output of the semaphore program of seed 002 is not the only
//   possible one. When the timers of the three holders fire in one iteration:
//   world world world hello hello. When they fire in different iterations:
//   world hello world hello world. Both cases are forced here.
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/semaphore.h"
#include "test/parity/python_str.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::Future;
using rondo::gather;
using rondo::get_running_loop;
using rondo::Semaphore;
using rondo::SemaphoreGuard;
using rondo::sleep;
using rondo::Task;

static Coro<> run(bool gap) {
  std::vector<std::string> log;
  EventLoop& loop = get_running_loop();
  Semaphore sem(3);
  std::vector<Future<void>> futs;
  for (int i = 0; i < 5; ++i) futs.push_back(create_future<void>(loop));
  auto next = futs.begin();
  std::vector<Future<void>> fl;

  const auto test = [&]() -> Coro<> {
    SemaphoreGuard guard = co_await sem.scoped();
    log.push_back("hello");
    Future<void> f = *next++;
    fl.push_back(f);
    co_await f;
    log.push_back("world");
  };
  std::vector<Task<void>> ts;
  for (int i = 0; i < 5; ++i) ts.push_back(create_task(test()));
  co_await sleep(0.01);
  for (int i = 0; i < 3; ++i) {
    fl.at(i).set_result();
    if (gap) co_await sleep(0.01);
  }
  co_await sleep(0.01);
  for (int i = 3; i < 5; ++i) {
    fl.at(i).set_result();
    if (gap) co_await sleep(0.01);
  }
  co_await gather(ts);
  print(python::joined(log));
}

static Coro<> main_coroutine() {
  co_await run(false);
  co_await run(true);
}

int main() { rondo::run(main_coroutine()); }
