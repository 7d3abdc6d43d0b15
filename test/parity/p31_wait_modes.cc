// SPDX-License-Identifier: MIT
// shows: wait(): kFirstCompleted, kFirstException, kAllCompleted, timeout;
//   nothing is cancelled, nothing is thrown; several tasks done in the same
//   iteration are all in `done`; argument errors
#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::ReturnWhen;
using rondo::sleep;
using rondo::TaskOptions;
using rondo::WaitOptions;
using Tasks = std::vector<rondo::Task<std::string>>;

static Coro<std::string> work(std::string name, double d, bool fail) {
  co_await sleep(d);
  if (fail) throw std::invalid_argument(name);
  co_return name;
}

static std::vector<std::string> names(const Tasks& s) {
  std::vector<std::string> sorted;
  for (const auto& t : s) sorted.push_back(t.get_name());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

struct Spec {
  const char* name;
  double d;
  bool fail = false;
};

static Tasks make(std::vector<Spec> specs) {
  Tasks tasks;
  for (const Spec& s : specs) {
    tasks.push_back(
        create_task(work(s.name, s.d, s.fail), TaskOptions().name(s.name)));
  }
  return tasks;
}

static Coro<> cancelled_waiter(Tasks ts) { co_await rondo::wait(ts); }

// wait([c]), wait(ts[0]) and wait(ts, return_when='NEVER') are no programs.
template <class T>
concept CanBeWaitedFor = requires(const T& value) { rondo::wait(value); };
static_assert(CanBeWaitedFor<Tasks> &&
              !CanBeWaitedFor<std::vector<Coro<std::string>>> &&
              !CanBeWaitedFor<rondo::Task<std::string>>);
static_assert(!std::is_convertible_v<const char*, ReturnWhen>);

static Coro<> main_coroutine() {
  Tasks ts = make({{"a", 0.08}, {"b", 0.24}, {"c", 0.16, true}});
  auto result = co_await rondo::wait(ts, ReturnWhen::kFirstCompleted);
  print("FIRST_COMPLETED", names(result.done), names(result.pending));
  result = co_await rondo::wait(ts, ReturnWhen::kFirstCompleted);
  print("again with a done one: returns at once", names(result.done),
        names(result.pending));
  result = co_await rondo::wait(ts, ReturnWhen::kFirstException);
  print("FIRST_EXCEPTION", names(result.done), names(result.pending));
  result = co_await rondo::wait(ts);
  print("ALL_COMPLETED", names(result.done), names(result.pending));
  static_cast<void>(ts[2].exception());

  ts = make({{"a", 0.08}, {"b", 0.8}});
  result = co_await rondo::wait(ts, WaitOptions().timeout(0.4));
  print("timeout", names(result.done), names(result.pending),
        "cancelled:", std::vector{ts[0].cancelled(), ts[1].cancelled()});
  result = co_await rondo::wait(ts, WaitOptions().timeout(0));
  print("timeout=0", names(result.done), names(result.pending));
  co_await ts[1];

  ts = make({{"x", 0}, {"y", 0}, {"z", 0.08}});
  result = co_await rondo::wait(ts, ReturnWhen::kFirstCompleted);
  print("two end in one iteration", names(result.done), names(result.pending));
  co_await ts[2];

  ts = make({{"p", 0.04}, {"q", 0.12}});
  ts[0].cancel();
  result = co_await rondo::wait(ts, ReturnWhen::kFirstException);
  print("FIRST_EXCEPTION does not stop at a cancelled task", names(result.done),
        names(result.pending));

  ts = make({{"m", 0.12}});
  auto w = create_task(cancelled_waiter(ts));
  co_await sleep(0);
  w.cancel();
  bool was_cancelled = false;
  try {
    co_await w;
  } catch (const CancelledError&) {
    was_cancelled = true;  // there is no co_await in a handler
  }
  if (was_cancelled) {
    const bool cancelled = ts[0].cancelled();
    const std::string m = co_await ts[0];
    print("waiter cancelled; the awaited task is not:", cancelled, m);
  }

  try {
    co_await rondo::wait(Tasks());
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
}

int main() { rondo::run(main_coroutine()); }
