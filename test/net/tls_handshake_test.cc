// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "net/internal/tls_engine.h"
#include "test/net/tls_raw_peer.h"
#include "test/support/child_process.h"

// Handshakes that go wrong, contexts that fit or do not, and connections that
// end without good manners.

namespace rondo {
namespace {

using test::Calls;
using test::CertificateWish;
using test::client_context;
using test::client_options;
using test::Identity;
using test::RawPair;
using test::Recorder;
using test::server_context;
using test::TestCertificates;
using test::TlsPair;

// -- what is not TLS ----------------------------------------------------------

/// One of our transports, and a descriptor to write anything to.
struct PlainPeer {
  explicit PlainPeer(const TlsOptions& options) {
    auto [mine, other] = test::connected_pair(kernel);
    peer = std::move(other);
    connecting = create_connection([this] { return protocol; }, std::move(mine),
                                   ConnectOptions().tls(options))
                     .start(loop);
  }
  ~PlainPeer() {
    peer.reset();
    connecting = Task<Connection>();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
  std::string failure() {
    EXPECT_TRUE(run_until(loop, [&] { return connecting.done(); }));
    EXPECT_EQ(protocol->calls, Calls());
    return connecting.done() ? describe(connecting.exception()) : "hangs";
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  UniqueFd peer;
  Task<Connection> connecting;
};

TEST(TlsHandshake, FailsWithAPlainPeer) {
  {
    PlainPeer pair{TlsOptions(server_context())};
    write_text(pair.peer.get(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(pair.failure(), "rondo::TlsError: TLS handshake: http request");
  }
  {
    PlainPeer pair{TlsOptions(server_context())};
    write_text(pair.peer.get(), "EHLO localhost\r\n");
    EXPECT_EQ(pair.failure(),
              "rondo::TlsError: TLS handshake: wrong version number");
  }
  {
    PlainPeer pair{client_options()};
    write_text(pair.peer.get(), "220 localhost ESMTP\r\n");
    EXPECT_EQ(pair.failure(),
              "rondo::TlsError: TLS handshake with 'localhost': wrong version "
              "number");
  }
}

TEST(TlsHandshake, FailsWithGarbage) {
  const std::string zeros(70'000, '\0');
  const std::string ones(70'000, '\xff');
  // A ClientHello that says it is larger than anybody reads.
  const std::string huge =
      std::string("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9) +
      std::string(16'380, 'x');
  const std::string overlong = std::string("\x16\x03\x01\xff\xff", 5) + zeros;
  const std::string alert("\x15\x03\x01\x00\x02\x02\x28", 7);
  const std::string early_data("\x17\x03\x03\x00\x05hello", 10);
  for (const std::string& garbage :
       {zeros, ones, huge, overlong, alert, early_data}) {
    for (const bool server : {false, true}) {
      SCOPED_TRACE((server ? "server " : "client ") +
                   std::to_string(garbage.size()));
      PlainPeer pair(server ? TlsOptions(server_context()) : client_options());
      pair.kernel.shorten(KernelCall::kRecv, 4096);
      write_text(pair.peer.get(), garbage);
      const std::string failure = pair.failure();
      EXPECT_TRUE(failure.starts_with("rondo::TlsError: TLS handshake"))
          << failure;
      EXPECT_EQ(pair.reports.messages, Calls());
    }
  }
}

// Hello upon hello, and never an end: one message of 16 MiB.
TEST(TlsHandshake, DoesNotCollectAHelloThatNeverEnds) {
  PlainPeer pair{TlsOptions(server_context())};
  write_text(pair.peer.get(),
             std::string("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9));
  EXPECT_EQ(pair.failure(),
            "rondo::TlsError: TLS handshake: excessive message size");
}

TEST(TlsHandshake, FailsIfThePeerEndsItPolitely) {
  for (const bool server : {false, true}) {
    PlainPeer pair(server ? TlsOptions(server_context()) : client_options());
    write_text(pair.peer.get(), std::string("\x15\x03\x03\x00\x02\x01\x00", 7));
    const std::string failure = pair.failure();
    EXPECT_NE(failure, "hangs");
    EXPECT_NE(failure, "no exception");
  }
}

TEST(TlsHandshake, ThatStallsIsGivenUp) {
  for (const bool server : {false, true}) {
    for (const std::string& said :
         {std::string(), std::string("\x16\x03\x01"),
          std::string("\x16\x03\x01\x02\x00\x01", 6)}) {
      PlainPeer pair((server ? TlsOptions(server_context()) : client_options())
                         .handshake_timeout(0.01));
      if (!said.empty()) write_text(pair.peer.get(), said);
      EXPECT_EQ(pair.failure(),
                "std::system_error: TLS handshake is taking longer than 0.01 "
                "seconds: aborting the connection: Software caused connection "
                "abort");
    }
  }
}

TEST(TlsHandshake, SentToAPlainServerIsOrdinaryData) {
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  auto [a, b] = test::connected_pair(kernel);
  const auto server = std::make_shared<Recorder>();
  const auto client = std::make_shared<Recorder>();
  const auto plain = test::connect(loop, std::move(a), server);
  server->on_data = [&](std::string_view) { plain->close(); };
  auto connecting = create_connection([client] { return client; }, std::move(b),
                                      ConnectOptions().tls(client_options()))
                        .start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return connecting.done(); }));
  EXPECT_EQ(test::errno_of(connecting.exception()), ECONNRESET);
  EXPECT_EQ(client->calls, Calls());
  EXPECT_EQ(server->received.substr(0, 2), "\x16\x03");
}

// -- the error queue ----------------------------------------------------------

TEST(TlsHandshake, OthersErrorsAreNotOurs) {
  TlsPair good;
  good.shake_hands();
  const auto litter = [] {
    ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
    ERR_raise(ERR_LIB_USER, 1);
  };
  for (int round = 0; round < 3; ++round) {
    PlainPeer bad{TlsOptions(server_context())};
    write_text(bad.peer.get(), "no TLS at all");
    EXPECT_EQ(bad.failure(),
              "rondo::TlsError: TLS handshake: wrong version number");
    litter();
    good.client->transport->write("x");
    litter();
    ASSERT_TRUE(good.run_until_received(*good.server,
                                        static_cast<std::size_t>(round) + 1));
    litter();
    TlsPair another;
    litter();
    another.shake_hands();
    EXPECT_EQ(another.connecting.exception(), nullptr);
    litter();
    static_cast<void>(tls_info(*another.client->transport));
    litter();
    another.client->transport->close();
    litter();
    ASSERT_TRUE(another.run_to_end());
    EXPECT_EQ(another.client->error, nullptr);
    EXPECT_EQ(another.server->error, nullptr);
  }
  good.client->transport->close();
  ASSERT_TRUE(good.run_to_end());
  EXPECT_EQ(good.client->error, nullptr);
  EXPECT_EQ(good.server->error, nullptr);
  ERR_clear_error();
}

// What is in the queue is not taken for the reason of a later failure.
TEST(TlsHandshake, NamesItsOwnReason) {
  PlainPeer bad{TlsOptions(server_context())};
  ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
  bad.peer.reset();
  EXPECT_EQ(test::errno_of(
                (static_cast<void>(bad.failure()), bad.connecting.exception())),
            ECONNRESET);
  ERR_clear_error();
}

// -- versions, names, protocols -----------------------------------------------

TEST(TlsHandshake, SpeaksTheVersionsThatBothKnow) {
  using Version = TlsVersion;
  struct Case {
    Version client_min, client_max, server_min, server_max;
    const char* agreed;
  };
  const Version k12 = Version::kTls12;
  const Version k13 = Version::kTls13;
  for (const Case& each :
       {Case{k12, k13, k12, k13, "TLSv1.3"},
        Case{k12, k12, k12, k13, "TLSv1.2"},
        Case{k12, k13, k12, k12, "TLSv1.2"},
        Case{k13, k13, k13, k13, "TLSv1.3"}, Case{k12, k12, k13, k13, nullptr},
        Case{k13, k13, k12, k12, nullptr}}) {
    TlsContext client = client_context();
    client.minimum_version(each.client_min).maximum_version(each.client_max);
    TlsContext server = server_context();
    server.minimum_version(each.server_min).maximum_version(each.server_max);
    TlsPair pair(client_options(client), server);
    pair.shake_hands();
    if (each.agreed == nullptr) {
      EXPECT_EQ(describe(pair.accepting.exception()),
                "rondo::TlsError: TLS handshake: unsupported protocol");
      EXPECT_NE(pair.connecting.exception(), nullptr);
      continue;
    }
    ASSERT_EQ(pair.connecting.exception(), nullptr);
    EXPECT_EQ(tls_info(*pair.client->transport).version, each.agreed);
    pair.client->transport->write("hello");
    ASSERT_TRUE(pair.run_until_received(*pair.server, 5));
    pair.server->transport->close();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.client->error, nullptr);
    EXPECT_EQ(pair.server->error, nullptr);
  }
}

TEST(TlsHandshake, SpeaksNothingOlderThanItIsTold) {
  TlsContext old = client_context();
  SSL_CTX* const native = old.state()->context.get();
  SSL_CTX_set_security_level(native, 0);
  SSL_CTX_set_min_proto_version(native, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(native, TLS1_1_VERSION);
  RawPair pair(false, server_context(), old);
  ASSERT_TRUE(pair.run([&] { return pair.connecting.done(); }));
  EXPECT_EQ(describe(pair.connecting.exception()),
            "rondo::TlsError: TLS handshake: unsupported protocol");
}

TEST(TlsHandshake, NeedsAProtocolInCommonIfBothName) {
  struct Case {
    std::vector<std::string> client, server;
    const char* agreed;
  };
  for (const Case& each :
       {Case{{"h2", "http/1.1"}, {"http/1.1", "h2"}, "http/1.1"},
        Case{{"h2"}, {}, ""}, Case{{}, {"h2"}, ""},
        Case{{"h2"}, {"http/1.1"}, nullptr}}) {
    TlsContext client = client_context();
    client.alpn_protocols(each.client);
    TlsContext server = server_context();
    server.alpn_protocols(each.server);
    TlsPair pair(client_options(client), server);
    pair.shake_hands();
    if (each.agreed == nullptr) {
      EXPECT_EQ(describe(pair.accepting.exception()),
                "rondo::TlsError: TLS handshake: no application protocol");
      EXPECT_EQ(describe(pair.connecting.exception()),
                "rondo::TlsError: TLS handshake with 'localhost': tlsv1 alert "
                "no application protocol");
      continue;
    }
    ASSERT_EQ(pair.connecting.exception(), nullptr);
    EXPECT_EQ(tls_info(*pair.client->transport).selected_alpn_protocol,
              each.agreed);
    EXPECT_EQ(tls_info(*pair.server->transport).selected_alpn_protocol,
              each.agreed);
  }
}

TEST(TlsHandshake, NeedsACipherInCommon) {
  TlsContext client = client_context();
  client.maximum_version(TlsVersion::kTls12)
      .ciphers("ECDHE-ECDSA-AES128-GCM-SHA256");
  TlsContext server = server_context();
  server.ciphers("ECDHE-ECDSA-AES256-GCM-SHA384");
  TlsPair pair(client_options(client), server);
  pair.shake_hands();
  EXPECT_EQ(describe(pair.accepting.exception()),
            "rondo::TlsError: TLS handshake: no shared cipher");
}

TEST(TlsHandshake, AServerWithoutACertificateIsOfNoUse) {
  TlsPair pair(client_options(), TlsContext::server());
  pair.shake_hands();
  EXPECT_NE(pair.connecting.exception(), nullptr);
  EXPECT_EQ(describe(pair.accepting.exception()),
            "rondo::TlsError: TLS handshake: no shared cipher");
}

/// A server that has one context for all and another for "other.example".
struct TwoNames {
  TwoNames() {
    CertificateWish wish;
    wish.common_name = "other";
    wish.subject_alt_names = "DNS:other.example";
    const Identity identity = TestCertificates::get().authority.issue(wish);
    other.load_cert_chain_pem(identity.certificate(), identity.key());
    first.server_name_callback([this](std::string_view name) {
      asked.emplace_back(name);
      return name == "other.example" ? other : TlsContext();
    });
  }
  std::string verdict(const std::string& name) {
    TlsPair pair(TlsOptions(client).server_hostname(name), first);
    pair.shake_hands();
    if (pair.connecting.exception() != nullptr) {
      return describe(pair.connecting.exception());
    }
    if (pair.accepting.exception() != nullptr) {
      return describe(pair.accepting.exception());
    }
    const TlsInfo theirs = tls_info(*pair.server->transport);
    EXPECT_EQ(theirs.server_name, name);
    return tls_info(*pair.client->transport).peer_certificate.subject;
  }

  TlsContext client = client_context();
  TlsContext other = TlsContext::server();
  TlsContext first = server_context();
  Calls asked;
};

TEST(TlsHandshake, AServerNameChoosesTheCertificate) {
  TwoNames server;
  EXPECT_EQ(server.verdict("localhost"), "CN=localhost");
  EXPECT_EQ(server.verdict("other.example"), "CN=other");
  EXPECT_EQ(server.asked, (Calls{"localhost", "other.example"}));
  EXPECT_TRUE(
      server.verdict("third.example").starts_with("rondo::CertificateError"));
  server.client.maximum_version(TlsVersion::kTls12);
  EXPECT_EQ(server.verdict("other.example"), "CN=other");
}

TEST(TlsHandshake, AServerThatIsAskedForNoNameHearsNone) {
  TwoNames server;
  server.client.check_hostname(false);
  for (const std::string& name : {std::string(), std::string("127.0.0.1")}) {
    TlsPair pair(TlsOptions(server.client).server_hostname(name), server.first);
    pair.shake_hands();
    EXPECT_EQ(pair.connecting.exception(), nullptr);
    EXPECT_EQ(tls_info(*pair.server->transport).server_name, "");
  }
  EXPECT_EQ(server.asked, (Calls{"", ""}));
}

TEST(TlsHandshake, AServerNameChoosesAllOfTheContext) {
  for (const TlsVersion version : {TlsVersion::kTls12, TlsVersion::kTls13}) {
    TwoNames server;
    server.client.maximum_version(version).alpn_protocols({"h2", "http/1.1"});
    server.first.alpn_protocols({"h2"});
    server.other.alpn_protocols({"http/1.1"});
    server.other
        .load_verify_pem(TestCertificates::get().authority.certificate())
        .verify_mode(VerifyMode::kRequired);
    EXPECT_EQ(server.verdict("localhost"), "CN=localhost");
    const std::string refused = server.verdict("other.example");
    EXPECT_NE(refused, "CN=other");
    const Identity& identity = TestCertificates::get().client;
    server.client.load_cert_chain_pem(identity.certificate(), identity.key());
    EXPECT_EQ(server.verdict("other.example"), "CN=other");
    TlsPair pair(TlsOptions(server.client).server_hostname("other.example"),
                 server.first);
    pair.shake_hands();
    const TlsInfo info = tls_info(*pair.server->transport);
    EXPECT_EQ(info.selected_alpn_protocol, "http/1.1");
    EXPECT_EQ(info.peer_certificate.subject, "CN=a client");
  }
}

TEST(TlsHandshake, AServerNameChoosesTheVersion) {
  TwoNames server;
  server.other.maximum_version(TlsVersion::kTls12);
  TlsPair pair(TlsOptions(server.client).server_hostname("other.example"),
               server.first);
  pair.shake_hands();
  EXPECT_EQ(tls_info(*pair.client->transport).version, "TLSv1.2");
  server.client.minimum_version(TlsVersion::kTls13);
  EXPECT_NE(server.verdict("other.example"), "CN=other");
  EXPECT_EQ(server.verdict("localhost"), "CN=localhost");
}

TEST(TlsHandshake, WhatTheServerNameCallbackThrowsEndsTheHandshake) {
  TlsContext server = server_context();
  server.server_name_callback([](std::string_view) -> TlsContext {
    throw std::runtime_error("no such host");
  });
  TlsPair pair(client_options(), server);
  pair.shake_hands();
  EXPECT_EQ(describe(pair.accepting.exception()),
            "std::runtime_error: no such host");
  EXPECT_EQ(describe(pair.connecting.exception()),
            "rondo::TlsError: TLS handshake with 'localhost': tlsv1 "
            "unrecognized name");
  server.server_name_callback(
      [](std::string_view) { return client_context(); });
  TlsPair other(client_options(), server);
  other.shake_hands();
  EXPECT_EQ(describe(other.accepting.exception()),
            "std::invalid_argument: server_name_callback: a client's "
            "TlsContext");
}

// -- sessions -----------------------------------------------------------------

/// A connection's session, and whether that went on with an earlier one.
std::pair<TlsSession, bool> visit(const TlsContext& client,
                                  const TlsContext& server,
                                  const std::string& name,
                                  const TlsSession& session = TlsSession()) {
  TlsPair pair(TlsOptions(client).server_hostname(name).session(session),
               server);
  pair.shake_hands();
  EXPECT_EQ(pair.connecting.exception(), nullptr)
      << describe(pair.connecting.exception());
  if (pair.connecting.exception() != nullptr) return {};
  pair.server->transport->write("x");
  EXPECT_TRUE(pair.run_until_received(*pair.client, 1));
  const TlsInfo info = tls_info(*pair.client->transport);
  const TlsInfo theirs = tls_info(*pair.server->transport);
  EXPECT_EQ(info.session_reused, theirs.session_reused);
  EXPECT_EQ(theirs.server_name, name);
  EXPECT_FALSE(theirs.session);
  return {info.session, info.session_reused};
}

TEST(TlsSessions, GoOnWithEitherVersion) {
  for (const TlsVersion version : {TlsVersion::kTls12, TlsVersion::kTls13}) {
    TlsContext client = client_context();
    client.maximum_version(version);
    const TlsContext server = server_context();
    const auto [first, fresh] = visit(client, server, "localhost");
    EXPECT_FALSE(fresh);
    ASSERT_TRUE(first);
    const auto [second, reused] = visit(client, server, "localhost", first);
    EXPECT_TRUE(reused);
    EXPECT_TRUE(visit(client, server, "localhost", second).second);
    // A server that does not know it makes a new one.
    EXPECT_FALSE(visit(client, server_context(), "localhost", first).second);
  }
}

TEST(TlsSessions, CountForTheContextAndTheNameThatTheyAreOf) {
  const TlsContext client = client_context();
  const TlsContext server = server_context();
  const TlsSession session = visit(client, server, "localhost").first;
  const auto failure = [&](const TlsOptions& options) {
    TlsPair pair(TlsOptions(options).session(session), server);
    EXPECT_TRUE(run_until(pair.loop, [&] { return pair.connecting.done(); }));
    pair.accepting.cancel();
    return describe(pair.connecting.exception());
  };
  EXPECT_EQ(failure(client_options()),
            "std::invalid_argument: TLS: the session is of another context");
  EXPECT_EQ(failure(TlsOptions(client).server_hostname("127.0.0.1")),
            "std::invalid_argument: TLS: the session is of 'localhost', not of "
            "'127.0.0.1'");
}

// A session made where nobody had to show a certificate does not open the
// door of a name where one has to.
TEST(TlsSessions, DoNotCarryAClientPastAnotherNamesRules) {
  for (const TlsVersion version : {TlsVersion::kTls12, TlsVersion::kTls13}) {
    TwoNames server;
    server.client.maximum_version(version);
    server.other
        .load_verify_pem(TestCertificates::get().authority.certificate())
        .verify_mode(VerifyMode::kRequired);
    TlsSession session = visit(server.client, server.first, "localhost").first;
    ASSERT_TRUE(session);
    ASSERT_TRUE(
        visit(server.client, server.first, "localhost", session).second);
    session.state()->server_hostname = "other.example";  // a client that lies
    TlsPair pair(TlsOptions(server.client)
                     .server_hostname("other.example")
                     .session(session),
                 server.first);
    pair.shake_hands();
    EXPECT_NE(pair.accepting.exception(), nullptr);
    // Its own sessions count.
    const Identity& identity = TestCertificates::get().client;
    server.client.load_cert_chain_pem(identity.certificate(), identity.key());
    const TlsSession own =
        visit(server.client, server.first, "other.example").first;
    ASSERT_TRUE(own);
    EXPECT_TRUE(
        visit(server.client, server.first, "other.example", own).second);
  }
}

// -- bad manners at the end ---------------------------------------------------

TEST(TlsEnd, APeerThatNeverAnswersTheCloseIsGivenUp) {
  for (const bool we_are_client : {false, true}) {
    RawPair pair(we_are_client
                     ? client_options().shutdown_timeout(0.02)
                     : TlsOptions(server_context()).shutdown_timeout(0.02),
                 we_are_client ? server_context() : client_context());
    pair.shake_hands();
    pair.peer->is_deaf = true;
    pair.protocol->transport->write("the last");
    pair.protocol->transport->close();
    ASSERT_TRUE(pair.run([&] { return pair.protocol->losses > 0; }));
    EXPECT_EQ(describe(pair.protocol->error),
              "rondo::TimeoutError: TLS shutdown timed out");
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
  }
}

TEST(TlsEnd, APeerThatSendsForEverInsteadIsGivenUp) {
  RawPair pair(client_options().shutdown_timeout(0.05), server_context());
  pair.shake_hands();
  pair.protocol->transport->close();
  ASSERT_TRUE(pair.run([&] {
    for (int i = 0; i < 10 && pair.peer->pending.empty(); ++i) {
      std::size_t size = 0;
      SSL_write_ex(pair.peer->ssl(), "more", 4, &size);
      pair.peer->flush();
    }
    pair.clock.spend(std::chrono::milliseconds(1));
    return pair.protocol->losses > 0;
  }));
  EXPECT_EQ(describe(pair.protocol->error),
            "rondo::TimeoutError: TLS shutdown timed out");
  EXPECT_EQ(pair.protocol->received, "");
}

// uvloop #471: half a minute of reading what nobody wants.
TEST(TlsEnd, APeerThatSendsAMegabyteAfterTheCloseIsNotReadOn) {
  RawPair pair(client_options(), server_context());
  pair.shake_hands();
  pair.protocol->transport->write("the last");
  pair.protocol->transport->close();
  const TimePoint begin = pair.loop.time();
  const std::string more(16'000, 'x');
  std::size_t sent = 0;
  ASSERT_TRUE(pair.run([&] {
    if (pair.peer->pending.empty()) {
      std::size_t size = 0;
      SSL_write_ex(pair.peer->ssl(), more.data(), more.size(), &size);
      sent += size;
      pair.peer->flush();
    }
    return pair.protocol->losses > 0;
  }));
  EXPECT_GT(sent, std::size_t{1} << 20);
  EXPECT_LT(sent, std::size_t{2} << 20);
  EXPECT_EQ(pair.loop.time(), begin);
  EXPECT_EQ(describe(pair.protocol->error),
            "rondo::TlsError: TLS close: the peer goes on sending");
  EXPECT_EQ(pair.protocol->received, "");
  EXPECT_EQ(pair.peer->received, "the last");
}

// It takes longer than the deadline, but takes something each time.
TEST(TlsEnd, APeerThatReadsSlowlyIsNotCut) {
  RawPair pair(client_options().shutdown_timeout(0.2), server_context());
  pair.shake_hands();
  pair.passes(3);
  const std::size_t size = 2'000'000;
  pair.protocol->transport->write(std::string(size, 'x'));
  pair.protocol->transport->close();
  pair.kernel.shorten(KernelCall::kSend, 20'000);
  const TimePoint begin = pair.loop.time();
  TimePoint last = begin;
  ASSERT_TRUE(run_until(pair.loop, [&] {
    // 200 KB every 80 ms: more than half a second in all.
    if (pair.loop.time() - last > std::chrono::milliseconds(80)) {
      last = pair.loop.time();
      char memory[200'000];
      const ssize_t n = ::recv(pair.peer->fd(), memory, sizeof memory, 0);
      if (n > 0) pair.peer->taken += static_cast<std::size_t>(n);
    }
    return pair.peer->taken > size || pair.protocol->losses > 0;
  }));
  EXPECT_EQ(pair.protocol->losses, 0);
  EXPECT_GT(pair.loop.time() - begin, std::chrono::milliseconds(500));
  pair.peer->drop();
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
}

TEST(TlsEnd, ABrokenRecordEndsTheConnectionBehindWhatCameBefore) {
  RawPair pair;
  pair.shake_hands();
  pair.passes(3);
  pair.peer->write("good");
  pair.peer->flush();
  pair.peer->pending +=
      std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'b');
  pair.peer->flush();
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(pair.protocol->received, "good");
  EXPECT_EQ(describe(pair.protocol->error),
            "rondo::TlsError: TLS read with 'localhost': decryption failed or "
            "bad record mac");
  // The peer is told.
  pair.peer->pump();
  EXPECT_GT(pair.peer->taken, 0u);
}

TEST(TlsEnd, AClosedPeerDoesNotKillTheProcess) {
  const std::string story = in_child([]() -> std::string {
    ::signal(SIGPIPE, SIG_DFL);
    std::string told;
    for (const bool closes : {false, true}) {
      RawPair pair;
      pair.shake_hands();
      pair.passes(3);
      pair.protocol->transport->pause_reading();
      pair.peer->drop();
      pair.protocol->transport->write(std::string(100'000, 'x'));
      if (closes) pair.protocol->transport->close();
      if (!run_until(pair.loop, [&] { return pair.protocol->losses > 0; })) {
        told += "hangs ";
      }
      told += std::to_string(test::errno_of(pair.protocol->error)) + " ";
    }
    return told;
  });
  const std::string epipe = std::to_string(EPIPE);
  EXPECT_EQ(story, epipe + " " + epipe + " ");
}

}  // namespace
}  // namespace rondo
