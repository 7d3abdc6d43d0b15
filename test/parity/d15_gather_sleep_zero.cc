// SPDX-License-Identifier: MIT
// shows: sleep(0) takes no time and exactly one pass; a co_await that does not
//   suspend does not switch
#include <chrono>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::Coro;
using rondo::gather;
using rondo::sleep;

static Coro<> empty() { co_return; }

template <class Aw>
static Coro<> test(const char* name, int num, Aw aw) {
  for (int i = 0; i < num; ++i) {
    print.ending("; ")(name, i);
    co_await aw();
  }
}

static Coro<> main_function() {
  co_await gather(test("A", 3, empty), test("B", 3, empty));
  print("<- awaiting an empty coroutine: no switch");
  const auto zero = [] { return sleep(0); };
  co_await gather(test("A", 3, zero), test("B", 3, zero));
  print("<- awaiting sleep(0)");
  const auto t0 = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) co_await sleep(0);
  print("1000 times sleep(0) take less than 0.5 s:",
        std::chrono::steady_clock::now() - t0 < 500ms);
}

int main() { rondo::run(main_function()); }
