// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "net/server.h"
#include "net/streams.h"
#include "net/tls/start_tls.h"
#include "test/net/stream_pair.h"
#include "test/net/tls_pair.h"

// TLS as users meet it: servers, streams, start_tls() in the middle of a
// conversation, and the files of a context.

namespace rondo {
namespace {

using test::Calls;
using test::CertificateWish;
using test::client_context;
using test::client_options;
using test::connected_pair;
using test::Identity;
using test::Recorder;
using test::server_context;
using test::TestCertificates;
using test::thrown_by;

// -- servers ------------------------------------------------------------------

/// A TLS server by TCP, and clients of it, on one loop.
struct Served {
  explicit Served(TlsOptions tls = server_context()) {
    server = test::finish(
        loop, create_server(
                  [this] {
                    servers.push_back(std::make_shared<Recorder>());
                    return servers.back();
                  },
                  "127.0.0.1", 0, ServerOptions().tls(std::move(tls))));
  }
  ~Served() {
    server.close();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  std::shared_ptr<Recorder> connect(const TlsOptions& tls = client_context()) {
    auto client = std::make_shared<Recorder>();
    const std::uint16_t port = server.sockets().at(0).getsockname().port();
    test::finish(
        loop, create_connection([client] { return client; }, "127.0.0.1", port,
                                ConnectOptions().tls(tls)));
    return client;
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::vector<std::shared_ptr<Recorder>> servers;
  Server server;
};

TEST(TlsServer, IsCheckedForTheAddressThatWasConnectedTo) {
  Served served;
  const auto client = served.connect();
  EXPECT_EQ(tls_info(*client->transport).peer_certificate.subject,
            "CN=localhost");
  EXPECT_EQ(client->transport->peername().port(),
            served.server.sockets().at(0).getsockname().port());
  EXPECT_GE(client->transport->fd(), 0);
}

TEST(TlsServer, CloseClientsSaysGoodbye) {
  Served served;
  const auto a = served.connect();
  const auto b = served.connect();
  ASSERT_TRUE(run_until(served.loop, [&] {
    return served.servers.size() == 2 &&
           served.servers[1]->transport != nullptr;
  }));
  served.server.close();
  const Future<void> closed = served.server.wait_closed();
  served.server.close_clients();
  EXPECT_FALSE(closed.done());
  ASSERT_TRUE(run_until(served.loop, [&] {
    return closed.done() && a->losses + b->losses == 2;
  }));
  for (const auto& client : {a, b}) {
    EXPECT_EQ(client->calls, (Calls{"made", "eof", "lost"}));
    EXPECT_EQ(client->error, nullptr);
  }
  for (const auto& each : served.servers) {
    EXPECT_EQ(each->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(each->error, nullptr);
  }
}

TEST(TlsServer, AbortClientsSaysNothing) {
  Served served;
  const auto client = served.connect();
  ASSERT_TRUE(run_until(
      served.loop, [&] { return served.servers.at(0)->transport != nullptr; }));
  served.server.close();
  served.server.abort_clients();
  const Future<void> closed = served.server.wait_closed();
  ASSERT_TRUE(run_until(served.loop,
                        [&] { return closed.done() && client->losses == 1; }));
  EXPECT_EQ(client->calls, (Calls{"made", "lost"}));
  EXPECT_NE(client->error, nullptr);
}

// Clients that have not said a word yet end, too.
TEST(TlsServer, WaitsForConnectionsInTheirHandshake) {
  for (const bool aborts : {false, true}) {
    Served served;
    const auto silent = std::make_shared<Recorder>();
    test::finish(
        served.loop,
        create_connection([silent] { return silent; }, "127.0.0.1",
                          served.server.sockets().at(0).getsockname().port()));
    ASSERT_TRUE(run_until(served.loop,
                          [&] { return served.server.client_count() == 1; }));
    served.server.close();
    const Future<void> closed = served.server.wait_closed();
    run_passes(served.loop, 3);
    EXPECT_FALSE(closed.done());
    aborts ? served.server.abort_clients() : served.server.close_clients();
    ASSERT_TRUE(run_until(served.loop, [&] { return closed.done(); }));
    EXPECT_EQ(served.servers.at(0)->calls, Calls());  // never made, never lost
    silent->transport->abort();
    run_passes(served.loop, 3);
  }
}

TEST(TlsServer, AHandshakeThatFailsIsNobodysFault) {
  Served served;
  const auto plain = std::make_shared<Recorder>();
  test::finish(
      served.loop,
      create_connection([plain] { return plain; }, "127.0.0.1",
                        served.server.sockets().at(0).getsockname().port()));
  plain->transport->write("no TLS at all");
  ASSERT_TRUE(run_until(served.loop, [&] { return plain->losses == 1; }));
  EXPECT_EQ(served.server.client_count(), 0u);
  EXPECT_EQ(served.reports.messages, Calls());
  EXPECT_EQ(served.servers.at(0)->calls, Calls());
  const auto client = served.connect();  // it goes on
  EXPECT_EQ(client->calls, Calls{"made"});
}

// -- transports ---------------------------------------------------------------

TEST(TlsTransports, CanBeCappedAndMeasured) {
  test::TlsPair pair;
  pair.shake_hands();
  Transport& transport = *pair.client->transport;
  transport.set_write_buffer_limits(std::nullopt, 1000);
  EXPECT_EQ(transport.get_write_buffer_limits().high, 4000u);
  transport.set_write_buffer_cap(1'000'000);
  pair.server->transport->pause_reading();
  for (int i = 0; i < 200 && !transport.is_closing(); ++i) {
    transport.write(std::string(100'000, 'x'));
    EXPECT_LE(transport.get_write_buffer_size(), 1'000'000u);
  }
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(test::errno_of(pair.client->error), ENOBUFS);
}

// What pause_writing() writes comes behind the write that it is called from.
TEST(TlsTransports, KeepTheOrderOfWhatEveryCallbackWrites) {
  test::TlsPair pair;
  pair.shake_hands();
  pair.kernel.shorten(KernelCall::kSend, 10'000);
  Recorder& client = *pair.client;
  client.on_pause = [&] { client.transport->write("|paused|"); };
  client.on_resume = [&] { client.transport->write("|resumed|"); };
  const std::string large(1'000'000, 'x');
  client.transport->write(large);
  client.transport->write("|tail|");
  ASSERT_TRUE(pair.run_until_received(*pair.server, large.size() + 23));
  EXPECT_TRUE(pair.server->received == large + "|paused||tail||resumed|")
      << pair.server->received.substr(large.size());
}

TEST(TlsTransports, GiveTheirBytesToTheProtocolThatIsSetInDataReceived) {
  test::TlsPair pair;
  pair.shake_hands();
  const auto buffered = std::make_shared<test::BufferedRecorder>();
  pair.server->on_data = [&](std::string_view) {
    buffered->transport = pair.server->transport;
    pair.server->transport->set_protocol(buffered);
  };
  const std::string text(200'000, 'x');
  pair.client->transport->write(text);
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return pair.server->received.size() + buffered->received.size() ==
           text.size();
  }));
  EXPECT_EQ(pair.server->calls, (Calls{"made", "data"}));
  EXPECT_EQ(pair.connecting.result().transport->get_protocol(), pair.client);
  pair.client->transport->close();
  ASSERT_TRUE(run_until(pair.loop, [&] { return buffered->losses == 1; }));
  EXPECT_EQ(pair.server->losses, 0);
  EXPECT_THROW(pair.client->transport->set_protocol(nullptr),
               std::invalid_argument);
  pair.server->losses = 1;
}

TEST(TlsTransports, AreOfNoUseOnceTheyHaveEnded) {
  test::TlsPair pair;
  pair.shake_hands();
  const std::shared_ptr<Transport> transport =
      pair.connecting.result().transport;
  transport->close();
  ASSERT_TRUE(pair.run_to_end());
  for (int i = 0; i < 7; ++i) transport->write("nobody reads this");
  transport->close();
  transport->abort();
  transport->pause_reading();
  transport->resume_reading();
  transport->set_protocol(pair.client);
  EXPECT_EQ(transport->get_write_buffer_size(), 0u);
  EXPECT_TRUE(transport->is_closing());
  EXPECT_FALSE(transport->is_reading());
  EXPECT_EQ(transport->get_protocol(), nullptr);
  EXPECT_EQ(tls_info(*transport).version, "TLSv1.3");
  EXPECT_EQ(transport->get_extra_info("nothing", "else"), "else");
  EXPECT_EQ(transport->get_extra_info("peercert"), "CN=localhost");
  EXPECT_TRUE(to_string(*transport).starts_with("<_SSLProtocolTransport over"));
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.client->losses, 1);
}

TEST(TlsTransports, ThatArePlainHaveNoTlsInfo) {
  test::TransportPair pair;
  EXPECT_THROW(tls_info(*pair.transport), std::invalid_argument);
}

// -- start_tls() --------------------------------------------------------------

/// Two plain transports that are to be encrypted.
struct Upgrade {
  Upgrade() {
    auto [a, b] = connected_pair(kernel);
    client_side = test::connect(loop, std::move(a), client);
    server_side = test::connect(loop, std::move(b), server);
  }
  ~Upgrade() {
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> client = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> server = std::make_shared<Recorder>();
  std::shared_ptr<Transport> client_side;
  std::shared_ptr<Transport> server_side;
};

TEST(StartTls, CancelledAtAnyStepAbortsTheConnection) {
  for (int passes = 0; passes < 30; ++passes) {
    SCOPED_TRACE(passes);
    Upgrade u;
    auto c = start_tls(u.client_side, u.client, client_options()).start(u.loop);
    auto s = start_tls(u.server_side, u.server, server_context()).start(u.loop);
    run_passes(u.loop, passes);
    const bool was_done = c.done();
    c.cancel();
    ASSERT_TRUE(run_until(u.loop, [&] { return c.done(); }));
    EXPECT_EQ(c.cancelled(), !was_done);
    if (was_done) {
      EXPECT_GT(passes, 3);
      c.result()->close();
    }
    ASSERT_TRUE(run_until(u.loop, [&] {
      return s.done() && u.client->losses == 1 && u.server->losses == 1;
    }));
    if (!s.cancelled()) s.exception();
    if (was_done) break;
  }
}

TEST(StartTls, ThatFailsEndsTheConnection) {
  Upgrade u;
  auto c =
      start_tls(u.client_side, u.client, client_options(TlsContext::client()))
          .start(u.loop);
  auto s = start_tls(u.server_side, u.server, server_context()).start(u.loop);
  ASSERT_TRUE(run_until(u.loop, [&] {
    return c.done() && s.done() && u.client->losses == 1 &&
           u.server->losses == 1;
  }));
  EXPECT_TRUE(describe(c.exception()).starts_with("rondo::CertificateError: "));
  EXPECT_EQ(describe(s.exception()),
            "rondo::TlsError: TLS handshake: tlsv1 alert unknown ca");
  EXPECT_EQ(describe(u.client->error), describe(c.exception()));
}

TEST(StartTls, RefusesWhatCannotBeUpgraded) {
  Upgrade u;
  EXPECT_TRUE(thrown_by([&] {
                static_cast<void>(
                    start_tls(nullptr, u.client, client_options()));
              }).starts_with("std::invalid_argument"));
  EXPECT_EQ(
      thrown_by([&] {
        static_cast<void>(start_tls(u.client_side, u.client, TlsOptions()));
      }),
      "std::invalid_argument: start_tls: no context");
  EXPECT_TRUE(thrown_by([&] {
                test::finish(u.loop, start_tls(u.client_side, u.client,
                                               client_context()));
              }).starts_with("std::invalid_argument: TLS: no server_hostname"));
  EXPECT_TRUE(thrown_by([&] {
                test::finish(u.loop, start_tls(u.client_side, nullptr,
                                               client_options()));
              }).starts_with("std::invalid_argument: set_protocol"));
  EXPECT_FALSE(u.client_side->is_closing());  // nothing has happened yet
  u.client_side->close();
  EXPECT_TRUE(thrown_by([&] {
                test::finish(u.loop, start_tls(u.client_side, u.client,
                                               client_options()));
              }).starts_with("rondo::RuntimeError: start_tls: "));
}

// A protocol that was told to pause before the upgrade is told to go on.
TEST(StartTls, KeepsThePressureThatThereWas) {
  Upgrade u;
  u.client_side->set_write_buffer_limits(1000, 100);
  u.server_side->pause_reading();
  while (u.client->calls.back() != "pause") {
    u.client_side->write(std::string(100'000, 'x'));
  }
  auto c = start_tls(u.client_side, u.client, client_options()).start(u.loop);
  std::size_t plain = 0;
  run_passes(u.loop, 3);
  EXPECT_EQ(u.client->calls, (Calls{"made", "pause"}));
  u.server->on_data = [&](std::string_view data) {
    // Where the plain text ends the handshake begins.
    plain = u.server->received.find_first_not_of('x');
    static_cast<void>(data);
  };
  u.server_side->resume_reading();
  ASSERT_TRUE(run_until(u.loop, [&] {
    return u.client->calls == Calls({"made", "pause", "resume"});
  }));
  u.client_side->abort();
  ASSERT_TRUE(run_until(u.loop, [&] { return c.done(); }));
  EXPECT_NE(c.exception(), nullptr);
}

// -- streams ------------------------------------------------------------------

TEST(TlsStreams, ALineThereAndBack) {
  std::string heard;
  const auto handler = [&heard](StreamReader reader,
                                StreamWriter writer) -> Coro<> {
    heard = co_await reader.readline();
    co_await writer.write("echo " + heard);
    const std::string rest = co_await reader.read();
    heard += rest;
    writer.close();
    co_await writer.wait_closed();
  };
  const auto client = [](Server server) -> Coro<std::string> {
    const std::uint16_t port = server.sockets().at(0).getsockname().port();
    const TlsOptions tls = client_options();
    auto opening =
        open_connection("127.0.0.1", port, ConnectOptions().tls(tls));
    const Streams streams = co_await opening;
    co_await streams.writer.write("hello\n");
    std::string line = co_await streams.reader.readline();
    streams.writer.close();
    co_await streams.writer.wait_closed();
    co_return line;
  };
  const auto all = [&]() -> Coro<std::string> {
    const TlsOptions tls = server_context();
    auto starting =
        start_server(handler, "127.0.0.1", 0, ServerOptions().tls(tls));
    const Server server = co_await starting;
    auto talking = client(server);
    std::string line = co_await talking;
    server.close();
    co_await server.wait_closed();
    co_return line;
  };
  EXPECT_EQ(run(all()), "echo hello\n");
  EXPECT_EQ(heard, "hello\n");
}

/// A server that speaks of encryption as SMTP does, and what it heard.
struct StartTlsServer {
  Coro<> operator()(StreamReader reader, StreamWriter writer) {
    for (;;) {
      const std::string line = co_await reader.readline();
      if (line.empty()) break;
      heard.push_back(line);
      if (line != "STARTTLS\n") {
        co_await writer.write("got " + line);
        continue;
      }
      try {
        const TlsOptions tls = server_context();
        // What is written after this word is encrypted.
        auto upgrading = writer.start_tls(tls);
        writer.write("go ahead\n");
        co_await upgrading;
        heard.push_back(tls_info(writer.transport()).version);
      } catch (...) {
        heard.push_back(describe(std::current_exception()));
        break;
      }
    }
    writer.close();
  }
  Calls heard;
};

Calls talk_to(StartTlsServer& state,
              const std::function<Coro<Calls>(Streams)>& client) {
  const auto all = [&]() -> Coro<Calls> {
    const auto handler = [&state](StreamReader reader, StreamWriter writer) {
      return state(std::move(reader), std::move(writer));
    };
    auto starting = start_server(handler, "127.0.0.1", 0);
    const Server server = co_await starting;
    auto opening = open_connection("127.0.0.1",
                                   server.sockets().at(0).getsockname().port());
    const Streams streams = co_await opening;
    auto talking = client(streams);
    Calls said = co_await talking;
    streams.writer.close();
    server.close();
    co_await server.wait_closed();
    co_return said;
  };
  return run(all());
}

TEST(TlsStreams, AreUpgradedInTheMiddleByBothSides) {
  StartTlsServer server;
  const Calls said = talk_to(server, [](Streams streams) -> Coro<Calls> {
    Calls lines;
    co_await streams.writer.write("EHLO\n");
    lines.push_back(co_await streams.reader.readline());
    co_await streams.writer.write("STARTTLS\n");
    lines.push_back(co_await streams.reader.readline());
    const TlsOptions tls = client_options();
    auto upgrading = streams.writer.start_tls(tls);
    co_await upgrading;
    lines.push_back(tls_info(streams.writer.transport()).version);
    co_await streams.writer.write("EHLO again\n");
    lines.push_back(co_await streams.reader.readline());
    co_return lines;
  });
  EXPECT_EQ(said,
            (Calls{"got EHLO\n", "go ahead\n", "TLSv1.3", "got EHLO again\n"}));
  EXPECT_EQ(server.heard,
            (Calls{"EHLO\n", "STARTTLS\n", "TLSv1.3", "EHLO again\n"}));
}

// CVE-2011-0411: what somebody put behind STARTTLS is not taken for encrypted.
TEST(TlsStreams, PlainTextBehindStartTlsIsAnAttack) {
  StartTlsServer server;
  const Calls said = talk_to(server, [](Streams streams) -> Coro<Calls> {
    Calls lines;
    co_await streams.writer.write("STARTTLS\nEVIL\n");
    std::string all = co_await streams.reader.read();
    lines.push_back(all);
    co_return lines;
  });
  EXPECT_EQ(server.heard,
            (Calls{"STARTTLS\n",
                   "rondo::RuntimeError: start_tls: 5 bytes of plain text came "
                   "before the handshake"}));
  EXPECT_EQ(said, Calls{"go ahead\n"});
}

// The same later: it is part of the handshake then, and that fails.
TEST(TlsStreams, StartTlsDoesNotWaitForAPeerThatHasFinished) {
  StartTlsServer server;
  const Calls said = talk_to(server, [](Streams streams) -> Coro<Calls> {
    Calls lines;
    co_await streams.writer.write("STARTTLS\n");
    streams.writer.write_eof();
    std::string all = co_await streams.reader.read();
    lines.push_back(all);
    co_return lines;
  });
  ASSERT_EQ(server.heard.size(), 2u);
  // Known before the handshake, or in it.
  EXPECT_TRUE(server.heard[1].ends_with("Connection reset by peer"))
      << server.heard[1];
}

TEST(TlsStreams, StartTlsIsRefusedBehindTheEndOfWhatThePeerSays) {
  test::StreamPair pair;
  pair.peer.reset();
  EXPECT_EQ(test::finish(pair.loop, pair.reader.read()), "");
  EXPECT_EQ(test::thrown_by([&] {
              test::finish(pair.loop, pair.writer.start_tls(client_options()));
            }),
            "std::system_error: start_tls: the peer sends no more: Connection "
            "reset by peer");
}

TEST(TlsStreams, PlainTextInTheHandshakeFailsIt) {
  StartTlsServer server;
  const Calls said = talk_to(server, [](Streams streams) -> Coro<Calls> {
    Calls lines;
    co_await streams.writer.write("STARTTLS\n");
    lines.push_back(co_await streams.reader.readline());
    co_await streams.writer.write("EVIL\n");
    // No alert: who speaks plainly would not understand one.
    std::string rest = co_await streams.reader.read();
    lines.push_back(rest);
    co_return lines;
  });
  EXPECT_EQ(said, (Calls{"go ahead\n", ""}));
  ASSERT_EQ(server.heard.size(), 2u);
  EXPECT_EQ(server.heard[1],
            "rondo::TlsError: TLS handshake: wrong version number");
}

// -- the files of a context ---------------------------------------------------

/// A file with `text`, while it lives.
class TextFile {
 public:
  explicit TextFile(const std::string& text) {
    std::snprintf(path_, sizeof path_, "%s/rondo_tls_XXXXXX",
                  ::testing::TempDir().c_str());
    const UniqueFd fd(::mkstemp(path_));
    EXPECT_TRUE(fd);
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  ~TextFile() { ::unlink(path_); }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  std::string path() const { return path_; }

 private:
  char path_[256];
};

TEST(TlsContexts, AreMadeOfFiles) {
  const TestCertificates& all = TestCertificates::get();
  const TextFile certificate(all.server.certificate());
  const TextFile key(all.server.key());
  const TextFile both(all.server.key() + all.server.certificate());
  const TextFile encrypted(all.server.key("open sesame"));
  const TextFile trusted(all.authority.certificate());
  TlsContext client = TlsContext::client();
  client.load_verify_locations(trusted.path());
  TlsContext with_password = TlsContext::server();
  with_password.load_cert_chain(certificate.path(), encrypted.path(),
                                "open sesame");
  for (const TlsContext& server :
       {TlsContext::server(certificate.path(), key.path()),
        TlsContext::server(both.path(), both.path()), with_password}) {
    test::TlsPair pair(client_options(client), server);
    pair.shake_hands();
    EXPECT_EQ(pair.connecting.exception(), nullptr);
  }
}

TEST(TlsContexts, SayWhichFileIsOfNoUse) {
  const TestCertificates& all = TestCertificates::get();
  const TextFile certificate(all.server.certificate());
  const TextFile key(all.server.key());
  const TextFile encrypted(all.server.key("open sesame"));
  const TextFile garbage("nothing of use\n");
  const TextFile broken(all.server.certificate().substr(0, 300));
  const TextFile half(all.server.certificate() +
                      all.authority.certificate().substr(0, 300));
  const TextFile empty("");
  const std::string nowhere = garbage.path() + ".missing";
  const auto loading = [](const std::string& c, const std::string& k,
                          const std::string& password = "") {
    return thrown_by(
        [&] { TlsContext::server().load_cert_chain(c, k, password); });
  };
  EXPECT_EQ(loading(nowhere, key.path()),
            "std::system_error: load_cert_chain '" + nowhere +
                "': No such file or directory");
  EXPECT_EQ(loading(certificate.path(), nowhere),
            "std::system_error: load_cert_chain '" + nowhere +
                "': No such file or directory");
  EXPECT_EQ(loading("/", key.path()),
            "std::system_error: load_cert_chain '/': Is a directory");
  const std::string of_it = "rondo::TlsError: load_cert_chain '";
  EXPECT_EQ(loading(garbage.path(), key.path()),
            of_it + garbage.path() + "': no start line");
  EXPECT_EQ(loading(empty.path(), key.path()),
            of_it + empty.path() + "': no start line");
  EXPECT_TRUE(loading(broken.path(), key.path())
                  .starts_with(of_it + broken.path() + "': bad"));
  EXPECT_TRUE(loading(half.path(), key.path())
                  .starts_with(of_it + half.path() + "': bad"));
  EXPECT_TRUE(loading(certificate.path(), garbage.path())
                  .starts_with(of_it + certificate.path() + "', key: "));
  const TextFile other(all.client.key());
  EXPECT_EQ(loading(certificate.path(), other.path()),
            of_it + certificate.path() + "', key: key values mismatch");
  // Nobody is asked for a password.
  EXPECT_EQ(loading(certificate.path(), encrypted.path()),
            of_it + certificate.path() + "', key: bad password read");
  EXPECT_TRUE(loading(certificate.path(), encrypted.path(), "wrong")
                  .starts_with(of_it + certificate.path() + "', key: "));
  EXPECT_TRUE(
      loading(certificate.path(), encrypted.path(), std::string(5000, 'x'))
          .starts_with(of_it + certificate.path() + "', key: "));
  TlsContext client = TlsContext::client();
  EXPECT_TRUE(thrown_by([&] {
                client.load_verify_locations(garbage.path());
              }).ends_with("': no start line"));
  EXPECT_TRUE(thrown_by([&] {
                client.load_verify_locations(nowhere);
              }).starts_with("std::system_error"));
  EXPECT_TRUE(thrown_by([&] {
                client.load_revocation_lists(garbage.path());
              }).ends_with("': no start line"));
  EXPECT_TRUE(thrown_by([&] {
                client.ciphers("NO-SUCH-CIPHER");
              }).starts_with("rondo::TlsError: ciphers 'NO-SUCH-CIPHER': "));
  EXPECT_THROW(client.alpn_protocols({""}), std::invalid_argument);
  EXPECT_THROW(client.alpn_protocols({std::string(256, 'x')}),
               std::invalid_argument);
  EXPECT_THROW(client.alpn_protocols(
                   std::vector<std::string>(300, std::string(255, 'x'))),
               std::invalid_argument);
}

TEST(TlsContexts, AreAsTheyWereAfterACallThatFails) {
  TlsContext server = server_context();
  const Identity& other = TestCertificates::get().client;
  EXPECT_NE(thrown_by([&] {
              server.load_cert_chain_pem(other.certificate(),
                                         TestCertificates::get().server.key());
            }),
            "nothing");
  test::TlsPair pair(client_options(), server);
  pair.shake_hands();
  EXPECT_EQ(pair.connecting.exception(), nullptr);
}

}  // namespace
}  // namespace rondo
