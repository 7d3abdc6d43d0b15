// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "net/streams.h"
#include "test/net/load_echo.h"
#include "test/support/allocation.h"
#include "test/support/scale.h"

// What a message and a connection cost a server that works by callbacks. See
// load_cost_coro_test.cc for streams.

namespace rondo {
namespace {

using test::Calls;
using test::EchoProtocol;
using test::LoadWorld;

CreateServer echo_server() {
  return create_server([] { return std::make_shared<EchoProtocol>(); },
                       "127.0.0.1", 0, ServerOptions().backlog(1024));
}

/// System calls a message, of so many rounds.
double calls_a_message(LoadWorld& world, int passes) {
  constexpr std::uint64_t kRounds = 10;
  world.echo("warm", passes);
  const std::uint64_t before = world.kernel.echo_calls();
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    world.echo("message", passes);
  }
  const std::uint64_t made = world.kernel.echo_calls() - before;
  return static_cast<double>(made) /
         static_cast<double>(kRounds * world.clients.size());
}

TEST(LoadCost, AMessageIsARecvASendAndItsShareOfOneWait) {
  for (const std::size_t connections : {1u, 64u}) {
    LoadWorld world;
    world.listen(echo_server());
    world.connect(connections);
    const std::uint64_t ctls = world.kernel.epoll_ctls();
    const double calls = calls_a_message(world, 1);
    if (connections == 1) {
      EXPECT_DOUBLE_EQ(calls, 3.0);
    } else {
      EXPECT_LE(calls, 2.05);
    }
    EXPECT_EQ(world.kernel.epoll_ctls(), ctls);
    EXPECT_EQ(world.kernel.empty_reads, 0u);
  }
}

TEST(LoadCost, AMessageAllocatesNothing) {
  LoadWorld world;
  world.listen(echo_server());
  world.connect(64);
  for (const std::size_t size : {1u, 64u, 4096u}) {
    const std::string message(size, 'x');
    for (int round = 0; round < 3; ++round) world.echo(message, 1);
    EXPECT_EQ(test::allocations_of([&] {
                for (int round = 0; round < 10; ++round) world.echo(message, 1);
              }),
              0u)
        << size;
  }
}

// User memory of the whole loop, its tables and malloc's own words included.
TEST(LoadCost, AnIdleConnectionIsHalfAKilobyteAndNoBuffer) {
  if (!test::knows_live_bytes()) GTEST_SKIP() << "no mallinfo2(3) here";
  LoadWorld world;
  world.listen(echo_server());
  const test::IdleCost cost = test::idle_cost(world, 1);
  EXPECT_LE(cost.fresh, 512u);
  EXPECT_LE(cost.after_a_message, 512u);
}

}  // namespace
}  // namespace rondo
