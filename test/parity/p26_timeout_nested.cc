// SPDX-License-Identifier: MIT
// shows: timeout(): TimeoutError comes out of the block, CancelledError is
//   seen inside; nested blocks: the one that expired converts the
//   cancellation, inner or outer (both if the deadlines are equal); states;
//   cancelling() is back to 0 afterwards
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_str.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::current_task;
using rondo::Delay;
using rondo::get_running_loop;
using rondo::sleep;
using rondo::timeout;
using rondo::Timeout;
using rondo::timeout_at;
using rondo::TimeoutError;
using rondo::TimePoint;
using rondo::with;

/// repr(limit).split(' ')[0:2].
static std::vector<std::string> state(const Timeout& limit) {
  std::vector<std::string> words = python::split(to_string(limit));
  words.resize(2);
  return words;
}

static Coro<> nested(double a, double b) {
  std::printf("outer %.2f inner %.2f\n", a, b);
  const TimePoint t0 = get_running_loop().time();
  Timeout outer = timeout_at(t0 + Delay(a).value());
  Timeout inner = timeout_at(t0 + Delay(b).value());
  const auto inner_body = []() -> Coro<> {
    try {
      co_await sleep(1);
    } catch (const CancelledError&) {
      print("  body sees CancelledError, cancelling:",
            current_task().cancelling());
      throw;
    }
  };
  const auto outer_body = [&]() -> Coro<> {
    try {
      co_await with(inner, inner_body());
    } catch (const TimeoutError&) {
      print("  TimeoutError from the inner block; inner expired",
            inner.expired(), "outer expired", outer.expired());
    } catch (const CancelledError&) {
      print("  CancelledError passes the inner block; inner expired",
            inner.expired(), "outer expired", outer.expired());
      throw;
    }
    co_await sleep(0);
    print("  end of the outer body");
  };
  try {
    co_await with(outer, outer_body());
  } catch (const TimeoutError& e) {
    const bool has_cause = dynamic_cast<const std::nested_exception*>(&e);
    print("  TimeoutError from the outer block; cause",
          has_cause ? "nested_exception" : "NoneType");
  }
  print("  cancelling:", current_task().cancelling(), state(outer),
        state(inner));
}

static Coro<> main_coroutine() {
  co_await nested(0.08, 0.8);
  co_await nested(0.8, 0.08);
  co_await nested(0.4, 0.4);
  Timeout cm = timeout_at(std::nullopt);
  const auto show = [&]() -> Coro<> {
    print("when None:", cm.when() ? "not None" : "None", cm);
    co_return;
  };
  co_await with(cm, show());
  print(cm);
  const auto one_pass = []() -> Coro<> {
    co_await sleep(0);
    print(
        "sleep(0) is long enough to be interrupted by timeout(0)? not printed");
  };
  try {
    co_await with(timeout(0), one_pass());
  } catch (const TimeoutError&) {
    print("timeout(0): TimeoutError");
  }
  const auto without_suspension = []() -> Coro<> {
    print("body without suspension");
    co_return;
  };
  try {
    co_await with(timeout(-1), without_suspension());
    print("left without TimeoutError");
  } catch (const TimeoutError&) {
    print("TimeoutError");
  }
  const auto swallow = []() -> Coro<> {
    try {
      co_await sleep(1);
    } catch (const CancelledError&) {
      print("body swallowed the cancellation");
    }
  };
  try {
    co_await with(timeout(0.08), swallow());
    print("no TimeoutError then");
  } catch (const TimeoutError&) {
    print("TimeoutError all the same");
  }
  print("cancelling:", current_task().cancelling());
  const auto other_exception = []() -> Coro<> {
    try {
      co_await sleep(1);
    } catch (...) {
      throw std::out_of_range("other exception");
    }
  };
  try {
    co_await with(timeout(0.08), other_exception());
  } catch (const std::out_of_range& e) {
    print("KeyError wins:", python::repr(e.what()));
  }
  print("cancelling:", current_task().cancelling());
}

int main() { rondo::run(main_coroutine()); }
