// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/server.h"
#include "net/streams.h"
#include "test/net/load_echo.h"
#include "test/support/scale.h"

// R13: one peer always has data for us, and a hundred others talk. Measured in
// events that the loop serves between a message and its answer, which are the
// same on every machine: a pass is of no certain size.

namespace rondo {
namespace {

using test::finish;
using test::LoadWorld;

constexpr std::size_t kTalkers = 100;
// What one poll reports: who waits for all the others waits for the rest of
// such a batch, too.
constexpr std::uint64_t kBatch = 64;

/// Echoes what is short; counts what is not.
class Sink final : public Protocol {
 public:
  explicit Sink(std::uint64_t& drained) : drained_(drained) {}
  void connection_made(Transport& transport) override {
    transport_ = &transport;
  }
  void data_received(std::string_view data) override {
    if (data.size() <= 4) {
      transport_->write(data);
    } else {
      drained_ += data.size();
    }
  }

 private:
  std::uint64_t& drained_;
  Transport* transport_ = nullptr;
};

struct Fairness : LoadWorld {
  explicit Fairness(const ServerOptions& options = ServerOptions()) {
    listen(create_server([this] { return std::make_shared<Sink>(drained); },
                         "127.0.0.1", 0, options));
    connect(kTalkers);
  }
  UniqueFd connect_one() const {
    UniqueFd socket(
        ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(socket.get(), address.native(), address.native_size());
    return socket;
  }
  /// How many events are served from when a message is sent until its answer
  /// is there, in order, for so many messages. `beside()` is called before each
  /// pass.
  template <class Beside>
  std::vector<std::uint64_t> waits_of(std::size_t messages, Beside&& beside) {
    struct Talk {
      bool is_open = false;
      std::uint64_t began = 0;
    };
    std::vector<Talk> talks(kTalkers);
    std::vector<std::uint64_t> took;
    for (int pass = 0; took.size() < messages && pass < 100'000; ++pass) {
      for (std::size_t n = 0; n < kTalkers; ++n) {
        // They do not all speak at once.
        if (talks[n].is_open || (pass + n) % 3 != 0) continue;
        EXPECT_EQ(::send(clients[n].get(), "ping", 4, 0), 4);
        talks[n] = {true, loop.stats().events};
      }
      beside();
      run_passes(loop, 1);
      for (std::size_t n = 0; n < kTalkers; ++n) {
        char answer[16];
        if (!talks[n].is_open || ::recv(clients[n].get(), answer, sizeof answer,
                                        MSG_DONTWAIT) != 4) {
          continue;
        }
        took.push_back(loop.stats().events - talks[n].began);
        talks[n].is_open = false;
      }
    }
    EXPECT_GE(took.size(), messages);
    std::sort(took.begin(), took.end());
    return took;
  }
  static std::uint64_t p99(const std::vector<std::uint64_t>& sorted) {
    return sorted.at(sorted.size() * 99 / 100);
  }

  std::uint64_t drained = 0;
};

TEST(LoadFairness, AFirehoseDoesNotDelayAHundredTalks) {
  const std::size_t messages = test::scaled(10'000);
  Fairness world;
  const std::uint64_t quiet = Fairness::p99(world.waits_of(messages, [] {}));
  const UniqueFd hose = world.connect_one();
  ASSERT_TRUE(run_until(
      world.loop, [&] { return world.server.client_count() == kTalkers + 1; }));
  const std::string water(std::size_t{1} << 20, 'w');
  std::uint64_t most = 0;
  std::uint64_t passes = 0;
  std::uint64_t before = 0;
  const std::vector<std::uint64_t> loud = world.waits_of(messages, [&] {
    while (::send(hose.get(), water.data(), water.size(), MSG_NOSIGNAL) > 0) {
    }
    ++passes;
    most = std::max(most, world.drained - before);
    before = world.drained;
  });
  EXPECT_LE(quiet, kTalkers);
  EXPECT_LE(Fairness::p99(loud), kTalkers + kBatch);
  EXPECT_LE(loud.back(), kTalkers + 1 + kBatch) << "each once, and a batch";
  // It has run all the time, and never got more than one recv(2) a pass.
  EXPECT_GE(world.drained, passes * 1024);
  EXPECT_LE(most, 256u * 1024);
}

TEST(LoadFairness, AFloodOfConnectionsDoesNotDelayAHundredTalks) {
  Fairness world(ServerOptions().backlog(16));
  std::vector<UniqueFd> flood;
  const std::size_t messages = test::scaled(2'000);
  const std::vector<std::uint64_t> took = world.waits_of(messages, [&] {
    for (int n = 0; n < 32; ++n) flood.push_back(world.connect_one());
    if (flood.size() > 1'000) flood.clear();
  });
  // When a thousand connections end at once, each of them once; else no more
  // than the others that talk.
  EXPECT_LE(took.back(), 1'000 + 32 + kTalkers + 1 + kBatch);
  EXPECT_LE(took.at(took.size() / 2), kTalkers + kBatch);
  EXPECT_GT(world.server.client_count(), kTalkers);
}

// The same for handlers with streams, where a task takes a pass more.
TEST(LoadFairness, AStreamThatIsNotReadDoesNotDelayOthers) {
  LoadWorld world;
  std::vector<StreamReader> kept;
  world.listen(start_server(
      [&](StreamReader reader, StreamWriter) { kept.push_back(reader); },
      "127.0.0.1", 0));
  world.connect(1);
  const std::string water(std::size_t{1} << 16, 'w');
  for (int pass = 0; pass < 100; ++pass) {
    while (::send(world.clients[0].get(), water.data(), water.size(),
                  MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    run_passes(world.loop, 1);
  }
  // Paused: the loop does not look at it any more, and has nothing to do.
  const std::uint64_t reads = world.kernel.calls(KernelCall::kRecv);
  run_passes(world.loop, 50);
  EXPECT_EQ(world.kernel.calls(KernelCall::kRecv), reads);
  EXPECT_EQ(kept.size(), 1u);
}

}  // namespace
}  // namespace rondo
