// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "futures/errors.h"
#include "net/server.h"
#include "net/streams.h"
#include "test/net/tls_pair.h"

// Both sides ours, over a socket pair.

namespace rondo {
namespace {

using test::Calls;
using test::client_context;
using test::client_options;
using test::Recorder;
using test::server_context;
using test::TestCertificates;
using test::TlsPair;

TEST(Tls, ShakesHandsBeforeTheProtocolHears) {
  TlsPair pair;
  EXPECT_EQ(pair.client->calls, Calls());
  pair.shake_hands();
  EXPECT_EQ(pair.client->calls, Calls{"made"});
  EXPECT_EQ(pair.server->calls, Calls{"made"});
  EXPECT_EQ(pair.connecting.result().transport.get(), pair.client->transport);
}

TEST(Tls, CarriesBytesBothWays) {
  TlsPair pair;
  pair.shake_hands();
  pair.client->transport->write("hello ");
  pair.client->transport->write("server");
  pair.server->transport->write("hello client");
  ASSERT_TRUE(pair.run_until_received(*pair.server, 12));
  ASSERT_TRUE(pair.run_until_received(*pair.client, 12));
  EXPECT_EQ(pair.server->received, "hello server");
  EXPECT_EQ(pair.client->received, "hello client");
}

TEST(Tls, CarriesMegabytesInOrder) {
  TlsPair pair;
  pair.shake_hands();
  std::string much;
  for (int i = 0; much.size() < 5'000'000; ++i) much += std::to_string(i) + " ";
  pair.client->transport->write(much);
  pair.server->transport->write(much);
  ASSERT_TRUE(pair.run_until_received(*pair.server, much.size()));
  ASSERT_TRUE(pair.run_until_received(*pair.client, much.size()));
  EXPECT_EQ(pair.server->received, much);
  EXPECT_EQ(pair.client->received, much);
}

TEST(Tls, SendsWhatWasWrittenInTheHandshakeAfterIt) {
  TlsPair pair;
  pair.server->on_made = [&] { pair.server->transport->write("welcome"); };
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.connecting.done(); }));
  ASSERT_TRUE(pair.run_until_received(*pair.client, 7));
  EXPECT_EQ(pair.client->received, "welcome");
}

TEST(Tls, ClosesBothSidesInOrder) {
  TlsPair pair;
  pair.shake_hands();
  pair.client->transport->write("the last words");
  pair.client->transport->close();
  EXPECT_TRUE(pair.client->transport->is_closing());
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.server->received, "the last words");
  EXPECT_EQ(pair.server->calls, (Calls{"made", "data", "eof", "lost"}));
  EXPECT_EQ(pair.client->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(pair.server->error, nullptr);
  EXPECT_EQ(pair.client->error, nullptr);
  EXPECT_TRUE(pair.reports.messages.empty());
}

TEST(Tls, GoesOnWritingAfterThePeersEndIfTheProtocolWants) {
  TlsPair pair;
  pair.shake_hands();
  pair.server->on_eof = [&] {
    pair.server->transport->write("an answer");
    return true;
  };
  pair.client->transport->close();
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return !pair.server->calls.empty() && pair.server->calls.back() == "eof";
  }));
  EXPECT_FALSE(pair.server->transport->is_closing());
  pair.server->transport->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.server->error, nullptr);
}

TEST(Tls, AbortEndsAtOnceAndThePeerCallsItATruncation) {
  TlsPair pair;
  pair.shake_hands();
  pair.client->transport->abort();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.client->error, nullptr);
  EXPECT_EQ(describe(pair.server->error),
            "rondo::TlsError: TLS read: EOF occurred in violation of protocol");
  EXPECT_EQ(pair.server->calls, (Calls{"made", "lost"}));
}

TEST(Tls, TakesATruncationForAnEndIfToldTo) {
  TlsContext context = server_context();
  context.ignore_unexpected_eof(true);
  TlsPair pair(client_options(), context);
  pair.shake_hands();
  pair.client->transport->abort();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.server->error, nullptr);
  EXPECT_EQ(pair.server->calls, (Calls{"made", "eof", "lost"}));
}

