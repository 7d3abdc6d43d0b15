// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "futures/errors.h"
#include "test/net/tls_raw_peer.h"
#include "test/support/scale.h"

// What becomes of the stream of records: cut at every byte, in pieces of any
// size, with other records between those of the data.

namespace rondo {
namespace {

using test::BufferedRecorder;
using test::Calls;
using test::client_context;
using test::RawPair;
using test::server_context;
using test::shared_client_context;
using test::shared_server_context;
using test::TlsPair;

/// A server's and a client's context of their own for RawPair, made once.
struct Contexts {
  TlsContext client = client_context();
  TlsContext server = server_context();
  TlsContext raw_client = client_context();
  TlsContext raw_server = server_context();
};

const Contexts& contexts(bool ignore_eof = false) {
  static const Contexts strict;
  static const Contexts lax = [] {
    Contexts made;
    made.client.ignore_unexpected_eof(true);
    made.server.ignore_unexpected_eof(true);
    return made;
  }();
  return ignore_eof ? lax : strict;
}

std::unique_ptr<RawPair> raw_pair(bool we_are_client, bool ignore_eof = false) {
  const Contexts& all = contexts(ignore_eof);
  return we_are_client
             ? std::make_unique<RawPair>(true, all.client, all.raw_server)
             : std::make_unique<RawPair>(false, all.server, all.raw_client);
}

class TlsOfBothSides : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Sides, TlsOfBothSides, ::testing::Bool(),
                         [](const auto& side) {
                           return side.param ? std::string("Client")
                                             : std::string("Server");
                         });

// -- cut ----------------------------------------------------------------------

// The peer says two records and its end; the line is cut behind each byte.
TEST_P(TlsOfBothSides, ACutAfterTheHandshakeIsAnErrorWhereverItIs) {
  for (const bool ignore : {false, true}) {
    std::size_t all = 1;
    const std::size_t stride = test::scaled(20) == 20 ? 1 : 7;
    for (std::size_t cut = 0; cut <= all;
         cut += cut + stride > all && cut < all ? all - cut : stride) {
      SCOPED_TRACE(cut);
      const auto pair = raw_pair(GetParam(), ignore);
      pair->shake_hands();
      pair->passes(2);  // tickets
      ASSERT_EQ(pair->peer->pending, "");
      const std::size_t before = pair->peer->sent;
      pair->peer->allowed = before;
      pair->peer->write("one");
      pair->peer->write("two");
      pair->peer->shut_down();
      pair->peer->flush();
      all = pair->peer->pending.size();
      pair->peer->allowed = before + cut;
      pair->peer->flush();
      pair->peer->drop();
      ASSERT_TRUE(run_until(pair->loop, [&] { return pair->has_ended(); }));
      EXPECT_TRUE(std::string("onetwo").starts_with(pair->protocol->received));
      EXPECT_EQ(pair->protocol->losses, 1);
      EXPECT_EQ(pair->reports.messages, Calls());
      const bool heard_end = std::count(pair->protocol->calls.begin(),
                                        pair->protocol->calls.end(), "eof") > 0;
      if (cut == all || ignore) {
        EXPECT_EQ(describe(pair->error()), "no exception") << cut;
        EXPECT_TRUE(heard_end);
      } else {
        EXPECT_EQ(
            describe(pair->error()),
            "rondo::TlsError: TLS read: EOF occurred in violation of protocol");
        EXPECT_FALSE(heard_end);
      }
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
    EXPECT_GT(all, 60u);
  }
}

TEST_P(TlsOfBothSides, ACutInTheHandshakeFailsItWhereverItIs) {
  std::size_t all = 0;
  {
    const auto pair = raw_pair(GetParam());
    ASSERT_TRUE(pair->run([&] { return pair->connecting.done(); }));
    all = pair->peer->sent;
    // A server sends its tickets behind it.
    if (GetParam()) all -= std::min<std::size_t>(all, 600);
  }
  ASSERT_GT(all, 250u);
  const std::size_t stride = test::scaled(20) == 20 ? 1 : 41;
  for (std::size_t cut = 0; cut < all; cut += stride) {
    SCOPED_TRACE(cut);
    for (const bool ignore : {false, true}) {
      const auto pair = raw_pair(GetParam(), ignore);
      pair->peer->allowed = cut;
      ASSERT_TRUE(pair->run([&] {
        if (pair->peer->sent == cut && !pair->peer->pending.empty()) {
          pair->peer->drop();
        }
        return pair->connecting.done();
      }));
      EXPECT_EQ(test::errno_of(pair->connecting.exception()), ECONNRESET)
          << describe(pair->connecting.exception());
      EXPECT_EQ(pair->protocol->calls, Calls());
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

// -- in pieces ----------------------------------------------------------------

struct Conversation {
  std::string to_server;
  std::string to_client;
  Calls client;
  Calls server;
  bool operator==(const Conversation&) const = default;
};

/// Without how often "data" was called: what counts is the order.
Calls order_of(const Calls& calls) {
  Calls order;
  for (const std::string& call : calls) {
    if (order.empty() || call != "data" || order.back() != "data") {
      order.push_back(call);
    }
  }
  return order;
}

Conversation converse(std::size_t recv_bytes, std::size_t send_bytes,
                      std::size_t size) {
  TlsPair pair(test::client_options(shared_client_context()),
               shared_server_context());
  pair.kernel.shorten(KernelCall::kRecv, recv_bytes);
  pair.kernel.shorten(KernelCall::kSend, send_bytes);
  pair.shake_hands();
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  pair.server->on_data = [&](std::string_view data) {
    pair.server->transport->write(data);
  };
  pair.client->on_data = [&](std::string_view) {
    if (pair.client->received.size() == text.size()) {
      pair.client->transport->close();
    }
  };
  for (std::size_t at = 0; at < text.size(); at += 1000) {
    pair.client->transport->write(text.substr(at, 1000));
  }
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(describe(pair.client->error), "no exception");
  EXPECT_EQ(describe(pair.server->error), "no exception");
  EXPECT_EQ(pair.client->received, text);
  return {pair.server->received, pair.client->received,
          order_of(pair.client->calls), order_of(pair.server->calls)};
}

TEST(TlsStream, PiecesOfAnySizeGiveTheSameConversation) {
  const std::size_t size = test::scaled(20) == 20 ? 5000 : 500;
  const Conversation whole = converse(0, 0, size);
  EXPECT_EQ(whole.client, (Calls{"made", "data", "lost"}));
  EXPECT_EQ(whole.server, (Calls{"made", "data", "eof", "lost"}));
  for (const std::size_t bytes : {1u, 2u, 3u, 5u, 7u, 21u, 64u, 1000u}) {
    EXPECT_EQ(converse(bytes, 0, size), whole) << bytes;
    EXPECT_EQ(converse(0, bytes, size), whole) << bytes;
    EXPECT_EQ(converse(bytes, bytes, size), whole) << bytes;
  }
}

// A read that ends at each byte of a record, and one that holds them all.
TEST_P(TlsOfBothSides, EverySplitOfTheRecordsGivesTheSameBytes) {
  std::size_t all = 2;
  for (std::size_t split = 1; split < all; ++split) {
    const auto pair = raw_pair(GetParam());
    pair->shake_hands();
    pair->passes(2);
    const std::size_t before = pair->peer->sent;
    pair->peer->allowed = before;
    for (int i = 0; i < 5; ++i) pair->peer->write(std::to_string(i));
    pair->peer->flush();
    all = pair->peer->pending.size();
    pair->peer->allowed = before + split;
    pair->peer->flush();
    run_passes(pair->loop, 2);
    pair->peer->allowed = std::string::npos;
    pair->peer->flush();
    ASSERT_TRUE(run_until(
        pair->loop, [&] { return pair->protocol->received.size() == 5; }));
    EXPECT_EQ(pair->protocol->received, "01234");
    if (test::scaled(20) != 20) split += 5;
  }
}

TEST_P(TlsOfBothSides, ManyRecordsOfOneReadAreOneCall) {
  const auto pair = raw_pair(GetParam());
  pair->shake_hands();
  pair->passes(2);
  for (int i = 0; i < 100; ++i) pair->peer->write("x");
  pair->peer->flush();
  ASSERT_TRUE(run_until(
      pair->loop, [&] { return pair->protocol->received.size() == 100; }));
  EXPECT_EQ(pair->protocol->calls, (Calls{"made", "data"}));
}

TEST(TlsStream, ABufferedProtocolGetsTheSameBytesInItsOwnBuffer) {
  const auto buffered = std::make_shared<BufferedRecorder>();
  RawPair pair(true, TlsContext(), TlsContext(), buffered);
  pair.shake_hands();
  buffered->on_data = [&](std::string_view) {
    if (buffered->received.size() == 8) buffered->transport->pause_reading();
  };
  pair.peer->write("0123456789");
  pair.peer->write("abcdef");
  pair.peer->shut_down();
  pair.passes(5);
  EXPECT_EQ(buffered->received, "01234567");
  buffered->transport->resume_reading();
  ASSERT_TRUE(pair.run([&] { return buffered->losses > 0; }));
  EXPECT_EQ(buffered->received, "0123456789abcdef");
  EXPECT_EQ(describe(buffered->error), "no exception");
  for (const std::size_t hint : buffered->hints) EXPECT_GT(hint, 0u);
  EXPECT_EQ(buffered->calls, (Calls{"made", "data", "data", "data", "data",
                                    "data", "eof", "lost"}));
}

TEST(TlsStream, WhatABufferedProtocolThrowsEndsTheConnection) {
  for (const int where : {0, 1, 2}) {
    const auto buffered = std::make_shared<BufferedRecorder>();
    if (where == 0) buffered->on_get = [] { throw std::runtime_error("boom"); };
    if (where == 1) buffered->size = 0;
    if (where == 2) {
      buffered->on_data = [](std::string_view) {
        throw std::runtime_error("boom");
      };
    }
    RawPair pair(true, TlsContext(), TlsContext(), buffered);
    pair.shake_hands();
    pair.peer->write("x");
    ASSERT_TRUE(pair.run([&] { return buffered->losses > 0; }));
    EXPECT_EQ(describe(buffered->error),
              where == 1 ? "rondo::RuntimeError: get_buffer() returned an "
                           "empty buffer"
                         : "std::runtime_error: boom");
    EXPECT_EQ(
        pair.reports.messages,
        Calls{where == 2 ? "Fatal error: protocol.buffer_updated() call failed."
                         : "Fatal error: protocol.get_buffer() call failed."});
  }
}

// -- other records ------------------------------------------------------------

TEST_P(TlsOfBothSides, RecordsWithoutDataAreNotData) {
  const auto pair = raw_pair(GetParam());
  pair->shake_hands();
  pair->passes(2);
  for (int i = 0; i < 20; ++i) {
    // OpenSSL sends empty records with this call only.
    std::size_t size = 0;
    SSL_write_ex(pair->peer->ssl(), "", 0, &size);
  }
  pair->peer->write("x");
  ASSERT_TRUE(pair->run([&] { return pair->protocol->received == "x"; }));
  EXPECT_EQ(pair->protocol->calls, (Calls{"made", "data"}));
}

TEST_P(TlsOfBothSides, AnswersAKeyUpdate) {
  const auto pair = raw_pair(GetParam());
  pair->shake_hands();
  for (int round = 0; round < 10; ++round) {
    pair->protocol->received.clear();
    pair->peer->received.clear();
    ASSERT_EQ(SSL_key_update(pair->peer->ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    pair->peer->write("new keys");
    ASSERT_TRUE(
        pair->run([&] { return pair->protocol->received == "new keys"; }));
    pair->protocol->transport->write("here, too");
    ASSERT_TRUE(pair->run([&] { return pair->peer->received == "here, too"; }));
  }
}

// A peer that asks for new keys for ever and reads none of the answers.
void expect_bounded(RawPair& pair, Transport& transport) {
  pair.peer->is_deaf = true;
  std::size_t most = 0;
  const std::size_t rounds = test::scaled(4000);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < 100; ++i) {
      SSL_key_update(pair.peer->ssl(), SSL_KEY_UPDATE_REQUESTED);
      SSL_do_handshake(pair.peer->ssl());
      pair.peer->flush();
      if (pair.peer->pending.size() > 1'000'000) break;
    }
    run_one_pass(pair.loop);
    most = std::max(most, transport.get_write_buffer_size());
    if (pair.peer->pending.size() > 1'000'000) break;  // nobody takes it
  }
  EXPECT_LT(most, 1'000'000u);
}

TEST_P(TlsOfBothSides, AKeyUpdateFloodThatReadsNoAnswersIsNotReadOn) {
  const auto pair = raw_pair(GetParam());
  pair->shake_hands();
  Transport& transport = *pair->protocol->transport;
  expect_bounded(*pair, transport);
  EXPECT_TRUE(transport.is_reading());
  EXPECT_FALSE(transport.is_closing());
  // It goes on as soon as the peer reads.
  pair->peer->is_deaf = false;
  ASSERT_TRUE(pair->run([&] { return pair->peer->pending.empty(); }));
  pair->peer->write("x");
  ASSERT_TRUE(pair->run([&] { return pair->protocol->received == "x"; }));
}

TEST_P(TlsOfBothSides, ACloseInAKeyUpdateFloodIsBoundedInMemoryAndTime) {
  const Contexts& all = contexts();
  const TlsOptions options = TlsOptions(GetParam() ? all.client : all.server)
                                 .server_hostname("localhost")
                                 .shutdown_timeout(0.2);
  RawPair pair(options, GetParam() ? all.raw_server : all.raw_client);
  pair.shake_hands();
  const std::shared_ptr<Transport> transport =
      pair.connecting.result().transport;
  transport->close();
  expect_bounded(pair, *transport);
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(pair.protocol->losses, 1);
}

// A ticket in several records, of which one only has come so far.
TEST(TlsStream, AWriteInTheMiddleOfAMessageAboutKeysWaitsForItsEnd) {
  for (const bool closes : {false, true}) {
    TlsContext server = server_context();
    RawPair pair(true, TlsContext(), server);
    pair.shake_hands();
    pair.passes(2);
    // A new ticket, as large as a chain of certificates makes it.
    RawPair& p = pair;
    SSL_SESSION* const session = SSL_get_session(p.peer->ssl());
    ASSERT_NE(session, nullptr);
    const std::string data(2000, 't');
    SSL_SESSION_set1_ticket_appdata(session, data.data(), data.size());
    SSL_set_max_send_fragment(p.peer->ssl(), 512);
    ASSERT_EQ(SSL_new_session_ticket(p.peer->ssl()), 1);
    p.peer->allowed = p.peer->sent;
    SSL_do_handshake(p.peer->ssl());
    p.peer->flush();
    ASSERT_GT(p.peer->pending.size(), 1500u);
    p.peer->allowed = p.peer->sent + 800;  // one record, and a part of another
    p.peer->flush();
    run_passes(p.loop, 3);
    p.protocol->transport->write("first ");
    p.protocol->transport->write("second");
    if (closes) p.protocol->transport->close();
    run_passes(p.loop, 3);
    EXPECT_EQ(p.protocol->losses, 0);
    EXPECT_EQ(closes, p.protocol->transport->is_closing());
    EXPECT_GT(p.protocol->transport->get_write_buffer_size(), 0u);
    p.peer->allowed = std::string::npos;
    ASSERT_TRUE(p.run([&] { return p.peer->received == "first second"; }));
    EXPECT_EQ(p.protocol->transport->get_write_buffer_size(), 0u);
    if (!closes) continue;
    p.peer->shut_down();
    ASSERT_TRUE(p.run([&] { return p.protocol->losses > 0; }));
    EXPECT_EQ(describe(p.protocol->error), "no exception");
  }
}

TEST(TlsStream, WhatWaitsForAMessagesEndCountsForTheLimitsAndTheCap) {
  for (const bool capped : {false, true}) {
    RawPair pair;
    pair.shake_hands();
    pair.passes(2);
    SSL_SESSION* const session = SSL_get_session(pair.peer->ssl());
    const std::string data(2000, 't');
    SSL_SESSION_set1_ticket_appdata(session, data.data(), data.size());
    SSL_set_max_send_fragment(pair.peer->ssl(), 512);
    SSL_new_session_ticket(pair.peer->ssl());
    pair.peer->allowed = pair.peer->sent + 800;
    SSL_do_handshake(pair.peer->ssl());
    pair.peer->flush();
    run_passes(pair.loop, 3);
    Transport& transport = *pair.protocol->transport;
    if (capped) transport.set_write_buffer_cap(100'000);
    transport.write(std::string(90'000, 'x'));
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
    transport.write(std::string(90'000, 'y'));
    if (capped) {
      ASSERT_TRUE(
          run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
      EXPECT_EQ(test::errno_of(pair.protocol->error), ENOBUFS);
      continue;
    }
    pair.peer->allowed = std::string::npos;
    ASSERT_TRUE(
        pair.run([&] { return pair.peer->received.size() == 180'000; }));
    EXPECT_EQ(pair.peer->received,
              std::string(90'000, 'x') + std::string(90'000, 'y'));
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
  }
}

// -- TLS 1.2 ------------------------------------------------------------------

TEST_P(TlsOfBothSides, RefusesToRenegotiate) {
  const bool we_are_client = GetParam();
  TlsContext theirs = we_are_client ? server_context() : client_context();
  theirs.maximum_version(TlsVersion::kTls12);
  RawPair pair(we_are_client, TlsContext(), theirs);
  pair.shake_hands();
  EXPECT_STREQ(SSL_get_version(pair.peer->ssl()), "TLSv1.2");
  pair.peer->write("before ");
  ASSERT_TRUE(pair.run([&] { return pair.protocol->received == "before "; }));
  SSL_clear_options(pair.peer->ssl(), SSL_OP_NO_RENEGOTIATION);
  ASSERT_EQ(SSL_renegotiate(pair.peer->ssl()), 1);
  SSL_do_handshake(pair.peer->ssl());
  pair.passes(5);
  // Ours says no, and OpenSSL's will not live with that.
  ASSERT_TRUE(pair.run([&] { return pair.protocol->losses > 0; }));
  EXPECT_FALSE(pair.peer->is_ready());
  EXPECT_TRUE(
      describe(pair.protocol->error).ends_with("alert handshake failure"))
      << describe(pair.protocol->error);
  EXPECT_EQ(pair.protocol->received, "before ");
  EXPECT_EQ(pair.reports.messages, Calls());
}

}  // namespace
}  // namespace rondo
