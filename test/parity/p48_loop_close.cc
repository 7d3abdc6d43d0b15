// SPDX-License-Identifier: MIT
// shows: using a closed loop: which calls throw and with what text; close
//   twice; close drops what waits
#include <type_traits>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::Handle;
using rondo::new_event_loop;
using rondo::TimePoint;

static EventLoop loop;

/// type(result).__name__ of what the calls below return.
template <class Result>
static const char* type_name() {
  if constexpr (std::is_void_v<Result>) return "NoneType";
  if constexpr (std::is_same_v<Result, TimePoint>) return "float";  // seconds
  if constexpr (std::is_base_of_v<Handle, Result>) return "Handle";
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
  loop.call_soon(call(print, "must not run"));
  loop.call_later(0, call(print, "must not run"));
  loop.close();
  loop.close();
  print("closed twice", loop.is_closed(), loop);

  attempt("call_soon", [] { return loop.call_soon(print); });
  attempt("call_later", [] { return loop.call_later(1, print); });
  attempt("call_at", [] { return loop.call_at(TimePoint(), print); });
  attempt("call_soon_threadsafe", [] { loop.call_soon_threadsafe(print); });
  attempt("run_forever", [] { loop.run_forever(); });
  attempt("stop", [] { loop.stop(); });
  attempt("time", [] { return loop.time(); });
  attempt("call_exception_handler",
          [] { loop.call_exception_handler(ExceptionContext("still works")); });
  attempt("add_reader", [] { loop.add_reader(0, print); });
  attempt("new_event_loop after it", [] { new_event_loop()->close(); });
}