TEST(Tls, SaysWhatItIs) {
  TlsContext client = client_context();
  client.alpn_protocols({"h2", "http/1.1"});
  TlsContext server = server_context();
  server.alpn_protocols({"http/1.1"});
  TlsPair pair(client_options(client), server);
  pair.shake_hands();
  const TlsInfo mine = tls_info(*pair.client->transport);
  EXPECT_EQ(mine.version, "TLSv1.3");
  EXPECT_EQ(mine.cipher, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(mine.selected_alpn_protocol, "http/1.1");
  EXPECT_EQ(mine.peer_certificate.subject, "CN=localhost");
  EXPECT_EQ(mine.peer_certificate.issuer, "CN=rondo's test authority");
  EXPECT_EQ(mine.peer_certificate.subject_alt_names,
            (Calls{"DNS:localhost", "IP Address:127.0.0.1",
                   "IP Address:0:0:0:0:0:0:0:1"}));
  EXPECT_EQ(mine.peer_certificate.fingerprint.size(), 64u);
  EXPECT_FALSE(mine.peer_certificate.der.empty());
  const TlsInfo theirs = tls_info(*pair.server->transport);
  EXPECT_EQ(theirs.server_name, "localhost");
  EXPECT_EQ(theirs.selected_alpn_protocol, "http/1.1");
  EXPECT_TRUE(theirs.peer_certificate.subject.empty());
  EXPECT_EQ(pair.client->transport->get_extra_info("cipher"), mine.cipher);
  EXPECT_FALSE(pair.client->transport->can_write_eof());
  EXPECT_THROW(pair.client->transport->write_eof(), RuntimeError);
}

TEST(Tls, RefusesAServerThatNobodyKnows) {
  TlsPair pair(client_options(TlsContext::client()));
  pair.shake_hands();
  EXPECT_EQ(describe(pair.connecting.exception()),
            "rondo::CertificateError: TLS handshake with 'localhost': "
            "certificate verify failed: unable to get local issuer "
            "certificate");
  EXPECT_EQ(describe(pair.accepting.exception()),
            "rondo::TlsError: TLS handshake: tlsv1 alert unknown ca");
  EXPECT_EQ(pair.client->calls, Calls());
  EXPECT_EQ(pair.server->calls, Calls());
}

TEST(Tls, AHandshakeThatTakesTooLongIsGivenUp) {
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  auto [mine, silent] = test::connected_pair(kernel);
  const auto protocol = std::make_shared<Recorder>();
  const auto connecting =
      create_connection(
          [protocol] { return protocol; }, std::move(mine),
          ConnectOptions().tls(client_options().handshake_timeout(0.01)))
          .start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return connecting.done(); }));
  EXPECT_EQ(test::errno_of(connecting.exception()), ECONNABORTED);
  EXPECT_EQ(protocol->calls, Calls());
}

TEST(Tls, APeerThatDoesNotAnswerTheCloseIsGivenUp) {
  TlsPair pair(client_options().shutdown_timeout(0.01));
  pair.shake_hands();
  pair.server->transport->pause_reading();
  pair.client->transport->close();
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(describe(pair.client->error),
            "rondo::TimeoutError: TLS shutdown timed out");
}

TEST(Tls, GoesOnWithASession) {
  TlsSession session;
  const TlsContext client = client_context();
  const TlsContext server = server_context();
  {
    TlsPair pair(client_options(client), server);
    pair.shake_hands();
    pair.server->transport->write("x");  // its tickets come first
    ASSERT_TRUE(pair.run_until_received(*pair.client, 1));
    const TlsInfo info = tls_info(*pair.client->transport);
    EXPECT_FALSE(info.session_reused);
    ASSERT_TRUE(info.session);
    session = info.session;
  }
  TlsPair pair(client_options(client).session(session), server);
  pair.shake_hands();
  EXPECT_TRUE(tls_info(*pair.client->transport).session_reused);
  EXPECT_TRUE(tls_info(*pair.server->transport).session_reused);
}

TEST(Tls, KnowsAClientByItsCertificate) {
  const TestCertificates& certificates = TestCertificates::get();
  TlsContext server = server_context();
  server.load_verify_pem(certificates.authority.certificate())
      .verify_mode(VerifyMode::kRequired);
  TlsContext client = client_context();
  client.load_cert_chain_pem(certificates.client.certificate(),
                             certificates.client.key());
  TlsPair pair(client_options(client), server);
  pair.shake_hands();
  EXPECT_EQ(tls_info(*pair.server->transport).peer_certificate.subject,
            "CN=a client");
}

TEST(Tls, RefusesAClientWithoutACertificateIfOneIsRequired) {
  TlsContext server = server_context();
  server.load_verify_pem(TestCertificates::get().authority.certificate())
      .verify_mode(VerifyMode::kRequired);
  TlsPair pair(client_options(), server);
  pair.shake_hands();
  EXPECT_EQ(
      describe(pair.accepting.exception()),
      "rondo::TlsError: TLS handshake: peer did not return a certificate");
  // With TLS 1.3 the client hears of it after its handshake.
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(describe(pair.client->error),
            "rondo::TlsError: TLS read with 'localhost': tlsv13 alert "
            "certificate required");
}

