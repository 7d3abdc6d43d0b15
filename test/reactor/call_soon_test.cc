// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/one_pass.h"

// event_loop.h: "Queues `callback` for the next pass: first in, first out,
// exactly once, never from inside this call."

namespace rondo {
namespace {

using namespace std::chrono_literals;

TEST(CallSoon, RunsFirstInFirstOut) {
  EventLoop loop;
  std::string order;
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    loop.call_soon([&order, letter] { order += letter; });
  }
  run_one_pass(loop);
  EXPECT_EQ(order, "abcd");
}

TEST(CallSoon, RunsACallbackExactlyOnce) {
  EventLoop loop;
  int runs = 0;
  loop.call_soon([&] { ++runs; });
  for (int pass = 0; pass < 5; ++pass) run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

TEST(CallSoon, NeverRunsFromInsideTheCall) {
  EventLoop loop;
  bool outer_returned = false;
  bool order_was_right = false;
  loop.call_soon([&] {
    loop.call_soon([&] { order_was_right = outer_returned; });
    outer_returned = true;
  });
  EXPECT_FALSE(outer_returned) << "the loop does not run yet";
  run_one_pass(loop);
  run_one_pass(loop);
  EXPECT_TRUE(order_was_right);
}

// Probe p01: what a callback schedules goes to the next pass, behind
// everything that waits for that one already.
TEST(CallSoon, LeavesWhatACallbackSchedulesToTheNextPass) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] {
    order += "a ";
    loop.call_soon([&] {
      order += "a1 ";
      loop.call_soon([&] { order += "a1x "; });
    });
    loop.call_soon([&] { order += "a2 "; });
  });
  loop.call_soon([&] {
    order += "b ";
    loop.call_soon([&] { order += "b1 "; });
  });
  loop.call_soon([&] { order += "c "; });
  run_one_pass(loop);
  EXPECT_EQ(order, "a b c ");
  run_one_pass(loop);
  EXPECT_EQ(order, "a b c a1 a2 b1 ");
  run_one_pass(loop);
  EXPECT_EQ(order, "a b c a1 a2 b1 a1x ");
}

// T6: "a callback that reschedules itself cannot starve" anyone: each round of
// it is a pass of its own, and timers are looked at in between.
TEST(CallSoon, OfItselfDoesNotHoldUpATimer) {
  VirtualTimeLoop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop.spend(1ms);
    loop.call_soon([&] { again(); });
  };
  again();
  loop.call_later(10ms, [&] { loop.stop(); });
  loop.run_forever();
  // Made at 1 ms, due at 11 ms, when eleven rounds are over. The twelfth stands
  // in front of it in the batch.
  EXPECT_EQ(rounds, 12);
}

TEST(CallSoon, TakesACallbackThatOwnsWhatCannotBeCopied) {
  EventLoop loop;
  int seen = 0;
  loop.call_soon([&seen, owned = std::make_unique<int>(7)] { seen = *owned; });
  run_one_pass(loop);
  EXPECT_EQ(seen, 7);
}

TEST(CallSoon, TakesCapturesOfAnySize) {
  struct Large {
    char bytes[1000];
  };
  EventLoop loop;
  Large large{};
  large.bytes[999] = 'z';
  char seen = 0;
  loop.call_soon([&seen, large] { seen = large.bytes[999]; });
  run_one_pass(loop);
  EXPECT_EQ(seen, 'z');
}

TEST(CallSoon, MayBeCalledBeforeTheLoopRunsAndBetweenRuns) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { order += 'a'; });
  run_one_pass(loop);
  loop.call_soon([&] { order += 'b'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "ab");
}

TEST(CallSoon, MayBeCalledByACaptureThatIsBeingDestroyed) {
  EventLoop loop;
  std::string order;
  struct Last {
    ~Last() {
      loop.call_soon([&text = text] { text += 'b'; });
    }
    EventLoop& loop;
    std::string& text;
  };
  loop.call_soon([&order, last = std::unique_ptr<Last>(new Last{loop, order})] {
    order += 'a';
  });
  run_one_pass(loop);
  EXPECT_EQ(order, "a");
  run_one_pass(loop);
  EXPECT_EQ(order, "ab");
}

