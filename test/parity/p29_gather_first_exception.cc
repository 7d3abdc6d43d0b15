// SPDX-License-Identifier: MIT
// shows: the first exception goes to the awaiter of gather at once; the other
//   tasks are NOT cancelled and go on; a second exception is lost silently; a
//   cancelled child counts as an exception
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::gather;
using rondo::sleep;
using rondo::Task;

static Coro<std::string> work(std::string name, double d,
                              std::exception_ptr exc = nullptr) {
  try {
    co_await sleep(d);
  } catch (const CancelledError&) {
    print(name, "cancelled");
    throw;
  }
  print(name, "ends");
  if (exc) std::rethrow_exception(exc);
  co_return name;
}

static Coro<> main_coroutine() {
  const auto b = std::make_exception_ptr(std::invalid_argument("b"));
  const auto c = std::make_exception_ptr(std::out_of_range("c"));
  try {
    co_await gather(work("a", 0.16), work("b", 0.08, b), work("c", 0.12, c));
  } catch (const std::invalid_argument&) {
    print("gather raised", python::repr(std::current_exception()));
  }
  co_await sleep(0.2);
  print("-- all have ended");

  std::vector<Task<std::string>> ts;
  for (const auto& [n, d] : {std::pair("x", 0.08), std::pair("y", 0.16)}) {
    ts.push_back(create_task(work(n, d)));
  }
  auto g = gather(ts);
  co_await sleep(0);
  ts[0].cancel();
  try {
    co_await g;
  } catch (const CancelledError&) {
    print("gather raised CancelledError; g.cancelled():", g.cancelled(),
          "; y done:", ts[1].done());
  }
  print("main is not being cancelled:", current_task().cancelling());
  print(co_await ts[1]);
}

int main() { rondo::run(main_coroutine()); }
