// SPDX-License-Identifier: MIT
// shows: gather gives results in the order of its arguments whatever the order
//   of completion; the same future given twice runs once (a coroutine cannot
//   be given twice); return_exceptions; gather() of nothing
#include <stdexcept>
#include <string>
#include <type_traits>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_str.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::gather;
using rondo::return_exceptions;
using rondo::sleep;
using rondo::Task;

static Coro<std::string> work(std::string name, double d) {
  co_await sleep(d);
  print("done", name);
  co_return name;
}

static Coro<std::string> fail(std::string name, double d) {
  co_await sleep(d);
  print("fails", name);
  throw std::invalid_argument(name);
}

// gather(c, c) is no program.
static_assert(!std::is_copy_constructible_v<Coro<std::string>>);

static Coro<> selfcancel() {
  current_task().cancel();
  co_await sleep(0);
}

/// type(future).__name__.
static std::string type_name(const rondo::AnyFuture& future) {
  return python::split(to_string(future))[0].substr(1);
}

static Coro<> main_coroutine() {
  print(co_await gather(work("slow", 0.24), work("fast", 0.08),
                        work("mid", 0.16)));
  Task<std::string> t = create_task(work("task", 0));
  print(co_await gather(t, work("coro", 0), t));
  print(co_await gather(return_exceptions, work("ok", 0.08), fail("bad", 0.04),
                        fail("worse", 0.12)));

  print(co_await gather(return_exceptions, selfcancel(), work("other", 0)));
  auto g = gather();
  print(type_name(g), co_await g);
}

int main() { rondo::run(main_coroutine()); }
