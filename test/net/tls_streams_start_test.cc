// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <utility>

#include "futures/coro/coro.h"
#include "net/streams.h"
#include "net/tls/start_tls.h"
#include "test/net/stream_pair.h"
#include "test/net/tls_pair.h"
#include "test/net/tls_raw_peer.h"

// A peer may have much to say behind its handshake, in one piece with it.

namespace rondo {
namespace {

using test::RawPeer;
using test::StreamPair;

/// Lets `peer` shake hands. What `speak()` makes it say leaves together with
/// the end of its handshake.
template <class Speak>
void shake_hands(EventLoop& loop, RawPeer& peer, Speak&& speak) {
  for (int n = 0; n < 100 && !peer.is_ready(); ++n) {
    run_passes(loop, 1);
    char memory[16'384];
    ssize_t size;
    while ((size = ::recv(peer.fd(), memory, sizeof memory, MSG_DONTWAIT)) >
           0) {
      BIO_write(SSL_get_rbio(peer.ssl()), memory, static_cast<int>(size));
    }
    peer.work();
    if (peer.is_ready()) speak();
    peer.flush();
  }
  ASSERT_TRUE(peer.is_ready());
}

// Its end is known before open_connection() has given the streams: they are
// not forgotten.
TEST(TlsStreamsStart, AClientSeesWhatAPeerSaidThatHasEndedInItsHandshake) {
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  TlsContext context = test::client_context();
  context.maximum_version(TlsVersion::kTls12);
  auto [mine, theirs] = test::connected_pair(kernel);
  RawPeer peer(test::server_context(), std::move(theirs));
  auto opening =
      open_connection(std::move(mine),
                      ConnectOptions().tls(
                          TlsOptions(context).server_hostname("localhost")))
          .start(loop);
  shake_hands(loop, peer, [&] {
    peer.write("hello");
    peer.shut_down();
  });
  ASSERT_TRUE(run_until(loop, [&] { return opening.done(); }));
  const Streams streams = opening.result();
  EXPECT_FALSE(streams.writer.is_closing());
  EXPECT_EQ(test::finish(loop, streams.reader.read()), "hello");
}

Coro<std::size_t> upgrade_and_count(StreamReader reader, StreamWriter writer,
                                    TlsOptions options, std::size_t size) {
  auto upgrade = writer.start_tls(std::move(options));
  co_await upgrade;
  std::size_t count = 0;
  while (count < size) {
    const std::string data = co_await reader.read(100'000);
    if (data.empty()) break;
    count += data.size();
  }
  co_return count;
}

// Reading is paused below while TLS takes over, and goes on above.
TEST(TlsStreamsStart, MuchBehindTheHandshakeIsReadToItsEnd) {
  for (const std::size_t limit : {std::size_t{1000}, kStreamLimit}) {
    const std::size_t size = 10 * limit;
    StreamPair pair(limit);
    RawPeer peer(test::client_context(), std::move(pair.peer));
    auto counting = create_task(
        pair.loop,
        upgrade_and_count(pair.reader, pair.writer,
                          TlsOptions(test::server_context()), size + 4));
    shake_hands(pair.loop, peer, [&] { peer.write(std::string(size, 'x')); });
    bool said = false;
    ASSERT_TRUE(run_until(pair.loop, [&] {
      if (peer.pending.empty() && !std::exchange(said, true)) {
        peer.write("last");
      }
      peer.flush();
      return counting.done();
    })) << limit;
    EXPECT_EQ(counting.result(), size + 4);
  }
}

}  // namespace
}  // namespace rondo
