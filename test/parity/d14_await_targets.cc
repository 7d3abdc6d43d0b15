// SPDX-License-Identifier: MIT
// shows: what can be awaited besides Futures, Tasks and Coros: any TaskBody,
//   whether it is an Operation (which then can be awaited in more ways) or not.
//   What else is tried, in Python when it runs, is no program here
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/operation.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyFuture;
using rondo::Coro;
using rondo::Operation;
using rondo::Resumption;
using rondo::Step;
using rondo::TaskBody;

class OldStyle {
 public:
  Step step(Resumption& resumption) {
    resumption.check();
    return std::exchange(yielded_, true) ? Step::done() : Step::yield();
  }
  std::string result() { return "generator-based"; }

 private:
  bool yielded_ = false;
};

class A : public Operation<A, std::string> {
 public:
  A() = default;
  Step step(Resumption& resumption) {
    resumption.check();
    return std::exchange(yielded_, true) ? Step::done() : Step::yield();
  }
  std::string result() { return "custom"; }

 private:
  bool yielded_ = false;
};

struct Bad {
  std::vector<int> step(Resumption&) { return {1}; }
  void result() {}
};

template <class What>
struct Yields {
  What step(Resumption&);
  void result();
};

// int; a step() that returns a list; one that yields 5, or a coroutine; and
// one that yields a Future by plain yield.
static_assert(TaskBody<OldStyle> && TaskBody<A>);
static_assert(!TaskBody<int> && !TaskBody<Bad> && !TaskBody<Yields<int>> &&
              !TaskBody<Yields<Coro<>>>);
template <class F>
concept CanYield = requires(F& future) { Step::yield(future); };
template <class F>
concept CanWait = requires(F& future) { Step::wait(future); };
static_assert(CanWait<AnyFuture> && !CanYield<AnyFuture>);

static Coro<> main_function() {
  OldStyle g;
  print("has __await__:",
        std::is_convertible_v<OldStyle, rondo::Future<std::string>>, "->",
        co_await g);
  print(co_await A());
}

// `co_await x` outside of a coroutine is no program either.
int main() { rondo::run(main_function()); }
