// SPDX-License-Identifier: MIT
//
// cancel() is a request. It walks down the chain of tasks that wait for each
// other to what the last of them waits for, and cancels that. Then a
// CancelledError comes up the chain, one task a pass; each may clean up and
// throw it on, which is the advice, or refuse.
//
// New against 04: cancelling by hand, and the number of the pass.
//
// Expected output:
//   cancel() said yes; requests: outer 1, middle 1, inner 1
//   cancel() has returned, and nothing has run
//   pass 1: inner is thrown CancelledError('enough')
//   pass 2: middle is thrown CancelledError('enough')
//   pass 3: outer is thrown CancelledError('enough')
//   pass 4: main sees CancelledError('enough'); outer is cancelled: 1
//   stubborn: I would rather not
//   stubborn gave 7; requests: 1; cancelled: 0
//   cancelled before its first step, so nothing was printed: 1
//   a second cancel() of what is done says: 0

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"

using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::Task;

static std::uint64_t first_pass;

static unsigned pass() {
  const std::uint64_t passes = rondo::get_running_loop().stats().passes;
  return static_cast<unsigned>(passes - first_pass);
}

static void report(const char* who) {
  std::printf("pass %u: %s is thrown %s\n", pass(), who,
              rondo::repr(std::current_exception()).c_str());
}

static Task<void> middle_task, inner_task;

static Coro<> inner() {
  try {
    co_await rondo::sleep(3600);
  } catch (const CancelledError&) {  // no std::exception: see errors.h
    report("inner");
    throw;
  }
}

static Coro<> middle() {
  inner_task = create_task(inner());
  try {
    co_await inner_task;
  } catch (const CancelledError&) {
    report("middle");
    throw;
  }
}

static Coro<> outer() {
  middle_task = create_task(middle());
  try {
    co_await middle_task;
  } catch (const CancelledError&) {
    report("outer");
    throw;
  }
}

static Coro<int> stubborn() {
  try {
    co_await rondo::sleep(3600);
  } catch (const CancelledError&) {
    std::puts("stubborn: I would rather not");
  }
  co_return 7;
}

static Coro<> main_coroutine() {
  const Task<void> task = create_task(outer());
  for (int i = 0; i < 3; ++i) co_await rondo::sleep(0);  // until all wait

  first_pass = rondo::get_running_loop().stats().passes;
  std::printf("cancel() said %s;", task.cancel("enough") ? "yes" : "no");
  std::printf(" requests: outer %u, middle %u, inner %u\n", task.cancelling(),
              middle_task.cancelling(), inner_task.cancelling());
  std::puts("cancel() has returned, and nothing has run");
  try {
    co_await task;
  } catch (const CancelledError&) {
    std::printf("pass %u: main sees %s; outer is cancelled: %d\n", pass(),
                rondo::repr(std::current_exception()).c_str(),
                task.cancelled());
  }

  const Task<int> refuses = create_task(stubborn());
  co_await rondo::sleep(0);
  refuses.cancel();
  const int seven = co_await refuses;
  std::printf("stubborn gave %d; requests: %u; cancelled: %d\n", seven,
              refuses.cancelling(), refuses.cancelled());

  const Task<int> early = create_task(stubborn());
  early.cancel();
  co_await rondo::sleep(0);
  std::printf("cancelled before its first step, so nothing was printed: %d\n",
              early.cancelled());
  std::printf("a second cancel() of what is done says: %d\n", early.cancel());
}

int main() { rondo::run(main_coroutine()); }
