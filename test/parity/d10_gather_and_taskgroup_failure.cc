// SPDX-License-Identifier: MIT
// shows: gather: the others go on, but the awaiter gets the exception at once -
//   and run() cancels them if main ends first. TaskGroup: they are cancelled at
//   their next suspension, may clean up or refuse, and are waited for; the
//   error arrives as an ExceptionGroup
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::ExceptionGroup;
using rondo::gather;
using rondo::sleep;
using rondo::TaskGroup;
using rondo::with;

static Coro<> worker(const char* name, double d, bool refuse = false) {
  try {
    co_await sleep(d);
    print(name, "ended normally");
    co_return;
  } catch (const CancelledError&) {
    print(name, std::string("cancelled") + (refuse ? ", refuses" : ""));
    if (!refuse) throw;
  }
  co_await sleep(0.08);
  print(name, "ended in spite of it");
}

static Coro<> fail(double d) {
  co_await sleep(d);
  throw std::invalid_argument("fail");
}

static Coro<> busy() {
  for (int i = 0; i < 3; ++i) co_await sleep(0);
  print("busy ended before the failure could reach it");
}

static Coro<> main_function() {
  try {
    co_await gather(worker("gather 0.16", 0.16), fail(0.04));
  } catch (const std::invalid_argument&) {
    print("gather raised", repr(python::Error()));
  }
  co_await sleep(0.2);
  try {
    TaskGroup tg;
    const auto block = [&]() -> Coro<> {
      tg.create_task(worker("group 0.16", 0.16));
      tg.create_task(worker("group refusing", 0.16, /*refuse=*/true));
      tg.create_task(busy());
      tg.create_task(fail(0.04));
      co_return;
    };
    co_await with(tg, block());
  } catch (const ExceptionGroup&) {
    print("TaskGroup raised", repr(python::Error()));
  }
  try {
    co_await gather(worker("gather, main ends", 0.16), fail(0.04));
  } catch (const std::invalid_argument&) {
    print("gather raised", repr(python::Error()), "- main returns");
  }
}

int main() { rondo::run(main_function()); }
