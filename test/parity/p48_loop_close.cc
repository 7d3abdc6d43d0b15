// SPDX-License-Identifier: MIT
// shows: using a closed loop: which calls throw and with what text; close
//   twice; close drops what waits
#include <type_traits>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyFuture;
using rondo::call;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::Future;
using rondo::Handle;
using rondo::new_event_loop;
using rondo::run_in_executor;
using rondo::run_until_complete;
using rondo::TimePoint;

static Coro<> coro() { co_return; }

/// type(result).__name__ of what the calls below return.
template <class Result>
static const char* type_name() {
  if constexpr (std::is_void_v<Result>) return "NoneType";
  if constexpr (std::is_same_v<Result, TimePoint>) return "float";  // seconds
  if constexpr (std::is_base_of_v<Handle, Result>) return "Handle";
  if constexpr (std::is_base_of_v<AnyFuture, Result>) return "Future";
}

template <class F>
static void attempt(const char* name, F f) {
  try {
    f();
    print(name, "-> no error", type_name<decltype(f())>());
  } catch (...) {
    print(name, "->", python::Error());
  }
}

int main() {
  EventLoop loop;
  loop.call_soon(call(print, "must not run"));
  loop.call_later(0, call(print, "must not run"));
  loop.close();
  loop.close();
  print("closed twice", loop.is_closed(), loop);

  attempt("call_soon", [&] { return loop.call_soon(print); });
  attempt("call_later", [&] { return loop.call_later(1, print); });
  attempt("call_at", [&] { return loop.call_at(TimePoint(), print); });
  attempt("call_soon_threadsafe", [&] { loop.call_soon_threadsafe(print); });
  auto c = coro();
  attempt("create_task", [&] { return create_task(loop, std::move(c)); });
  c.close();
  c = coro();
  attempt("run_until_complete",
          [&] { run_until_complete(loop, std::move(c)); });
  c.close();
  attempt("run_forever", [&] { loop.run_forever(); });
  attempt("run_in_executor",
          [&] { return run_in_executor(loop, nullptr, print); });
  attempt("create_future", [&] { return create_future<int>(loop); });
  attempt("stop", [&] { loop.stop(); });
  attempt("time", [&] { return loop.time(); });
  attempt("call_exception_handler", [&] {
    loop.call_exception_handler(ExceptionContext("still works"));
  });
  auto f = create_future<int>(loop);
  attempt("future.set_result without callbacks", [&] { f.set_result(1); });
  auto g = create_future<int>(loop);
  g.add_done_callback([](Future<int> future) { print(future); });
  attempt("future.set_result with a callback", [&] { g.set_result(1); });
  attempt("add_reader", [&] { loop.add_reader(0, print); });
  attempt("new_event_loop after it", [] { new_event_loop()->close(); });
}
