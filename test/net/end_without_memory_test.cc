// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test/net/datagram_pair.h"
#include "test/net/pipe_pair.h"
#include "test/net/subprocess_pair.h"
#include "test/support/allocation.h"

// A transport ends at a moment at which nothing can be allocated, not even for
// a callback. connection_lost() is called all the same, once.

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)

namespace rondo {
namespace {

using test::Calls;
using test::DatagramPair;
using test::FailingAllocations;
using test::ReadPipe;
using test::SubprocessPair;

constexpr FailingAllocations::Mode kFromThenOn =
    FailingAllocations::Mode::kFromThenOn;

/// Calls `schedule` until there is no memory for more: what the loop had put by
/// for callbacks, or timers, is used up.
template <class Schedule>
void use_up(Schedule&& schedule) {
  const FailingAllocations failing(1, kFromThenOn);
  try {
    for (;;) schedule();
  } catch (const std::bad_alloc&) {
    return;
  }
}
void use_up_callbacks(EventLoop& loop) {
  use_up([&] { loop.call_soon([] {}); });
}

/// What is still watched when it ends gives its place in the queue; so these
/// watch nothing by then.
TEST(EndWithoutMemory, OfAPipeComesLater) {
  ReadPipe pair;
  pair.transport->pause_reading();
  use_up_callbacks(pair.loop);
  bool fired = false;
  {
    const FailingAllocations failing(1, kFromThenOn);
    pair.transport->abort();
    fired = failing.fired();
  }
  EXPECT_TRUE(fired);
  ASSERT_TRUE(pair.run_to_end());
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->losses, 1);
}

TEST(EndWithoutMemory, OfDatagramsComesLater) {
  DatagramPair pair;
  pair.block(ENOBUFS);
  pair.connected->sendto("x");
  pair.connected->close();
  use_up_callbacks(pair.loop);
  bool fired = false;
  {
    const FailingAllocations failing(1, kFromThenOn);
    pair.connected->abort();
    fired = failing.fired();
  }
  EXPECT_TRUE(fired);
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.client->losses, 1);
}

/// Waits until the child has ended, and leaves it to be waited for.
void wait_for_exit(const SubprocessPair& pair) {
  ::siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<::id_t>(pair.transport->get_pid()),
                     &info, WEXITED | WNOWAIT),
            0);
}

TEST(EndWithoutMemory, OfAChildComesLater) {
  SubprocessPair pair("exec sleep 100");
  pair.recorder->calls.reserve(10);
  pair.transport->kill();
  wait_for_exit(pair);
  pair.loop.poll_events(std::chrono::seconds(20));
  pair.loop.collect();
  use_up_callbacks(pair.loop);
  bool fired = false;
  {
    const FailingAllocations failing(1, kFromThenOn);
    pair.loop.run_ready();
    fired = failing.fired();
  }
  EXPECT_TRUE(fired);
  EXPECT_EQ(pair.recorder->calls, (Calls{"made", "exited"}));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->calls, (Calls{"made", "exited", "lost"}));
  EXPECT_EQ(pair.transport->get_returncode(), -SIGKILL);
}

TEST(EndWithoutMemory, WhatAChildsProtocolThrowsIsPrinted) {
  ::testing::internal::CaptureStderr();
  SubprocessPair pair("exec sleep 100");
  std::optional<FailingAllocations> failing;
  pair.recorder->on = [&](std::string_view call) {
    if (call != "exited") return;
    failing.emplace(1, kFromThenOn);
    throw 42;
  };
  pair.transport->kill();
  ASSERT_TRUE(run_until(pair.loop, [&] {
    failing.reset();
    return pair.recorder->count("lost") > 0;
  }));
  run_passes(pair.loop, 2);
  EXPECT_EQ(
      ::testing::internal::GetCapturedStderr(),
      "rondo: protocol.process_exited() failed fd=-1; no memory to report "
      "it\n");
}

// The kernel has no memory either, and nobody can be woken later.
TEST(EndWithoutMemory, DatagramsThatCannotBeSentAgainEndTheEndpoint) {
  ::testing::internal::CaptureStderr();
  DatagramPair pair;
  pair.block(ENOBUFS);
  pair.connected->sendto("x");
  const std::string fd = std::to_string(pair.connected->fd());
  use_up([&] { pair.loop.call_later(std::chrono::hours(1), [] {}); });
  {
    const FailingAllocations failing(1, kFromThenOn);
    pair.connected->get_write_buffer_size();
  }
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(describe(pair.client->error), "std::bad_alloc: std::bad_alloc");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "rondo: Fatal error: no memory to send again fd=" + fd +
                "; no memory to report it\n");
}

// Those of the same batch may be lost, as datagrams may; for what was kept of
// it there is no callback, so it comes with the next one.
TEST(EndWithoutMemory, OfTheLoopByAnExitDoesNotEndTheEndpoint) {
  DatagramPair pair;
  pair.server->keeps = false;
  std::optional<FailingAllocations> failing;
  pair.server->on_datagram = [&](std::string_view, const Address&) {
    use_up_callbacks(pair.loop);
    const SystemExit leaves(3);
    failing.emplace(3, kFromThenOn);  // two are kept
    throw leaves;
  };
  for (int n = 0; n < 20; ++n) pair.connected->sendto(std::to_string(n));
  EXPECT_THROW(run_until(pair.loop, [] { return false; }), SystemExit);
  failing.reset();
  std::string heard;
  pair.server->on_datagram = [&](std::string_view data, const Address&) {
    heard += data;
  };
  run_passes(pair.loop, 3);
  EXPECT_EQ(heard, "");
  pair.connected->sendto(" next");
  ASSERT_TRUE(pair.served(4));
  EXPECT_EQ(heard, "12 next");
  EXPECT_EQ(pair.server->losses, 0);
}

}  // namespace
}  // namespace rondo

#endif
