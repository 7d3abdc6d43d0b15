// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/server.h"
#include "test/net/tls_raw_peer.h"
#include "test/support/allocation.h"

// A server that refuses a client in its handshake, while that goes on sending:
// a socket that is closed with something unread resets the connection, and the
// client, busy sending, would not hear why. Time is virtual.

namespace rondo {
namespace {

using test::Calls;
using test::RawPeer;
using test::Recorder;
using test::server_context;
using test::TestCertificates;

// One that says it is larger than anybody reads, and what that is told: an
// alert, fatal, illegal parameter.
const std::string kHello("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9);
const std::string kAlert("\x15\x03\x03\x00\x02\x02\x2f", 7);

/// An encrypting server, and clients that it will not like.
struct Refusing {
  explicit Refusing(TlsOptions tls = server_context()) {
    server = test::finish(
        loop, create_server([this] { return protocol; }, "127.0.0.1", 0,
                            ServerOptions().tls(std::move(tls))));
  }
  ~Refusing() {
    EXPECT_EQ(protocol->calls, Calls());  // it never hears of them
    EXPECT_EQ(reports.messages, Calls());
    server.close();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  std::uint16_t port() const {
    return server.sockets().at(0).getsockname().port();
  }
  /// A client with a bad hello, which stays when the server has finished. Runs
  /// until it has heard so.
  std::shared_ptr<Recorder> refused() {
    auto plain = std::make_shared<Recorder>();
    plain->on_eof = [] { return true; };
    test::finish(loop, create_connection([plain] { return plain; }, "127.0.0.1",
                                         port()));
    plain->transport->write(kHello);
    EXPECT_TRUE(run_until(
        loop, [&] { return plain->calls.back() == "eof" || ends(*plain); }));
    EXPECT_FALSE(ends(*plain)) << describe(plain->error);
    return plain;
  }
  static bool ends(const Recorder& client) { return client.losses > 0; }
  bool is_alone() const { return server.client_count() == 0; }

  VirtualKernel clock;
  ScriptedKernel kernel{clock};
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  Server server;
};

UniqueFd connected_socket(std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to),
                      sizeof to),
            0);
  EXPECT_EQ(::fcntl(socket.get(), F_SETFL, O_NONBLOCK), 0);
  return socket;
}

TEST(TlsRefusal, IsHeardByAClientThatGoesOnSending) {
  Refusing world;
  const auto client = world.refused();
  EXPECT_EQ(client->received, kAlert);
  for (int i = 0; i < 10; ++i) {
    ASSERT_FALSE(Refusing::ends(*client)) << describe(client->error);
    client->transport->write(std::string(10'000, 'x'));
    run_passes(world.loop, 2);
  }
  ASSERT_FALSE(Refusing::ends(*client)) << describe(client->error);
  EXPECT_FALSE(world.is_alone());
  client->transport->abort();
  ASSERT_TRUE(run_until(world.loop, [&] { return world.is_alone(); }));
}

// With TLS 1.3 it has shaken hands, as it sees it, and sends what it came for.
TEST(TlsRefusal, OfAClientWithoutACertificateIsHeardBehindItsRequest) {
  static std::string heard;
  heard.clear();
  TlsContext context = server_context();
  context.load_verify_pem(TestCertificates::get().authority.certificate())
      .verify_mode(VerifyMode::kRequired);
  Refusing world(context);
  RawPeer client(test::client_context(), connected_socket(world.port()));
  SSL_set_info_callback(client.ssl(), [](const SSL*, int where, int alert) {
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) {
      heard += SSL_alert_desc_string_long(alert);
    }
  });
  ASSERT_TRUE(run_until(world.loop, [&] {
    client.pump();
    return client.is_ready();
  }));
  client.is_deaf = true;  // a request is sent before its answer is read
  for (int i = 0; i < 10; ++i) {
    client.write(std::string(10'000, 'x'));
    client.flush();
    EXPECT_EQ(client.pending, "") << i;
    run_passes(world.loop, 2);
  }
  client.is_deaf = false;
  client.pump();
  EXPECT_NE(heard, "");
  client.drop();
  ASSERT_TRUE(run_until(world.loop, [&] { return world.is_alone(); }));
}

TEST(TlsRefusal, IsOverWhenTheClientEnds) {
  Refusing world;
  const auto client = world.refused();
  const TimePoint begin = world.loop.time();
  client->transport->close();
  ASSERT_TRUE(run_until(world.loop, [&] { return world.is_alone(); }));
  EXPECT_LT(world.loop.time() - begin, std::chrono::milliseconds(100));
}

TEST(TlsRefusal, WaitsASecondForAClientThatDoesNothing) {
  Refusing world;
  const TimePoint begin = world.loop.time();
  const auto client = world.refused();
  ASSERT_TRUE(run_until(world.loop, [&] { return world.is_alone(); }));
  EXPECT_GE(world.loop.time() - begin, std::chrono::seconds(1));
  EXPECT_LT(world.loop.time() - begin, std::chrono::milliseconds(1500));
  client->transport->abort();
}

TEST(TlsRefusal, WaitsASecondForAClientThatSendsForEver) {
  Refusing world;
  const TimePoint begin = world.loop.time();
  const auto client = world.refused();
  ASSERT_TRUE(run_until(world.loop, [&] {
    if (!Refusing::ends(*client)) client->transport->write("more");
    world.clock.spend(std::chrono::milliseconds(1));
    return world.is_alone();
  }));
  EXPECT_GE(world.loop.time() - begin, std::chrono::seconds(1));
  EXPECT_LT(world.loop.time() - begin, std::chrono::milliseconds(1500));
  client->transport->abort();
}

TEST(TlsRefusal, IsOverWhenTheServerAbortsItsClients) {
  Refusing world;
  const auto client = world.refused();
  const TimePoint begin = world.loop.time();
  world.server.close();
  world.server.abort_clients();
  const Future<void> closed = world.server.wait_closed();
  ASSERT_TRUE(run_until(world.loop, [&] { return closed.done(); }));
  EXPECT_EQ(world.loop.time(), begin);
  client->transport->abort();
}

TEST(TlsRefusal, IsForgottenWithTheLoop) {
  Refusing world;
  const auto client = world.refused();
  EXPECT_FALSE(world.is_alone());
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
// Without memory for the wait there is none.
TEST(TlsRefusal, EndsTheConnectionWhateverAllocationFails) {
  using test::FailingAllocations;
  bool fired = true;
  for (std::uint64_t nth = 1; fired; ++nth) {
    SCOPED_TRACE(nth);
    Refusing world;
    UniqueFd client = connected_socket(world.port());
    ASSERT_TRUE(run_until(world.loop, [&] { return !world.is_alone(); }));
    run_passes(world.loop, 10);
    write_text(client.get(), kHello);
    ::testing::internal::CaptureStderr();
    {
      const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
      run_passes(world.loop, 3);
      fired = failing.fired();
    }
    ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(run_until(world.loop, [&] { return world.is_alone(); }));
    world.reports.messages.clear();  // of a read that found no memory
    ASSERT_LT(nth, 200u);
  }
}
#endif

}  // namespace
}  // namespace rondo
