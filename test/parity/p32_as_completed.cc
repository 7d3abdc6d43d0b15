// SPDX-License-Identifier: MIT
// shows: as_completed gives in the order of completion; an exception comes out
//   of the await of its turn; the timeout throws TimeoutError but cancels
//   nothing
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/as_completed.h"
#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::as_completed;
using rondo::Coro;
using rondo::create_task;
using rondo::sleep;
using rondo::Task;
using rondo::TimeoutError;

static Coro<std::string> work(std::string name, double d, bool fail = false) {
  co_await sleep(d);
  if (fail) throw std::invalid_argument(name);
  co_return name;
}

/// [first, second, third].
template <class T, class... More>
static std::vector<T> list(T first, More... more) {
  std::vector<T> values;
  values.push_back(std::move(first));
  (values.push_back(std::move(more)), ...);
  return values;
}

// as_completed(a) is no program.
template <class T>
concept HasTurns = requires(T& value) { as_completed(value); };
static_assert(HasTurns<std::vector<Task<std::string>>> &&
              !HasTurns<Task<std::string>>);

static Coro<> main_coroutine() {
  auto plain =
      as_completed(list(work("c", 0.24), work("a", 0.08), work("b", 0.16)));
  while (plain.has_next()) print(co_await plain.next());
  auto failing = as_completed(
      list(work("x", 0.08), work("bad", 0.16, true), work("z", 0.24)));
  while (failing.has_next()) {
    try {
      print(co_await failing.next());
    } catch (const std::invalid_argument& e) {
      print("ValueError", e.what());
    }
  }
  auto ts =
      list(create_task(work("quick", 0.08)), create_task(work("slow", 1.2)));
  auto limited = as_completed(ts, 0.4);
  while (limited.has_next()) {
    try {
      print(co_await limited.next());
    } catch (const TimeoutError&) {
      print("TimeoutError; slow cancelled:", ts[1].cancelled(),
            "done:", ts[1].done());
    }
  }
  print(co_await ts[1]);
  Task<std::string> a = create_task(work("first created", 0));
  Task<std::string> b = create_task(work("second created", 0));
  co_await rondo::wait(list(a, b));
  std::vector<std::string> results;
  auto done = as_completed(list(b, a));
  while (done.has_next()) results.push_back(co_await done.next());
  std::sort(results.begin(), results.end());
  print("both done before: any order,", results);
}

int main() { rondo::run(main_coroutine()); }
