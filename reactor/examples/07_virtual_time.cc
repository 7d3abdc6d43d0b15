// SPDX-License-Identifier: MIT
//
// VirtualTimeLoop is an EventLoop whose clock is a number: when nothing is
// left to do at this moment, time jumps to the next timer. An hour of timers
// runs in less than a millisecond, the same way each time: the loop for tests
// of anything that waits.
//
// New against 06: no second thread, and no waiting either.
//
// Expected output:
//   hour 0, minute 20: the kettle sings
//   hour 1, minute 0: an hour is over
//   hour 1, minute 20: the kettle sings
//   hour 2, minute 20: the kettle sings
//   hour 2, minute 30: nobody waits any more

#include <chrono>
#include <cstdio>

#include "reactor/testing/virtual_time.h"

using namespace std::chrono_literals;

static void say(const rondo::EventLoop& loop, const char* what) {
  const auto minutes = loop.time().time_since_epoch() / 1min;
  std::printf("hour %d, minute %d: %s\n", static_cast<int>(minutes / 60),
              static_cast<int>(minutes % 60), what);
}

int main() {
  rondo::VirtualTimeLoop loop;
  rondo::TimerHandle kettle;
  kettle = loop.call_later(20min, [&] {
    say(loop, "the kettle sings");
    kettle.reschedule(loop.time() + 1h);
  });

  loop.advance(1h);
  say(loop, "an hour is over");

  loop.advance(90min);
  kettle.cancel();
  say(loop, "nobody waits any more");
}
