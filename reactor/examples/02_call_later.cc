// SPDX-License-Identifier: MIT
//
// call_later() runs a callback when its time has come, not in the order of
// the calls. Equal deadlines run in the order they were made. A timer can be
// cancelled, and moved: what every server does with its idle timeouts.
//
// New against 01: delays, and the TimerHandle that call_later() returns.
//
// Expected output:
//   queued
//   10 ms
//   10 ms, made later
//   20 ms, moved from an hour
//   30 ms, stops the loop

#include <chrono>
#include <cstdio>

#include "reactor/event_loop.h"

using namespace std::chrono_literals;

int main() {
  rondo::EventLoop loop;
  const rondo::TimePoint start = loop.time();
  loop.call_at(start + 30ms, [&] {
    std::puts("30 ms, stops the loop");
    loop.stop();
  });
  loop.call_at(start + 10ms, [] { std::puts("10 ms"); });
  loop.call_at(start + 10ms, [] { std::puts("10 ms, made later"); });
  rondo::Handle never = loop.call_later(5ms, [] { std::puts("cancelled"); });
  never.cancel();
  rondo::TimerHandle moved =
      loop.call_later(1h, [] { std::puts("20 ms, moved from an hour"); });
  moved.reschedule(start + 20ms);
  std::puts("queued");
  loop.run_forever();
}
