// SPDX-License-Identifier: MIT
// shows: gather of two coroutines that never suspend: the first runs to its
//   end before the second starts
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::gather;

static Coro<> test(const char* name, int num) {
  for (int i = 0; i < num; ++i) {
    print(name, i);
  }
  co_return;
}

static Coro<> main_function() {
  std::vector<Coro<>> coroutine_list;
  coroutine_list.push_back(test("A", 3));
  coroutine_list.push_back(test("B", 3));
  // Runs them concurrently and waits for all of them.
  auto result = co_await gather(std::move(coroutine_list));
  print(result);
}

int main() { rondo::run(main_function()); }
