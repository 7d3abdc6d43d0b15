// SPDX-License-Identifier: MIT
// shows: Semaphore: FIFO; no overtaking of a woken waiter; cancelling a waiter
//   passes its turn on; value 0 and release; BoundedSemaphore over-release;
//   locked(); repr
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/semaphore.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::BoundedSemaphore;
using rondo::Coro;
using rondo::create_task;
using rondo::gather;
using rondo::return_exceptions;
using rondo::Semaphore;
using rondo::SemaphoreGuard;
using rondo::sleep;
using rondo::Task;
using Log = std::vector<std::string>;

static Coro<> worker(Semaphore& sem, std::string name, Log& log,
                     double hold = 0.01) {
  SemaphoreGuard guard = co_await sem.scoped();
  log.push_back("+" + name);
  co_await sleep(hold);
  log.push_back("-" + name);
}

static Coro<> w(Semaphore& sem, std::string name, Log& log) {
  co_await sem.acquire();
  log.push_back(name);
}

/// log[first:last].
static Log slice(const Log& log, int first, int last) {
  return Log(log.begin() + first, log.begin() + last);
}

static Coro<> main_coroutine() {
  {
    Semaphore sem(2);
    Log log;
    co_await gather(worker(sem, "a", log), worker(sem, "b", log),
                    worker(sem, "c", log));
    Log middle = slice(log, 2, 5);
    std::sort(middle.begin(), middle.end());
    print(slice(log, 0, 2), middle, slice(log, 5, 6));
  }

  {
    Semaphore sem(0);
    Log log;
    std::vector<Task<void>> ts;
    for (const char* n : {"a", "b", "c", "d"}) {
      ts.push_back(create_task(w(sem, n, log)));
    }
    co_await sleep(0);
    print(sem);
    ts[1].cancel();
    sem.release();
    print("locked after release with waiters:", sem.locked(), sem);
    sem.release();
    co_await sleep(0);
    co_await sleep(0);
    print(log);
    sem.release();
    ts[3].cancel();
    auto ends = co_await gather(return_exceptions, ts);
    print("the woken waiter d is cancelled:", ends);
    print("its turn is not lost: locked", sem.locked());
    co_await sem.acquire();
    print(log);
  }

  // a newcomer may not overtake
  {
    Semaphore sem(1);
    Log log;
    co_await sem.acquire();
    Task<void> t = create_task(w(sem, "waiter", log));
    co_await sleep(0);
    sem.release();
    if (!sem.locked()) co_await w(sem, "newcomer", log);
    print("newcomer may take it at once:",
          std::find(log.begin(), log.end(), "newcomer") != log.end());
    co_await t;
    print(log);
  }

  BoundedSemaphore b(1);
  co_await b.acquire();
  b.release();
  try {
    b.release();
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
  try {
    Semaphore negative(-1);
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
  Semaphore s(1);
  s.release();
  print("an unbounded one can grow:", s);
}

int main() { rondo::run(main_coroutine()); }
