// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/pipe.h"
#include "test/net/transport_pair.h"

namespace rondo::test {

/// A pipe of `kernel`; both ends block, as a program's do.
inline std::pair<UniqueFd, UniqueFd> pipe_of(Kernel& kernel) {
  int both[2];
  EXPECT_EQ(kernel.pipe(both), 0);
  return {UniqueFd(both[0], kernel), UniqueFd(both[1], kernel)};
}

/// What both pairs have: at the end nothing is left open, nothing was closed
/// twice, nobody is kept, and nothing is watched.
struct PipeBase {
  explicit PipeBase(std::shared_ptr<Recorder> p) : protocol(std::move(p)) {}
  ~PipeBase() {
    peer.reset();
    transport.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(protocol.use_count(), 1);
  }
  ProtocolFactory factory() {
    return [this] { return protocol; };
  }
  /// Runs until connection_lost() was called.
  bool run_to_end() {
    return run_until(loop, [&] { return protocol->losses > 0; });
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol;
  std::shared_ptr<Transport> transport;
  UniqueFd peer;
};

/// A transport on the reading end of a pipe. The test writes at the other.
struct ReadPipe : PipeBase {
  explicit ReadPipe(std::shared_ptr<Recorder> p = std::make_shared<Recorder>())
      : PipeBase(std::move(p)) {
    auto [mine, theirs] = pipe_of(kernel);
    peer = std::move(theirs);
    transport =
        finish(loop, connect_read_pipe(factory(), std::move(mine))).transport;
  }
};

/// A transport on the writing end of a pipe. The test reads at the other.
struct WritePipe : PipeBase {
  explicit WritePipe(std::shared_ptr<Recorder> p = std::make_shared<Recorder>())
      : PipeBase(std::move(p)) {
    auto [theirs, mine] = pipe_of(kernel);
    kernel.set_blocking(theirs.get(), false);
    peer = std::move(theirs);
    transport =
        finish(loop, connect_write_pipe(factory(), std::move(mine))).transport;
  }
  /// Runs until the reader has got `size` bytes.
  std::string read(std::size_t size) {
    std::string text;
    EXPECT_TRUE(run_until(loop, [&] {
      text += read_text(peer.get());
      return text.size() >= size;
    }));
    return text;
  }
  /// Writes until the kernel takes no more, and `more` bytes behind that.
  void fill_up(std::size_t more) {
    transport->set_write_buffer_limits(std::size_t{1} << 30);
    const std::string piece(64 * 1024, 'x');
    while (!transport->is_closing() &&
           transport->get_write_buffer_size() == 0) {
      transport->write(piece);
      filled += piece.size();
    }
    transport->write(std::string(more, 'y'));
    filled += more;
    if (transport->is_closing()) return;
    transport->set_write_buffer_limits();
  }

  std::size_t filled = 0;
};

}  // namespace rondo::test
