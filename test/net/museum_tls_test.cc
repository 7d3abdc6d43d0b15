// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/task.h"
#include "net/streams.h"
#include "net/tls/start_tls.h"
#include "test/net/stream_pair.h"
#include "test/net/tls_raw_peer.h"

// Bugs of others about TLS: ends that nobody is told of, that take half a
// minute, or with which data is lost. Which test is for which bug:
// test/museum.md.

namespace rondo {
namespace {

using test::Calls;
using test::client_context;
using test::client_options;
using test::errno_of;
using test::RawPair;
using test::server_context;

/// Made once: the system's certificates take their time.
struct Contexts {
  TlsContext client = client_context();
  TlsContext server = server_context();
  TlsContext raw_client = client_context();
  TlsContext raw_server = server_context();
};
const Contexts& contexts() {
  static const Contexts made;
  return made;
}

/// One of our transports, a client's or a server's, and a peer that is driven
/// by hand.
class TlsMuseum : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    pair.shake_hands();
    pair.passes(3);  // tickets
  }
  Transport& transport() const { return *pair.protocol->transport; }
  /// Whether the peer was told that we end.
  bool peer_was_told() {
    pair.peer->pump();
    return (SSL_get_shutdown(pair.peer->ssl()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  /// Runs ours until its end, without the peer.
  bool run_to_end() {
    return run_until(pair.loop, [&] { return pair.protocol->losses > 0; });
  }

  RawPair pair{GetParam(), GetParam() ? contexts().client : contexts().server,
               GetParam() ? contexts().raw_server : contexts().raw_client};
};
INSTANTIATE_TEST_SUITE_P(Sides, TlsMuseum, ::testing::Bool(),
                         [](const auto& side) {
                           return side.param ? std::string("Client")
                                             : std::string("Server");
                         });

// -- writing into what has ended ----------------------------------------------

// The socket fails below, and the layer above goes on as if nothing were: a
// task that only writes and drains would never hear of it.
TEST_P(TlsMuseum, AWriteThatFailsBelowIsKnownAboveAtOnce) {
  for (const KernelCall call : {KernelCall::kSend, KernelCall::kSendmsg}) {
    pair.kernel.fail(call, EPIPE, {.times = ScriptedKernel::kForever});
  }
  EXPECT_FALSE(transport().is_closing());
  transport().write(std::string(100'000, 'x'));
  EXPECT_TRUE(transport().is_closing());
  transport().write("and nothing comes of this");
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(errno_of(pair.protocol->error), EPIPE);
  EXPECT_EQ(pair.protocol->losses, 1);
}

/// Our streams over TLS, and a peer that is driven by hand.
struct RawStreams {
  RawStreams() {
    auto [mine, other] = test::connected_pair(kernel);
    peer = std::make_unique<test::RawPeer>(contexts().raw_server,
                                           std::move(other));
    auto opening =
        open_connection(std::move(mine),
                        ConnectOptions().tls(client_options(contexts().client)))
            .start(loop);
    EXPECT_TRUE(run_until(loop, [&] {
      peer->pump();
      return opening.done() && peer->is_ready();
    }));
    streams = opening.take_result();
  }
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::unique_ptr<test::RawPeer> peer;
  Streams streams;
};

/// Writes and drains, and does nothing else, until that fails.
class WriteForEver {
 public:
  using value_type = void;
  WriteForEver(StreamWriter writer, int& writes)
      : writer_(std::move(writer)), writes_(writes) {}
  Step step(Resumption& resumption) {
    for (;; ++writes_) {
      if (writes_ > 100'000) throw std::logic_error("for ever");
      if (drain_ == nullptr) {
        drain_ = std::make_unique<StreamWriter::Drain>(
            writer_.write(std::string(4096, 'x')));
      }
      const Step step = drain_->step(resumption);
      if (step.kind() != Step::Kind::kDone) return step;
      drain_.reset();
    }
  }
  void result() const noexcept {}
  static constexpr const char* kName = "WriteForEver";

 private:
  StreamWriter writer_;
  int& writes_;
  std::unique_ptr<StreamWriter::Drain> drain_;
};

// The same for a task that never waits for anything else.
TEST(TlsStreamMuseum, ATaskThatOnlyWritesHearsOfTheEnd) {
  RawStreams world;
  for (const KernelCall call : {KernelCall::kSend, KernelCall::kSendmsg}) {
    world.kernel.fail(call, EPIPE,
                      {.from_call = 10, .times = ScriptedKernel::kForever});
  }
  int writes = 0;
  const auto task =
      create_task(world.loop, WriteForEver(world.streams.writer, writes));
  ASSERT_TRUE(run_until(world.loop, [&] {
    world.peer->pump();
    return task.done();
  }));
  EXPECT_EQ(describe(task.exception()),
            "std::system_error: Connection lost: Connection reset by peer");
  EXPECT_LT(writes, 1000);
}

// -- the end of a connection --------------------------------------------------

// A clean end is said, by both, before the line is let go.
TEST_P(TlsMuseum, BothSidesSayThatTheyEnd) {
  const bool we_are_first = GetParam();
  if (we_are_first) {
    transport().close();
    run_passes(pair.loop, 2);
    EXPECT_TRUE(peer_was_told());
    EXPECT_EQ(pair.protocol->losses, 0) << "it waits for the answer";
    pair.peer->shut_down();
    pair.peer->flush();
  } else {
    pair.peer->shut_down();
    pair.peer->flush();
  }
  ASSERT_TRUE(run_to_end());
  EXPECT_TRUE(peer_was_told());
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_EQ(pair.protocol->calls, we_are_first
                                      ? (Calls{"made", "lost"})
                                      : (Calls{"made", "eof", "lost"}));
  char byte = 0;
  EXPECT_EQ(::recv(pair.peer->fd(), &byte, 1, 0), 0) << "and then no reset";
}

// All that the peer has said before its end arrives, though it is gone by then
// and reading was paused.
TEST_P(TlsMuseum, WhatCameBeforeTheEndSurvivesAPause) {
  const std::string said(50'000, 's');
  pair.protocol->on_data = [&](std::string_view) {
    transport().pause_reading();
  };
  transport().pause_reading();
  for (std::size_t at = 0; at < said.size(); at += 1000) {
    pair.peer->write(said.substr(at, 1000));
  }
  pair.peer->shut_down();
  pair.peer->flush();
  ASSERT_EQ(pair.peer->pending, "");
  pair.peer->drop();
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  pair.kernel.shorten(KernelCall::kRecv, 3000);
  // It is paused by each piece, and resumed after each.
  ASSERT_TRUE(run_until(pair.loop, [&] {
    if (pair.protocol->losses == 0) transport().resume_reading();
    return pair.protocol->losses > 0;
  }));
  EXPECT_TRUE(pair.protocol->received == said)
      << pair.protocol->received.size();
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_GT(pair.protocol->calls.size(), 10u);
  EXPECT_EQ(pair.protocol->calls.back(), "lost");
  EXPECT_EQ(pair.protocol->calls.at(pair.protocol->calls.size() - 2), "eof");
}

// What nobody wants any more stands between us and the peer's answer.
TEST_P(TlsMuseum, ACloseWhilePausedDoesNotWaitForTheDeadline) {
  transport().pause_reading();
  pair.peer->write(std::string(50'000, 'u'));
  pair.peer->flush();
  run_passes(pair.loop, 3);
  const TimePoint begin = pair.loop.time();
  transport().close();
  ASSERT_TRUE(pair.run([&] {
    if (peer_was_told()) {
      pair.peer->shut_down();
      pair.peer->flush();
    }
    return pair.protocol->losses > 0;
  }));
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_LT(pair.loop.time() - begin, std::chrono::seconds(5));
}

// A write behind the peer's end is no reason to try for ever: it is sent, and
// the peer may read it or not.
TEST_P(TlsMuseum, AWriteBehindThePeersEndIsTriedOnce) {
  pair.protocol->on_eof = [] { return true; };
  pair.peer->shut_down();
  pair.peer->flush();
  ASSERT_TRUE(run_until(pair.loop,
                        [&] { return pair.protocol->calls.back() == "eof"; }));
  for (int n = 0; n < 10; ++n) transport().write("more ");
  ASSERT_TRUE(pair.run([&] { return pair.peer->received.size() == 50; }));
  EXPECT_EQ(transport().get_write_buffer_size(), 0u);
  const std::uint64_t sends = pair.kernel.calls(KernelCall::kSend);
  run_passes(pair.loop, 10);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSend), sends);
  transport().close();
  ASSERT_TRUE(run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
}

// -- floods -------------------------------------------------------------------

// Records without data: OpenSSL bears some, and then says that it is enough.
TEST_P(TlsMuseum, AFloodOfEmptyRecordsIsBounded) {
  for (int n = 0; n < 1000; ++n) {
    std::size_t size = 0;
    SSL_write_ex(pair.peer->ssl(), "", 0, &size);
  }
  pair.peer->write("x");
  pair.peer->flush();
  const std::uint64_t reads = pair.kernel.calls(KernelCall::kRecv);
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return pair.protocol->losses > 0 || pair.protocol->received == "x";
  }));
  EXPECT_LT(pair.kernel.calls(KernelCall::kRecv) - reads, 10u);
  EXPECT_LE(pair.protocol->calls.size(), 3u);
  EXPECT_EQ(pair.reports.messages, Calls());
}

TEST(TlsStreamMuseum, ManyTicketsAreNoData) {
  RawPair pair(true, contexts().client, contexts().raw_server);
  pair.shake_hands();
  for (int n = 0; n < 200; ++n) {
    ASSERT_EQ(SSL_new_session_ticket(pair.peer->ssl()), 1);
    SSL_do_handshake(pair.peer->ssl());
  }
  pair.peer->write("behind them");
  ASSERT_TRUE(
      pair.run([&] { return pair.protocol->received == "behind them"; }));
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "data"}));
  EXPECT_TRUE(tls_info(*pair.protocol->transport).session);
}

// -- plain text before a handshake --------------------------------------------

// CVE-2011-0411 from the other side: what somebody put behind the server's "go
// ahead" would be read as if it had come encrypted.
TEST(TlsStreamMuseum, PlainTextBehindTheServersAnswerIsAnAttack) {
  test::StreamPair pair;
  write_text(pair.peer.get(), "220 go ahead\r\n250 EVIL\r\n");
  EXPECT_EQ(test::finish(pair.loop, pair.reader.readline()),
            "220 go ahead\r\n");
  EXPECT_EQ(test::thrown_by([&] {
              test::finish(pair.loop, pair.writer.start_tls(
                                          client_options(contexts().client)));
            }),
            "rondo::RuntimeError: start_tls: 10 bytes of plain text came "
            "before the handshake");
}

}  // namespace
}  // namespace rondo
