// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "test/net/datagram_pair.h"
#include "test/net/pipe_pair.h"
#include "test/net/transport_pair.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// The kernel will not change what it watches a descriptor for. The loop takes
// it out then, with whatever else was asked of it: whose it is has to hear.

namespace rondo {
namespace {

using test::Calls;
using test::DatagramPair;
using test::errno_of;
using test::Recorder;
using test::TransportPair;
using test::WritePipe;

/// A connection that waits for its peer to read, and for what it says.
struct Waiting : TransportPair {
  Waiting() {
    block();
    transport->write("x");
    run_passes(loop, 2);
    kernel.fail(KernelCall::kEpollModify, ENOMEM);
  }
  void expect_lost() {
    const int fd = transport->fd();
    EXPECT_TRUE(run_to_end());
    run_passes(loop, 3);
    EXPECT_EQ(errno_of(protocol->error), ENOMEM);
    EXPECT_EQ(protocol->losses, 1);
    EXPECT_EQ(transport->fd(), -1);
    EXPECT_EQ(reports.lost(fd), 1);
    EXPECT_EQ(reports.messages.size(), 1u);
  }
};

TEST(LostDescriptor, EndsAConnectionThatPausesReading) {
  Waiting waiting;
  waiting.transport->pause_reading();
  EXPECT_TRUE(waiting.transport->is_closing());
  EXPECT_EQ(waiting.protocol->losses, 0);  // not out of that call
  waiting.expect_lost();
}

TEST(LostDescriptor, EndsAConnectionWhoseProtocolPausesReading) {
  Waiting waiting;
  waiting.protocol->on_data = [&](std::string_view) {
    waiting.transport->pause_reading();
    waiting.transport->write("answer");
  };
  write_text(waiting.peer.get(), "question");
  waiting.expect_lost();
}

TEST(LostDescriptor, EndsAConnectionThatHasSentAll) {
  Waiting waiting;
  waiting.kernel.stop_failing();
  waiting.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  waiting.expect_lost();
  EXPECT_EQ(read_text(waiting.peer.get()), "x");
}

TEST(LostDescriptor, EndsAConnectionThatCloses) {
  Waiting waiting;
  waiting.transport->close();
  waiting.expect_lost();
}

TEST(LostDescriptor, ChangesNothingForOneThatEnds) {
  Waiting waiting;
  const int fd = waiting.transport->fd();
  waiting.transport->abort();
  EXPECT_TRUE(waiting.run_to_end());
  run_passes(waiting.loop, 3);
  EXPECT_EQ(errno_of(waiting.protocol->error), 0);
  EXPECT_EQ(waiting.protocol->losses, 1);
  EXPECT_LE(waiting.reports.lost(fd), 1);
}

// The number is nobody's then, and soon another's: whoever has it last must
// not take that one away.
TEST(LostDescriptor, ThatWasClosedBehindTheLoopIsNotTheTransportsAnyMore) {
  EventLoop loop;
  const Reports reports(loop);
  SocketPair sockets;
  const int number = sockets.a.get();
  const auto protocol = std::make_shared<Recorder>();
  const auto transport = test::connect(loop, std::move(sockets.a), protocol);
  transport->write(std::string(5'000'000, 'x'));  // waits for room, too
  run_passes(loop, 2);
  SocketPair next;
  ::close(number);             // a user's mistake
  transport->pause_reading();  // EBADF
  move_onto(std::move(next.a), number);
  std::string received;
  loop.add_reader(number, [&] { received += read_text(number); });
  run_passes(loop, 3);
  write_text(next.b.get(), "hello");
  run_passes(loop, 3);
  EXPECT_EQ(received, "hello");
  EXPECT_EQ(protocol->losses, 0);
  EXPECT_EQ(reports.lost(number), 1);
  loop.remove_reader(number);
}

TEST(LostDescriptor, MayBeFollowedByTheEndOfTheLoop) {
  Waiting waiting;
  waiting.transport->pause_reading();
  const std::weak_ptr<Transport> gone = waiting.transport;
  waiting.transport.reset();
  waiting.loop.close();
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(waiting.protocol->losses, 0);
}

TEST(LostDescriptor, EndsAnEndpointThatHasSentAll) {
  DatagramPair pair;
  pair.block();
  pair.connected->sendto("x");
  run_passes(pair.loop, 2);
  pair.kernel.stop_failing();
  pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_TRUE(pair.served(1));
  run_passes(pair.loop, 3);
  EXPECT_EQ(errno_of(pair.client->error), ENOMEM);
  EXPECT_EQ(pair.client->losses, 1);
  EXPECT_EQ(pair.server->losses, 0);  // another one's is another's
  EXPECT_EQ(pair.reports.messages.size(), 1u);
}

TEST(LostDescriptor, EndsAnEndpointThatWaitsForMemoryInstead) {
  DatagramPair pair;
  pair.block();
  pair.connected->sendto("x");
  run_passes(pair.loop, 2);
  pair.kernel.stop_failing();
  pair.block(ENOBUFS);
  pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  run_passes(pair.loop, 3);
  EXPECT_EQ(errno_of(pair.client->error), ENOMEM);
  EXPECT_EQ(pair.client->losses, 1);
}

TEST(LostDescriptor, EndsAnEndpointThatCloses) {
  DatagramPair pair;
  pair.block();
  pair.connected->sendto("x");
  run_passes(pair.loop, 2);
  pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  pair.connected->close();
  EXPECT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(errno_of(pair.client->error), ENOMEM);
  EXPECT_EQ(pair.client->calls, (Calls{"made", "lost"}));
}

TEST(LostDescriptor, EndsAPipeThatHasWrittenAll) {
  WritePipe pipe;
  pipe.fill_up(1);
  pipe.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_EQ(pipe.read(pipe.filled).size(), pipe.filled);
  EXPECT_TRUE(pipe.run_to_end());
  run_passes(pipe.loop, 3);
  EXPECT_EQ(errno_of(pipe.protocol->error), ENOMEM);
  EXPECT_EQ(pipe.protocol->losses, 1);
}

}  // namespace
}  // namespace rondo
