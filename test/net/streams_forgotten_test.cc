// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>

#include "futures/coro/coro.h"
#include "net/streams.h"
#include "test/net/stream_pair.h"
#include "test/net/transport_pair.h"
#include "test/support/child_process.h"

// Streams that nobody holds any more can be neither read, written nor closed.
// CPython's garbage collector finds their transport; here it is closed when
// the peer has ended, too, and not before: what the peer sends until then is
// taken, and thrown away.

namespace rondo {
namespace {

using test::StreamPair;

/// A server with `handler`, and a bare client of it.
struct ForgetfulServer {
  template <class Handler>
  explicit ForgetfulServer(Handler handler, std::size_t limit = kStreamLimit)
      : server(test::finish(loop, start_server(handler, "127.0.0.1", 0,
                                               ServerOptions(), limit))) {
    const Address address = server.sockets().at(0).getsockname();
    client = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), address.native(), address.native_size()),
              0);
    EXPECT_EQ(::fcntl(client.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_TRUE(run_until(loop, [&] { return server.client_count() == 1; }));
  }
  /// Whether the server lets go of the connection when the client has ended.
  bool lets_go() {
    ::shutdown(client.get(), SHUT_WR);
    return run_until(loop, [&] { return server.client_count() == 0; });
  }

  EventLoop loop;
  Reports reports{loop};
  Server server;
  UniqueFd client;
};

TEST(StreamsForgotten, ByAPlainHandlerEndWithTheirPeer) {
  ForgetfulServer world(
      [](const StreamReader&, const StreamWriter& writer) {  // greets
        writer.write("hi\n");
      });
  run_passes(world.loop, 3);
  EXPECT_EQ(world.server.client_count(), 1u) << "the peer may go on";
  EXPECT_TRUE(world.lets_go());
  EXPECT_EQ(read_text(world.client.get()), "hi\n");
  EXPECT_EQ(world.reports.messages.size(), 0u);
}

Coro<> read_all_and_return(StreamReader reader, StreamWriter writer) {
  const std::string all = co_await reader.read();
  writer.write(all);
}

// The commonest one: a handler that forgets writer.close().
TEST(StreamsForgotten, ByACoroutineThatReturnsEndWithAllThatWasWritten) {
  ForgetfulServer world(read_all_and_return);
  ASSERT_EQ(::send(world.client.get(), "text", 4, 0), 4);
  EXPECT_TRUE(world.lets_go());
  EXPECT_EQ(read_text(world.client.get()), "text");
}

Coro<> refuse(StreamReader reader, StreamWriter writer) {
  const std::string line = co_await reader.readline();
  writer.write("no\n");
}

// More than twice the limit: reading was paused, and is paused no more.
TEST(StreamsForgotten, WithMuchThatIsUnreadEndWithTheirPeer) {
  ForgetfulServer world(refuse, 1000);
  write_text(world.client.get(), "POST\n" + std::string(10'000, 'x'));
  run_passes(world.loop, 5);
  EXPECT_EQ(read_text(world.client.get()), "no\n");
  EXPECT_TRUE(world.lets_go());
}

TEST(StreamsForgotten, ToWhichMuchIsSentStillEndWithTheirPeer) {
  ForgetfulServer world([](const StreamReader&, const StreamWriter&) {}, 1000);
  for (int n = 0; n < 40; ++n) {
    write_text(world.client.get(), std::string(10'000, 'x'));
    run_passes(world.loop, 2);
  }
  EXPECT_TRUE(world.lets_go());
}

TEST(StreamsForgotten, LeaveATransportToItsNextProtocol) {
  StreamPair pair;
  ::shutdown(pair.peer.get(), SHUT_WR);
  run_passes(pair.loop, 3);
  const auto protocol = std::make_shared<test::Recorder>();
  const auto transport = pair.writer.transport().shared_from_this();
  transport->set_protocol(protocol);
  pair.reader = StreamReader();
  pair.writer = StreamWriter();
  run_passes(pair.loop, 3);
  EXPECT_FALSE(transport->is_closing());
  EXPECT_EQ(protocol->losses, 0);
}

TEST(StreamsForgotten, ByAForkedChildSendNothingASecondTime) {
  StreamPair pair;
  ::shutdown(pair.peer.get(), SHUT_WR);
  run_passes(pair.loop, 3);
  pair.writer.write("once");
  EXPECT_EQ(in_child([&]() -> std::string {
              pair.reader = StreamReader();
              pair.writer = StreamWriter();
              return "dropped";
            }),
            "dropped");
  run_passes(pair.loop, 3);
  EXPECT_EQ(read_text(pair.peer.get()), "once");
}

TEST(StreamsForgotten, ByAClientEndBehindWhatWasWritten) {
  for (const bool peer_ends_first : {false, true}) {
    StreamPair pair;
    pair.fill_up(100'000);
    if (peer_ends_first) {
      ::shutdown(pair.peer.get(), SHUT_WR);
      run_passes(pair.loop, 3);
    }
    const std::weak_ptr<Transport> transport =
        pair.writer.transport().shared_from_this();
    pair.reader = StreamReader();
    pair.writer = StreamWriter();
    if (!peer_ends_first) {
      run_passes(pair.loop, 3);
      EXPECT_FALSE(transport.lock()->is_closing());
      ::shutdown(pair.peer.get(), SHUT_WR);
    }
    EXPECT_TRUE(pair.read_until([&] { return transport.expired(); }));
    pair.received += read_text(pair.peer.get());
    EXPECT_EQ(pair.received.substr(pair.received.size() - 100'000),
              std::string(100'000, 'y'));
  }
}

// Half open: who holds one of the two may have something left to say.
TEST(StreamsForgotten, AreNotThoseOfWhichOneIsHeld) {
  StreamPair pair;
  pair.reader = StreamReader();
  ::shutdown(pair.peer.get(), SHUT_WR);
  run_passes(pair.loop, 3);
  EXPECT_FALSE(pair.writer.is_closing());
  pair.writer.write("still here");
  EXPECT_TRUE(pair.read_until([&] { return pair.received == "still here"; }));
}

TEST(StreamsForgotten, AfterTheirLoopAreLeftAlone) {
  StreamReader reader;
  StreamWriter writer;
  {
    StreamPair pair;
    ::shutdown(pair.peer.get(), SHUT_WR);
    run_passes(pair.loop, 3);
    reader = pair.reader;
    writer = pair.writer;
  }
  reader = StreamReader();
  writer = StreamWriter();
}

}  // namespace
}  // namespace rondo
