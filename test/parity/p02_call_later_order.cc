// SPDX-License-Identifier: MIT
// shows: timers run in the order of their deadlines, not of their
//   registration; zero and negative delays and deadlines in the past are legal
//   and due at once, still ordered by deadline; callbacks that were already
//   ready when the pass began come before the timers that become due in it
#include <chrono>
#include <cstddef>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using namespace std::chrono_literals;
using python::print;
using rondo::call;
using rondo::EventLoop;

// call_later(None, print) and call_at(None, print) are no programs.
template <class Moment>
concept CanCallLater = requires(EventLoop& loop, Moment moment) {
  loop.call_later(moment, print);
};
template <class Moment>
concept CanCallAt =
    requires(EventLoop& loop, Moment moment) { loop.call_at(moment, print); };
static_assert(CanCallLater<double> && !CanCallLater<std::nullptr_t>);
static_assert(CanCallAt<rondo::TimePoint> && !CanCallAt<std::nullptr_t>);

int main() {
  EventLoop loop;
  loop.call_later(0.6, call(print, "0.6 registered first"));
  loop.call_later(0.2, call(print, "0.2 registered second"));
  loop.call_later(0.4, call(print, "0.4 registered third"));
  loop.call_later(0, call(print, "call_later(0)"));
  loop.call_later(-5, call(print, "call_later(-5)"));
  loop.call_soon(call(print, "call_soon registered after the timers"));
  loop.call_at(loop.time() - 100s, call(print, "call_at 100 s in the past"));
  loop.call_later(1, [&loop] { loop.stop(); });
  loop.run_forever();
  auto h = loop.call_later(3, print);
  print("when - now is 3.0:", python::tenths(h.when() - loop.time()));
  loop.close();
}
