// SPDX-License-Identifier: MIT
// shows: a Future can be resolved once only; the texts of InvalidStateError;
//   result() and exception() in each state; what set_exception accepts
#include <exception>
#include <stdexcept>
#include <type_traits>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::run_until_complete;

template <class F>
static void show(const char* label, F f) {
  try {
    if constexpr (std::is_void_v<decltype(f())>) {
      f();
      print(label, "-> None");
    } else {
      print(label, "->", python::repr(f()));
    }
  } catch (...) {
    print(label, "->", python::Error());
  }
}

static Coro<> main_function() { co_return; }

int main() {
  EventLoop loop;

  auto f = create_future<int>(loop);
  print(f.done(), f.cancelled());
  show("pending result()", [&] { return f.result(); });
  show("pending exception()", [&] { return f.exception(); });
  show("set_result(1)", [&] { f.set_result(1); });
  show("set_result(2)", [&] { f.set_result(2); });
  show("set_exception", [&] { f.set_exception(std::invalid_argument("")); });
  show("cancel() when done", [&] { return f.cancel(); });
  show("result()", [&] { return f.result(); });
  show("exception()", [&] { return f.exception(); });

  // A class is no exception; this is what Python makes of it.
  auto g = create_future<int>(loop);
  show("set_exception(class)", [&] { g.set_exception(std::out_of_range("")); });
  show("result()", [&] { return g.result(); });
  show("result() again", [&] { return g.result(); });
  show("exception()", [&] { return g.exception(); });

  // There is no StopIteration that could be mistaken. 5 may be thrown; what
  // is no exception is a pointer to none.
  auto h = create_future<int>(loop);
  show("set_exception(5)", [&] { h.set_exception(std::exception_ptr()); });
  show("cancel()", [&] { return h.cancel(); });
  show("cancel() again", [&] { return h.cancel(); });
  show("set_result on cancelled", [&] { h.set_result(1); });
  show("result()", [&] { return h.result(); });
  show("exception()", [&] { return h.exception(); });
  print(h.done(), h.cancelled());

  auto k = create_future<int>(loop);
  k.cancel("why");
  show("result() after cancel(msg)", [&] { return k.result(); });
  show("result() again", [&] { return k.result(); });

  auto t = create_task(loop, main_function());
  show("Task.set_result", [&] { t.set_result(); });
  show("Task.set_exception",
       [&] { t.set_exception(std::invalid_argument("")); });
  run_until_complete(loop, t);
  loop.close();
}
