// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/allocation.h"
#include "test/support/scale.h"

// FAULTS T5: a storm of timers, most of them cancelled, does not make the
// process grow. asyncio leaves a cancelled timer in its heap until half of
// them are; here cancel() takes it out, and the next one has its memory.
//
// What allocates nothing cannot grow, so allocations are what is counted.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::allocations_of;

const int kMillion = static_cast<int>(test::scaled(1'000'000));

// A thousand timers live while a million come and go. One that was merely
// marked would stay until its hour has come.
TEST(TimerMemory, IsThatOfTheTimersThatLive) {
  VirtualTimeLoop loop;
  std::vector<TimerHandle> live(1000);
  const auto storm = [&](int count) {
    for (int index = 0; index < count; ++index) {
      TimerHandle& handle = live[static_cast<std::size_t>(index) % 1000];
      handle.cancel();
      handle = loop.call_later(1h + Duration(index), [] {});
    }
  };
  storm(2000);
  EXPECT_EQ(allocations_of([&] { storm(kMillion); }), 0u);
}

// A million at once, all cancelled, again and again: what the first round took
// is enough for the others.
TEST(TimerMemory, IsReusedByTheNextMillion) {
  VirtualTimeLoop loop;
  std::vector<TimerHandle> handles(static_cast<std::size_t>(kMillion));
  const auto round = [&] {
    for (TimerHandle& handle : handles) handle = loop.call_later(1h, [] {});
    for (TimerHandle& handle : handles) handle.cancel();
    for (TimerHandle& handle : handles) handle = TimerHandle();
  };
  round();
  EXPECT_EQ(allocations_of([&] {
              for (int count = 0; count < 4; ++count) round();
            }),
            0u);
}

// Many cancelled, few run: the pattern of a timeout for each request.
TEST(TimerMemory, IsReusedWhileTimePasses) {
  VirtualTimeLoop loop;
  int late = 0;
  const auto requests = [&](int count) {
    for (int index = 0; index < count; ++index) {
      TimerHandle timeout = loop.call_later(30s, [&] { ++late; });
      const bool answered = index % 100 != 0;
      loop.call_later(1ms, [timeout, answered]() mutable {
        if (answered) timeout.cancel();
      });
      loop.advance(1ms);
    }
    loop.advance(1min);
  };
  requests(40'000);  // the first late ones, and so all that live at a time
  const int late_before = late;
  EXPECT_EQ(allocations_of([&] { requests(40'000); }), 0u);
  EXPECT_EQ(late, late_before + 400);
}

// A cancelled callback keeps its place in the queue until the next pass and
// no longer.
TEST(TimerMemory, OfCancelledCallbacksIsReused) {
  EventLoop loop;
  const auto round = [&] {
    for (int index = 0; index < 10'000; ++index) loop.call_soon([] {}).cancel();
    loop.stop();
    loop.run_forever();
  };
  round();
  EXPECT_EQ(allocations_of([&] {
              for (int count = 0; count < 20; ++count) round();
            }),
            0u);
}

// A deadline that was moved a million times is one timer.
TEST(TimerMemory, OfARescheduledTimerIsThatOfOne) {
  VirtualTimeLoop loop;
  TimerHandle timer = loop.call_later(1s, [] {});
  loop.call_later(1s, [] {});
  EXPECT_EQ(allocations_of([&] {
              for (std::int64_t index = 0; index < kMillion; ++index) {
                timer.reschedule(TimePoint(1s + Duration(index * 7919 % 1000)));
              }
            }),
            0u);
}

}  // namespace
}  // namespace rondo
