// SPDX-License-Identifier: MIT
// shows: TaskGroup misuse: texts of RuntimeError; create_task while it shuts
//   down; reprs; the group keeps its tasks
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/task_group.h"
#include "test/parity/python_str.h"
#include "test/parity/python_words.h"

using python::print;
using python::split;
using rondo::CancelledError;
using rondo::Coro;
using rondo::ExceptionGroup;
using rondo::RuntimeError;
using rondo::sleep;
using rondo::TaskGroup;
using rondo::TaskOptions;
using rondo::with;

static Coro<> noop() { co_return; }

static void attempt(TaskGroup& tg, const char* label) {
  Coro<> c = noop();
  try {
    tg.create_task(std::move(c));
    print(label, "ok");
  } catch (const RuntimeError& e) {
    print(label, "RuntimeError:", split(e.what(), 2).at(2));
    c.close();
  }
}

static Coro<> main_coroutine() {
  {
    TaskGroup tg;
    print(tg);
    attempt(tg, "create_task before entering:");
    const auto body = [&]() -> Coro<> {
      tg.create_task(noop(), TaskOptions().name("n"));
      print(to_string(tg).starts_with("<TaskGroup"),
            split(to_string(tg), 1).at(1));
      const auto pass = []() -> Coro<> { co_return; };
      try {
        co_await with(tg, pass());
      } catch (const RuntimeError& e) {
        print("entering twice: RuntimeError:", split(e.what(), 2).at(2));
      }
    };
    co_await with(tg, body());
    attempt(tg, "create_task after the end:");
  }

  {
    TaskGroup tg;
    const auto bad = []() -> Coro<> {
      throw std::invalid_argument("");
      co_return;
    };
    const auto late = [&]() -> Coro<> {
      try {
        co_await sleep(10);
      } catch (const CancelledError&) {
        Coro<> c = noop();
        try {
          tg.create_task(std::move(c));
          print("create_task while shutting down: ok");
        } catch (const RuntimeError& e) {
          print("create_task while shutting down: RuntimeError:",
                split(e.what(), 2).at(2));
          c.close();
        }
        throw;
      }
    };
    const auto body = [&]() -> Coro<> {
      tg.create_task(late());
      tg.create_task(bad());
      co_return;
    };
    try {
      co_await with(tg, body());
    } catch (const ExceptionGroup&) {
      print(python::repr(std::current_exception()));
    }
  }

  TaskGroup tg;
  std::vector<int> done;
  const auto w = [&]() -> Coro<> {
    co_await sleep(0.01);
    done.push_back(1);
  };
  const auto body = [&]() -> Coro<> {
    tg.create_task(w());
    co_return;
  };
  co_await with(tg, body());
  print("the group keeps its tasks alive without another reference:", done);
}

int main() {
  rondo::run(main_coroutine());
  TaskGroup tg;
  try {
    tg.enter();
  } catch (const RuntimeError& e) {
    print("without a running loop: RuntimeError:", e.what());
  }
}
