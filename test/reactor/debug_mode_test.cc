// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// event_loop.h: "Debug mode: callbacks that take slow_callback_duration() or
// longer are logged with their names, and a loop that is destroyed unclosed
// is." Probe p72; the words are asyncio's.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

void block(VirtualTimeLoop* loop, int ms) {
  loop->spend(std::chrono::milliseconds(ms));
}

TEST(DebugMode, IsOffUnlessAskedFor) {
  EventLoop loop;
  EXPECT_FALSE(loop.get_debug());
  loop.set_debug(true);
  EXPECT_TRUE(loop.get_debug());
  loop.set_debug(false);
  EXPECT_FALSE(loop.get_debug());
  // "Debug mode from the start, as EventLoop::set_debug()."
  EventLoop debugged(LoopOptions().debug(true));
  EXPECT_TRUE(debugged.get_debug());
  debugged.close();
}

// "100 ms unless set."
TEST(SlowCallbackDuration, IsAHundredMillisecondsUnlessSet) {
  EventLoop loop;
  EXPECT_EQ(loop.slow_callback_duration(), 100ms);
  loop.set_slow_callback_duration(5s);
  EXPECT_EQ(loop.slow_callback_duration(), 5s);
}

// "callbacks that take slow_callback_duration() or longer are logged with
// their names", and with the line that scheduled them.
TEST(DebugMode, LogsSlowCallbacks) {
  const LogCapture captured;
  VirtualTimeLoop loop(LoopOptions().debug(true));
  loop.call_soon(call(block, &loop, 99));
  loop.call_soon(call(block, &loop, 150));
  const int line = __LINE__ - 1;
  run_one_pass(loop);
  loop.close();
  ASSERT_EQ(captured.lines().size(), 1u);
  const std::string logged = captured.lines()[0];
  EXPECT_TRUE(logged.starts_with("warning: Executing <Handle ")) << logged;
  EXPECT_NE(logged.find("block(<EventLoop ru...se debug=True>, 150) at "),
            std::string::npos)
      << logged;
  EXPECT_TRUE(logged.ends_with("debug_mode_test.cc:" + std::to_string(line) +
                               "> took 0.150 seconds"))
      << logged;
}

// "or longer": a callback that takes exactly as long is slow.
TEST(DebugMode, LogsACallbackThatTakesExactlyAsLong) {
  const LogCapture captured;
  VirtualTimeLoop loop(LoopOptions().debug(true));
  loop.set_slow_callback_duration(20ms);
  loop.call_soon([&] { loop.spend(20ms - 1ns); });
  run_one_pass(loop);
  EXPECT_EQ(captured.lines().size(), 0u);
  loop.call_later(1ms, [&] { loop.spend(20ms); });
  loop.run_until_idle();
  EXPECT_EQ(captured.lines().size(), 1u);
  loop.close();
}

// Those that fail, leave the loop or cancel themselves too: what is told is
// that the loop was held up.
TEST(DebugMode, LogsSlowCallbacksHoweverTheyEnd) {
  const LogCapture captured;
  VirtualTimeLoop loop(LoopOptions().debug(true));
  loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
  Handle own;
  loop.call_soon([&] {
    loop.spend(1s);
    throw 1;
  });
  own = loop.call_soon([&] {
    loop.spend(2s);
    own.cancel();
  });
  loop.call_soon([&] {
    loop.spend(3s);
    throw SystemExit();
  });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  loop.close();
  const Lines lines = captured.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].ends_with("took 1.000 seconds")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("warning: Executing <Handle cancelled "))
      << lines[1];
  EXPECT_TRUE(lines[1].ends_with("took 2.000 seconds")) << lines[1];
  EXPECT_TRUE(lines[2].ends_with("took 3.000 seconds")) << lines[2];
}

TEST(DebugMode, OffLogsNothing) {
  const LogCapture captured;
  VirtualTimeLoop loop;
  loop.call_soon([&] { loop.spend(1h); });
  run_one_pass(loop);
  EXPECT_EQ(captured.lines(), Lines());
}

// Switched on by a callback, it sees the next one.
TEST(DebugMode, MayBeSwitchedInACallback) {
  const LogCapture captured;
  VirtualTimeLoop loop;
  loop.call_soon([&] {
    loop.set_debug(true);
    loop.spend(1s);
  });
  loop.call_soon([&] { loop.spend(2s); });
  loop.call_soon([&] {
    loop.set_debug(false);
    loop.spend(3s);
  });
  run_one_pass(loop);
  ASSERT_EQ(captured.lines().size(), 1u);
  EXPECT_TRUE(captured.lines()[0].ends_with("took 2.000 seconds"));
}

// asyncio's ResourceWarning.
TEST(DebugMode, LogsALoopThatIsDestroyedUnclosed) {
  const LogCapture captured;
  {
    const EventLoop loop(LoopOptions().debug(true));
  }
  EXPECT_EQ(captured.lines(),
            Lines{"warning: unclosed event loop "
                  "<EventLoop running=False closed=False debug=True>"});
}

TEST(DebugMode, DoesNotMindALoopThatWasClosed) {
  const LogCapture captured;
  {
    EventLoop loop(LoopOptions().debug(true));
    loop.close();
  }
  {
    const EventLoop without_debug;
  }
  EXPECT_EQ(captured.lines(), Lines());
}

}  // namespace
}  // namespace rondo
