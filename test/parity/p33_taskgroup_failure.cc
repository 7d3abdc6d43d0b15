// SPDX-License-Identifier: MIT
// shows: TaskGroup: the first failure cancels the siblings (they can clean up,
//   and are waited for); the body is cancelled too if it is suspended; the
//   ExceptionGroup holds the real failures only, in the order in which they
//   happened; text of the group
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/task_group.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::ExceptionGroup;
using rondo::sleep;
using rondo::Task;
using rondo::TaskGroup;
using rondo::with;

static Coro<std::string> worker(std::string name, double d,
                                std::exception_ptr exc = nullptr,
                                std::exception_ptr on_cancel = nullptr) {
  std::exception_ptr cancelled;  // there is no co_await in a handler
  try {
    co_await sleep(d);
  } catch (const CancelledError&) {
    cancelled = std::current_exception();
  }
  if (cancelled) {
    print(name, "cancelled");
    co_await sleep(0.01);
    print(name, "cleaned up");
    if (on_cancel) std::rethrow_exception(on_cancel);
    std::rethrow_exception(cancelled);
  }
  print(name, "ends");
  if (exc) std::rethrow_exception(exc);
  co_return name;
}

template <class E, class... Args>
static std::exception_ptr make(const Args&... args) {
  return std::make_exception_ptr(E(args...));
}
using ValueError = std::invalid_argument;
using KeyError = std::out_of_range;
using OSError = std::system_error;

/// [repr(e) for e in eg.exceptions].
static std::vector<std::string> reprs(const ExceptionGroup& eg) {
  std::vector<std::string> texts;
  for (const auto& e : eg.exceptions()) texts.push_back(python::repr(e));
  return texts;
}

static Coro<> main_coroutine() {
  {
    TaskGroup tg;
    Task<std::string> a, b, c;
    const auto body = [&]() -> Coro<> {
      a = tg.create_task(worker("a", 10));
      b = tg.create_task(worker("b", 0.02, make<ValueError>("b failed")));
      c = tg.create_task(worker("c", 0.01));
      try {
        co_await sleep(10);
      } catch (const CancelledError&) {
        print("body cancelled");
        throw;
      }
    };
    try {
      co_await with(tg, body());
    } catch (const ExceptionGroup& eg) {
      print(python::repr(std::current_exception()), "|", eg.what());
    }
    print("a cancelled:", a.cancelled(), "b:", python::repr(b.exception()),
          "c:", c.result());
  }

  {
    TaskGroup tg;
    const auto body = [&]() -> Coro<> {
      tg.create_task(worker("first", 0.01, make<ValueError>("first")));
      tg.create_task(worker("second", 10, nullptr,
                            make<KeyError>("second, from its cleanup")));
      co_return;
    };
    try {
      co_await with(tg, body());
    } catch (const ExceptionGroup& eg) {
      print(python::Error().type, eg.message(), reprs(eg));
    }
  }

  {
    TaskGroup tg;
    const auto body = [&]() -> Coro<> {
      tg.create_task(worker("p", 0, make<ValueError>("1")));
      tg.create_task(worker("q", 0, make<KeyError>("2")));
      tg.create_task(worker("r", 0, make<OSError>(3, std::generic_category())));
      co_return;
    };
    try {
      co_await with(tg, body());
    } catch (const ExceptionGroup& eg) {
      print("three failures in one iteration:", reprs(eg));
    }
  }

  {
    TaskGroup tg;
    Task<std::string> t;
    const auto body = [&]() -> Coro<> {
      t = tg.create_task(worker("s", 10));
      co_await sleep(0);
      t.cancel();
    };
    co_await with(tg, body());
    print("a cancelled child alone is not an error; cancelled:", t.cancelled());
  }
  {
    TaskGroup tg;
    std::vector<Task<std::string>> ts;
    const auto body = [&]() -> Coro<> {
      for (int i = 0; i < 3; ++i) {
        ts.push_back(tg.create_task(worker("w" + std::to_string(i), 0)));
      }
      co_return;
    };
    co_await with(tg, body());
    print(std::vector{ts[0].result(), ts[1].result(), ts[2].result()});
  }
}

int main() { rondo::run(main_coroutine()); }