TEST(Tls, PausesReadingWithAllThatWasNotDelivered) {
  TlsPair pair;
  pair.shake_hands();
  pair.server->on_data = [&](std::string_view) {
    pair.server->transport->pause_reading();
  };
  const std::string much(300'000, 'x');
  pair.client->transport->write(much);
  ASSERT_TRUE(pair.run_until_received(*pair.server, 1));
  const std::size_t first = pair.server->received.size();
  run_passes(pair.loop, 20);
  EXPECT_EQ(pair.server->received.size(), first);
  EXPECT_LT(first, much.size());
  int rounds = 0;
  ASSERT_TRUE(run_until(pair.loop, [&] {
    ++rounds;
    pair.server->transport->resume_reading();
    return pair.server->received.size() == much.size();
  }));
  EXPECT_GT(rounds, 2);
}

TEST(Tls, TellsAProtocolToPauseWriting) {
  TlsPair pair;
  pair.shake_hands();
  pair.server->transport->pause_reading();
  for (int i = 0; i < 100; ++i) {
    pair.client->transport->write(std::string(16'384, 'x'));
    run_passes(pair.loop, 1);
  }
  EXPECT_EQ(pair.client->calls, (Calls{"made", "pause"}));
  EXPECT_GT(pair.client->transport->get_write_buffer_size(), 65'536u);
  pair.server->transport->resume_reading();
  ASSERT_TRUE(pair.run_until_received(*pair.server, 1'638'400));
  EXPECT_EQ(pair.client->calls, (Calls{"made", "pause", "resume"}));
}

TEST(Tls, UpgradesAPlainConnectionInPlace) {
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  auto [a, b] = test::connected_pair(kernel);
  const auto client = std::make_shared<Recorder>();
  const auto server = std::make_shared<Recorder>();
  const auto ct = test::connect(loop, std::move(a), client);
  const auto st = test::connect(loop, std::move(b), server);
  st->write("in plain ");
  const auto upgrading_server =
      start_tls(st, server, server_context()).start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return client->received == "in plain "; }));
  const auto upgrading_client =
      start_tls(ct, client, client_options()).start(loop);
  ASSERT_TRUE(run_until(loop, [&] {
    return upgrading_client.done() && upgrading_server.done();
  }));
  const std::shared_ptr<Transport> secure = upgrading_server.result();
  secure->write("and in secret");
  ASSERT_TRUE(run_until(
      loop, [&] { return client->received == "in plain and in secret"; }));
  EXPECT_EQ(client->calls, (Calls{"made", "data", "data"}));
  upgrading_client.result()->close();
  ASSERT_TRUE(
      run_until(loop, [&] { return client->losses + server->losses == 2; }));
  EXPECT_EQ(client->error, nullptr);
  EXPECT_EQ(server->error, nullptr);
  loop.close();
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

TEST(Tls, RunsInsideTls) {
  TlsPair pair;
  pair.shake_hands();
  const auto inner_client = std::make_shared<Recorder>();
  const auto inner_server = std::make_shared<Recorder>();
  const auto c = start_tls(pair.connecting.result().transport, inner_client,
                           client_options())
                     .start(pair.loop);
  const auto s = start_tls(pair.accepting.result().transport, inner_server,
                           server_context())
                     .start(pair.loop);
  ASSERT_TRUE(run_until(pair.loop, [&] { return c.done() && s.done(); }));
  c.result()->write("twice");
  ASSERT_TRUE(pair.run_until_received(*inner_server, 5));
  EXPECT_EQ(inner_server->received, "twice");
  c.result()->close();
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return inner_client->losses == 1 && inner_server->losses == 1;
  }));
  EXPECT_EQ(inner_client->error, nullptr);
  EXPECT_EQ(inner_server->error, nullptr);
}

TEST(Tls, RefusesContextsOfTheOtherSide) {
  const auto factory = [] { return std::make_shared<Recorder>(); };
  EXPECT_THROW(
      static_cast<void>(create_server(
          factory, "127.0.0.1", 0, ServerOptions().tls(TlsContext::client()))),
      std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(create_connection(
          factory, "localhost", 1, ConnectOptions().tls(server_context()))),
      std::invalid_argument);
}

TEST(Tls, WantsAHostNameToCheck) {
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  auto [mine, theirs] = test::connected_pair(kernel);
  const auto protocol = std::make_shared<Recorder>();
  auto connecting =
      create_connection([protocol] { return protocol; }, std::move(mine),
                        ConnectOptions().tls(client_context()))
          .start(loop);
  ASSERT_TRUE(run_until(loop, [&] { return connecting.done(); }));
  EXPECT_EQ(describe(connecting.exception()),
            "std::invalid_argument: TLS: no server_hostname, which the context "
            "wants to check");
}

}  // namespace
}  // namespace rondo
