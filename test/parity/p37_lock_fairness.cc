// SPDX-License-Identifier: MIT
// shows: Lock: waiters get it in FIFO order; a releaser that acquires again at
//   once goes behind the waiters; a cancelled waiter is skipped; misuse; repr
#include <mutex>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/lock.h"
#include "futures/wait.h"
#include "test/parity/python_str.h"
#include "test/parity/python_words.h"

using python::joined;
using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::gather;
using rondo::Lock;
using rondo::LockGuard;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::Task;
using Log = std::vector<std::string>;

static Coro<> worker(Lock& lock, std::string name, Log& log) {
  for (int i = 0; i < 2; ++i) {
    LockGuard guard = co_await lock.scoped();
    log.push_back(name + std::to_string(i));
  }
}

/// [create_task(worker(lock, n, log)) for n in names].
static std::vector<Task<void>> workers(Lock& lock, std::string names,
                                       Log& log) {
  std::vector<Task<void>> ts;
  for (char n : names) {
    ts.push_back(create_task(worker(lock, std::string(1, n), log)));
  }
  return ts;
}

static std::vector<bool> cancelled(const std::vector<Task<void>>& ts) {
  std::vector<bool> all;
  for (const Task<void>& t : ts) all.push_back(t.cancelled());
  return all;
}

// `with lock:` is no program: no lock() and unlock() as std::lock_guard needs.
template <class T>
concept BasicLockable = requires(T& lock) {
  lock.lock();
  lock.unlock();
};
static_assert(BasicLockable<std::mutex> && !BasicLockable<Lock>);

static Coro<> main_coroutine() {
  Lock lock;
  print(lock);
  Log log;
  co_await lock.acquire();
  std::vector<Task<void>> ts = workers(lock, "abc", log);
  co_await sleep(0);
  print(lock);
  lock.release();
  print("locked right after release with waiters:", lock.locked());
  co_await gather(ts);
  print(joined(log));

  // barging: free lock, no waiter to be woken
  log.clear();
  co_await gather(workers(lock, "xy", log));
  print(joined(log));

  co_await lock.acquire();
  ts = workers(lock, "pqr", log);
  log.clear();
  co_await sleep(0);
  ts[1].cancel();
  lock.release();
  co_await rondo::wait(ts);
  print(joined(log), cancelled(ts));

  // the waiter that was just handed the lock is cancelled: the next one gets it
  log.clear();
  co_await lock.acquire();
  ts = workers(lock, "st", log);
  co_await sleep(0);
  lock.release();
  ts[0].cancel();
  co_await rondo::wait(ts);
  print(joined(log), cancelled(ts), "locked:", lock.locked());

  // acquire() by a third party between release and the wake-up of the waiter
  log.clear();
  co_await lock.acquire();
  Task<void> t = create_task(worker(lock, "w", log));
  co_await sleep(0);
  lock.release();
  print("acquire() now must queue behind the waiter");
  {
    LockGuard guard = co_await lock.scoped();
    log.push_back("main");
  }
  co_await t;
  print(joined(log));
  try {
    lock.release();
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
  static_assert(std::is_void_v<decltype(lock.acquire().result())>);
  co_await lock.acquire();
  print("acquire returns", rondo::None());
}

int main() { rondo::run(main_coroutine()); }
