// SPDX-License-Identifier: MIT
// shows: done callbacks never run inside set_result; they are put in the ready
//   queue in the order they were added; adding one to a done future schedules
//   it at once; remove_done_callback removes every equal entry and returns how
//   many, and has no effect on those already scheduled
#include <stdexcept>
#include <string>

#include "futures/future.h"
#include "reactor/event_loop.h"
#include "reactor/exception_context.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::create_future;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::Future;
using rondo::get_running_loop;

static int it = 0;

static void tick() {
  it += 1;
  get_running_loop().call_soon(tick);
}

template <char kName>
static void cb(Future<std::string> fut) {
  print("iteration", it, std::string(1, kName), fut.result());
}

static void step() {
  EventLoop& loop = get_running_loop();
  auto fut = create_future<std::string>(loop);
  const auto a = cb<'a'>, b = cb<'b'>, c = cb<'c'>;
  fut.add_done_callback(a);
  fut.add_done_callback(b);
  fut.add_done_callback(c);
  fut.add_done_callback(b);
  print("removed b:", fut.remove_done_callback(b));
  print("removed b:", fut.remove_done_callback(b));
  loop.call_soon(call(print, "call_soon before set_result"));
  print("iteration", it, "set_result");
  fut.set_result("value");
  print("iteration", it, "back from set_result");
  print("removed c after set_result:", fut.remove_done_callback(c));
  loop.call_soon(call(print, "call_soon after set_result"));
  fut.add_done_callback([](Future<std::string> f) {
    print("iteration", it, "late");
    f.add_done_callback(
        [](Future<std::string>) { print("iteration", it, "later still"); });
  });
}

static void bad(Future<int>) { throw std::out_of_range("in a done callback"); }

int main() {
  EventLoop loop;
  const auto stop = [&] { loop.stop(); };

  loop.call_soon(tick);
  loop.call_soon(step);
  loop.call_later(0.02, stop);
  loop.run_forever();

  auto fut = create_future<int>(loop);
  fut.add_done_callback(bad);
  fut.add_done_callback(
      [](Future<int>) { print("callback after the failing one"); });
  loop.set_exception_handler([](EventLoop&, const ExceptionContext& c) {
    print("handler:", repr(python::error_of(c.exception)));
  });
  fut.cancel();
  loop.call_soon(stop);
  loop.run_forever();
  loop.close();
}
