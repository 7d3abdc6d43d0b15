// SPDX-License-Identifier: MIT
// shows: an exception in a callback goes to the loop's exception handler
//   (default: a log record on stderr) and the loop goes on; a custom handler
//   gets (loop, context); an exception in the handler is itself logged;
//   SystemExit leaves run_forever, and the rest of the batch stays for the
//   next run
#include <stdexcept>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::SystemExit;

static EventLoop loop;

static void bad(const char* msg) { throw std::invalid_argument(msg); }

static void p(const char* x) { print(x); }

static void handler(EventLoop& lp, const ExceptionContext& context) {
  print("handler:", &lp == &loop, context.keys(), context.message,
        repr(python::error_of(context.exception)));
}

static void bad_handler(EventLoop&, const ExceptionContext&) {
  throw rondo::RuntimeError("handler fails");
}

// loop.set_exception_handler(5) is no program.
template <class T>
concept IsHandler = requires(T value) { loop.set_exception_handler(value); };
static_assert(IsHandler<decltype(&handler)> && !IsHandler<int>);

int main() {
  const auto stop = [] { loop.stop(); };

  print("-- default handler (see stderr)");
  loop.call_soon(call(bad, "first"));
  loop.call_soon(call(p, "next callback of the same batch runs"));
  loop.call_soon(stop);
  loop.run_forever();

  print("-- custom handler");
  loop.set_exception_handler(handler);
  print("get_exception_handler is handler:",
        loop.get_exception_handler()->description() == "handler()");
  loop.call_soon(call(bad, "second"));
  loop.call_later(0.01, call(bad, "from a timer"));
  loop.call_later(0.02, stop);
  loop.run_forever();

  print("-- handler that raises (see stderr)");
  loop.set_exception_handler(bad_handler);
  loop.call_soon(call(bad, "third"));
  loop.call_soon(stop);
  loop.run_forever();

  print("-- SystemExit from a callback");
  loop.set_exception_handler(nullptr);
  loop.call_soon([] { throw SystemExit(7); });
  loop.call_soon(call(p, "rest of the batch"));
  try {
    loop.run_forever();
  } catch (const SystemExit& e) {
    print("SystemExit", e.code(),
          "left run_forever; running:", loop.is_running());
  }
  loop.call_soon(stop);
  loop.run_forever();

  print("-- call_exception_handler by hand (see stderr)");
  ExceptionContext context("by hand");
  context.extra = {{"extra", "'x'"}, {"alpha", "1"}};
  loop.call_exception_handler(context);
  loop.close();
}
