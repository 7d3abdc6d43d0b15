// SPDX-License-Identifier: MIT
// shows: wait_for on timeout cancels the inner coroutine AND waits for it to
//   end before throwing TimeoutError; its slow cleanup delays the timeout; one
//   that swallows the cancellation and returns makes wait_for return that
//   value; one that throws something else makes wait_for throw that
#include <exception>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;
using rondo::TimeoutError;
using rondo::wait_for;

static Coro<std::string> slow(std::string mode) {
  std::exception_ptr error;
  try {
    co_await sleep(10);
  } catch (const CancelledError&) {
    error = std::current_exception();
  }
  // A handler may not wait.
  print(mode, ": inner cancelled");
  if (mode == "cleanup") {
    co_await sleep(0.2);
    print(mode, ": cleanup ended");
  } else if (mode == "return") {
    co_return "value in spite of the timeout";
  } else if (mode == "raise") {
    throw std::out_of_range("other");
  }
  std::rethrow_exception(error);
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  for (const char* mode : {"plain", "cleanup", "return", "raise"}) {
    const auto t0 = loop.time();
    try {
      print(mode, ": returned", co_await wait_for(slow(mode), 0.1));
    } catch (const TimeoutError& e) {
      print(mode, ": TimeoutError", *e.what() == '\0' ? "()" : e.what(),
            "is TimeoutError:", typeid(e) == typeid(TimeoutError));
    } catch (const std::out_of_range&) {
      print(mode, ": KeyError", python::Error().text);
    }
    print(mode, ": after", python::tenths(loop.time() - t0), "s");
  }
  auto t = create_task(slow("task"));
  try {
    co_await wait_for(t, 0.05);
  } catch (const TimeoutError&) {
    print("the task given to wait_for is cancelled:", t.cancelled());
  }
}

int main() { rondo::run(main_function()); }
