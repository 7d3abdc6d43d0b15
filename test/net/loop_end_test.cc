// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "net/server.h"
#include "reactor/errors.h"
#include "test/net/transport_pair.h"
#include "test/support/child_process.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

// What is left when a loop is closed, or its process forked.

namespace rondo {
namespace {

using test::Recorder;
using test::TransportPair;

TEST(LoopEnd, LeavesThoseWhoWaitForAServerThatIsNotClosedYet) {
  EventLoop loop;
  Server server = test::finish(
      loop, create_server([] { return std::make_shared<Recorder>(); },
                          "127.0.0.1", 0));
  const Address address = server.sockets().at(0).getsockname();
  const auto client = test::finish(
      loop, create_connection([] { return std::make_shared<Recorder>(); },
                              "127.0.0.1", address.port()));
  ASSERT_TRUE(run_until(loop, [&] { return server.client_count() == 1; }));
  server.close();
  const Future<void> ended = server.wait_closed();
  bool was_told = false;
  ended.add_done_callback([&](const Future<void>&) { was_told = true; });
  loop.close();  // the client's connection ends first, and was the last
  EXPECT_FALSE(was_told);
}

/// Writes to another connection when it dies.
struct Farewell : Recorder {
  ~Farewell() override {
    if (other != nullptr) other->write("bye");
  }
  std::shared_ptr<Transport> other;
};

// The first of the three to go waited for the end of a pass that never comes.
TEST(LoopEnd, MayLetAProtocolWriteElsewhereWhileItDies) {
  EventLoop loop;
  SocketPair first, second, third;
  auto other =
      test::connect(loop, std::move(first.a), std::make_shared<Recorder>());
  auto protocol = std::make_shared<Farewell>();
  auto dying = test::connect(loop, std::move(second.a), protocol);
  protocol->other = std::move(other);
  protocol.reset();
  auto waiting =
      test::connect(loop, std::move(third.a), std::make_shared<Recorder>());
  waiting->write("never sent");
  waiting.reset();
  dying.reset();
  loop.close();
  EXPECT_EQ(read_text(first.b.get()), "");
  EXPECT_EQ(read_text(third.b.get()), "");
}

// R17. What was written in that callback is the parent's to send.
TEST(LoopEnd, OfAForkedChildSendsNothingOfItsParents) {
  for (const bool closes : {false, true}) {
    TransportPair pair;
    ChildProcess child;
    pair.loop.call_soon([&] {
      pair.transport->write("once");
      if (!child.begin() || !closes) return;
      pair.transport.reset();
      pair.protocol.reset();
      pair.loop.close();
    });
    std::string outcome = "went on";
    try {
      pair.loop.run_once();
    } catch (const RuntimeError& error) {
      outcome = error.what();
    }
    if (child.is_child()) child.end(outcome);
    EXPECT_EQ(outcome, "went on");
    EXPECT_NE(child.story().find(closes ? "closed" : "fork"),
              std::string::npos);
    EXPECT_EQ(read_text(pair.peer.get()), "once");
  }
}

}  // namespace
}  // namespace rondo