// Destroyed as soon as the callback has returned: what it owns does not live
// on in a handle that nobody looks at.
TEST(CallSoon, DestroysTheCapturesWhenTheCallbackHasReturned) {
  EventLoop loop;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  bool alive_during_the_call = false;
  const Handle handle = loop.call_soon([&, owned = std::move(owned)] {
    alive_during_the_call = !watched.expired();
  });
  bool alive_for_the_next = true;
  loop.call_soon([&] { alive_for_the_next = !watched.expired(); });
  run_one_pass(loop);
  EXPECT_TRUE(alive_during_the_call);
  EXPECT_FALSE(alive_for_the_next);
}

TEST(CallSoon, ShowsTheLineThatScheduledIt) {
  EventLoop loop;
  const Handle handle = loop.call_soon([] {});
  const std::string line = ":" + std::to_string(__LINE__ - 1) + ">";
  const std::string text = to_string(handle);
  EXPECT_NE(text.find("call_soon_test.cc" + line), std::string::npos) << text;
}

TEST(CallSoon, ShowsTheLineThatItIsGiven) {
  EventLoop loop;
  const std::source_location here = std::source_location::current();
  const Handle handle = loop.call_soon([] {}, here);
  const std::string line = ":" + std::to_string(here.line()) + ">";
  EXPECT_NE(to_string(handle).find(line), std::string::npos);
}

// asyncio's TypeError, in its words, but when the call is made: asyncio
// without debug mode accepts the callback and fails when it is to run.
TEST(CallSoon, RefusesAnEmptyCallback) {
  EventLoop loop;
  try {
    loop.call_soon(nullptr);
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "a callable object was expected by call_soon(), got None");
  }
  EXPECT_EQ(loop.next_timeout(), Duration::max()) << "nothing was queued";
}

// event_loop.h: "After close() what schedules throws RuntimeError."
TEST(CallSoon, ThrowsOnAClosedLoop) {
  EventLoop loop;
  loop.close();
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  try {
    loop.call_soon([owned = std::move(owned)] {});
    FAIL() << "expected RuntimeError";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "Event loop is closed");
  }
  EXPECT_TRUE(watched.expired()) << "a refused callback is destroyed";
}

// Captures that schedule when close() destroys them meet a closed loop.
TEST(CallSoon, ThrowsWhileCloseDestroysTheCaptures) {
  std::string refused;
  struct Last {
    ~Last() {
      try {
        loop.call_soon([] {});
      } catch (const RuntimeError& error) {
        text = error.what();
      }
    }
    EventLoop& loop;
    std::string& text;
  };
  EventLoop loop;
  loop.call_soon([last = std::unique_ptr<Last>(new Last{loop, refused})] {});
  loop.close();
  EXPECT_EQ(refused, "Event loop is closed");
}

// -- from the loop's own thread ----------------------------------------------

// event_loop.h, call_soon_threadsafe(): "On the loop's own thread it is
// call_soon()": in one line with it, in the order made.
TEST(CallSoonThreadsafe, KeepsItsPlaceAmongCallSoonOnTheLoopsOwnThread) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] {
    loop.call_soon([&] { order += 'a'; });
    loop.call_soon_threadsafe([&] { order += 'b'; });
    loop.call_soon([&] { order += 'c'; });
  });
  run_one_pass(loop);
  run_one_pass(loop);
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(loop.stats().remote_calls, 0u) << "it took no detour";
}

// "The callback is queued when the loop next looks, behind what is ready by
// then."
TEST(CallSoonThreadsafe, ComesBehindWhatIsReadyWhenTheLoopDoesNotRun) {
  EventLoop loop;
  std::string order;
  loop.call_soon_threadsafe([&] { order += 'b'; });
  loop.call_soon([&] { order += 'a'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(loop.stats().remote_calls, 1u);
}

TEST(CallSoonThreadsafe, ThrowsOnAClosedLoop) {
  EventLoop loop;
  loop.close();
  try {
    loop.call_soon_threadsafe([] {});
    FAIL() << "expected RuntimeError";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "Event loop is closed");
  }
}

TEST(CallSoonThreadsafe, RefusesAnEmptyCallback) {
  EventLoop loop;
  const auto message = [&]() -> std::string {
    try {
      loop.call_soon_threadsafe(nullptr);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  const std::string expected =
      "a callable object was expected by call_soon_threadsafe(), got None";
  EXPECT_EQ(message(), expected) << "while the loop does not run";
  std::string inside;
  loop.call_soon([&] { inside = message(); });
  run_one_pass(loop);
  EXPECT_EQ(inside, expected) << "on the loop's own thread";
}

}  // namespace
}  // namespace rondo
