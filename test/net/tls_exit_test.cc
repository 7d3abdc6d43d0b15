// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "test/net/tls_raw_peer.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"

// What is left over when a callback of a TLS connection leaves the loop, and
// more comes before the loop has come back to it.

namespace rondo {
namespace {

using test::BufferedRecorder;
using test::RawPair;

/// The protocol leaves the loop, twice, with records that were not decrypted;
/// then `more` arrives.
struct Left {
  explicit Left(std::size_t more)
      : pair(true, test::shared_client_context(), test::server_context(),
             protocol) {
    pair.shake_hands();
    run_passes(pair.loop, 3);
    protocol->on_data = [this](std::string_view) {
      if (exits-- > 0) throw SystemExit(3);
    };
    for (const char* record : {"one ", "two ", "three "}) send(record);
    pair.peer->flush();
    leave();
    send(std::string(more, 'x'));
    pair.peer->flush();
    // The loop first goes on with what was left.
    leave();
  }
  void send(std::string_view text) {
    pair.peer->write(text);
    sent += text;
  }
  void leave() {
    EXPECT_THROW(run_until(pair.loop, [] { return false; }), SystemExit);
  }

  std::shared_ptr<BufferedRecorder> protocol =
      std::make_shared<BufferedRecorder>();
  int exits = 2;
  std::string sent;
  RawPair pair;
};

TEST(TlsExit, LosesNothingOfWhatComesMeanwhile) {
  Left left(10'000);
  EXPECT_TRUE(run_until(left.pair.loop, [&] {
    return left.protocol->received.size() >= left.sent.size();
  }));
  EXPECT_EQ(left.protocol->received, left.sent);
  EXPECT_EQ(left.protocol->losses, 0);
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
TEST(TlsExit, WithoutMemoryForWhatComesMeanwhileTheConnectionEnds) {
  Left left(10'000);
  {
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kOnce);
    left.pair.loop.run_ready();
    EXPECT_TRUE(failing.fired());
  }
  ASSERT_TRUE(
      run_until(left.pair.loop, [&] { return left.protocol->losses > 0; }));
  EXPECT_EQ(describe(left.protocol->error), "std::bad_alloc: std::bad_alloc");
}
#endif

TEST(TlsTransport, HasTheNameOfItsSocket) {
  RawPair pair;
  pair.shake_hands();
  Transport& transport = *pair.connecting.result().transport;
  EXPECT_EQ(transport.sockname().family(), AF_UNIX);
}

TEST(TlsTransport, SaysWhyItFailsInDebugMode) {
  const LogCapture log;
  RawPair pair(true, TlsContext::client());  // who does not trust the server
  pair.loop.set_debug(true);
  ASSERT_TRUE(pair.run([&] { return pair.has_ended(); }));
  const auto lines = log.lines();
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const auto& line) {
    return line.starts_with("debug: <") &&
           line.find("certificate verify failed") != std::string::npos;
  }));
}

}  // namespace
}  // namespace rondo
