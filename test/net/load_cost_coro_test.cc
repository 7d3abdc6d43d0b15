// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "futures/coro/coro.h"
#include "net/streams.h"
#include "test/net/load_echo.h"
#include "test/support/allocation.h"
#include "test/support/kept_blocks.h"

namespace rondo {
namespace {

using test::LoadWorld;

Coro<> echo(StreamReader reader, StreamWriter writer) {
  while (true) {
    const std::string data = co_await reader.read(65'536);
    if (data.empty()) break;
    co_await writer.write(data);
  }
  writer.close();
}

CreateServer echo_server() {
  return start_server(echo, "127.0.0.1", 0, ServerOptions().backlog(1024));
}

// A pass brings the message, the next one runs the task.
TEST(LoadCostStreams, AMessageIsARecvASendAndItsShareOfTwoWaits) {
  for (const std::size_t connections : {1u, 64u}) {
    LoadWorld world;
    world.listen(echo_server());
    world.connect(connections);
    world.echo("warm", 2);
    const std::uint64_t ctls = world.kernel.epoll_ctls();
    const std::uint64_t before = world.kernel.echo_calls();
    for (int round = 0; round < 10; ++round) world.echo("message", 2);
    const double calls =
        static_cast<double>(world.kernel.echo_calls() - before) /
        (10.0 * static_cast<double>(connections));
    if (connections == 1) {
      EXPECT_DOUBLE_EQ(calls, 4.0);
    } else {
      EXPECT_LE(calls, 2.05);
    }
    EXPECT_EQ(world.kernel.epoll_ctls(), ctls);
    EXPECT_EQ(world.kernel.empty_reads, 0u);
  }
}

// What read() gives is the caller's: one that is too long to lie within the
// string itself is one block of memory, and nothing else is.
TEST(LoadCostStreams, AMessageAllocatesNothingButWhatReadGives) {
  if (!test::keeps_blocks()) {
    GTEST_SKIP() << "under a sanitizer blocks are not kept";
  }
  LoadWorld world;
  world.listen(echo_server());
  world.connect(64);
  for (const std::size_t size : {15u, 64u, 4096u}) {
    const std::string message(size, 'x');
    for (int round = 0; round < 3; ++round) world.echo(message, 2);
    EXPECT_EQ(test::allocations_of([&] {
                for (int round = 0; round < 10; ++round) world.echo(message, 2);
              }),
              size <= 15 ? 0u : 640u)
        << size;
  }
}

// Its task and the coroutine's frame included, of which 240 bytes are what
// echo() above has in it: 1,181 in a fresh process. Behind other tests
// malloc(3) gives pieces again that are larger than what was asked for.
TEST(LoadCostStreams, AnIdleConnectionIsTwelveHundredBytesAndNoBuffer) {
  if (!test::knows_live_bytes()) GTEST_SKIP() << "no mallinfo2(3) here";
  LoadWorld world;
  world.listen(echo_server());
  const test::IdleCost cost = test::idle_cost(world, 2);
  EXPECT_LE(cost.fresh, 1'220u);
  // What the loop keeps of having had them all busy at once; no 2,000 bytes.
  EXPECT_LE(cost.after_a_message, cost.fresh + 192u);
}

}  // namespace
}  // namespace rondo
