// SPDX-License-Identifier: MIT
// shows: awaiting a coroutine runs it inside the same task, like a call;
//   nothing else runs unless something at the bottom really suspends; a
//   coroutine can be awaited once only
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyTask;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::RuntimeError;

template <class T>
static Coro<T> leaf(T n) {
  print("leaf", n);
  co_return n;
}

static Coro<std::string> chain(int n) {
  if (n == 0) co_return co_await leaf(std::string("bottom"));
  co_return co_await chain(n - 1);
}

static Coro<> other() {
  print("other runs");
  co_return;
}

// 5, None and [1] cannot be awaited, and no task can be made of them: that is
// no program.
template <class T>
concept CanBeATask = requires(T value) { create_task(std::move(value)); };
static_assert(CanBeATask<Coro<>>);
static_assert(!CanBeATask<int> && !CanBeATask<std::nullptr_t> &&
              !CanBeATask<std::vector<int>>);

static Coro<> main_function() {
  const AnyTask me = current_task();
  auto t = create_task(other());
  for (int i = 0; i < 3; ++i) co_await leaf(i);
  print("depth 50 ->", co_await chain(50));
  print("other has not run yet:", !t.done());

  const auto who = [&]() -> Coro<bool> { co_return current_task() == me; };
  print("same task inside an awaited coroutine:", co_await who());
  print("same task inside create_task:", co_await create_task(who()));
  print("other done:", t.done());
  auto c = leaf(std::string("once"));
  co_await c;
  try {
    co_await c;
  } catch (const RuntimeError& e) {
    print("RuntimeError:", e.what());
  }
}

int main() { rondo::run(main_function()); }
