// SPDX-License-Identifier: MIT
// shows: sleep() makes a Future and a timer for delay > 0 only; sleep(0) and
//   negative delays make neither: a bare yield. (The original counts the calls
//   of create_future; here it is the one that the task waits for.)
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/snapshot.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;

/// '%s' % d.
static std::string text(double d) {
  return d == static_cast<int>(d) ? std::to_string(static_cast<int>(d))
                                  : python::repr(d);
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  for (const double d : {0.0, -1.0, 0.001}) {
    auto t = create_task(sleep(d));
    co_await sleep(0);
    const int created = t.get_awaited() ? 1 : 0;
    const auto waiting = loop.snapshot().timers.size();
    const bool waits =
        to_string(t).find("wait_for=<Future") != std::string::npos;
    print("sleep(" + text(d) + "): futures created " + std::to_string(created) +
          ", timers waiting " + std::to_string(waiting) + ", task waits for " +
          (waits ? "a Future" : "nothing"));
    co_await t;
  }
}

int main() { rondo::run(main_function()); }
