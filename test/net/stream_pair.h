// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>

#include "net/streams.h"
#include "reactor/event_loop.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

namespace rondo::test {

/// The streams of one end of a socket pair, on a loop of their own. The test
/// holds the other end.
struct StreamPair {
  explicit StreamPair(std::size_t limit = kStreamLimit,
                      const LoopOptions& options = LoopOptions())
      : loop(options) {
    SocketPair pair;
    peer = std::move(pair.b);
    auto opened =
        open_connection(std::move(pair.a), ConnectOptions(), limit).start(loop);
    EXPECT_TRUE(run_until(loop, [&] { return opened.done(); }));
    const Streams streams = opened.result();
    reader = streams.reader;
    writer = streams.writer;
  }
  /// Writes until the transport has so many bytes more than the kernel takes.
  void fill_up(std::size_t more) const {
    writer.transport().set_write_buffer_limits(std::size_t{1} << 30);
    const std::string piece(64 * 1024, 'x');
    while (writer.transport().get_write_buffer_size() == 0) writer.write(piece);
    writer.write(std::string(more, 'y'));
    writer.transport().set_write_buffer_limits();
  }
  /// Runs until `done()`, reading all that comes at the other end.
  template <class Done>
  bool read_until(Done&& done) {
    return run_until(loop, [&] {
      received += read_text(peer.get());
      return done();
    });
  }

  EventLoop loop;
  Reports reports{loop};
  UniqueFd peer;
  StreamReader reader;
  StreamWriter writer;
  std::string received;
};

}  // namespace rondo::test
