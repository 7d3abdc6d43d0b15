// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/server.h"
#include "test/net/transport_pair.h"
#include "test/support/scale.h"

// A server on a loop of the test's own thread, and clients that are bare
// sockets outside of it: what is counted is the server's.

namespace rondo::test {

/// Sends back what comes.
class EchoProtocol final : public Protocol {
 public:
  void connection_made(Transport& transport) override {
    transport_ = &transport;
  }
  void data_received(std::string_view data) override {
    transport_->write(data);
  }

 private:
  Transport* transport_ = nullptr;
};

/// Counts the reads that have found nothing.
class CountingKernel : public ScriptedKernel {
 public:
  ssize_t recv(int fd, void* buffer, std::size_t size,
               int flags) noexcept override {
    const ssize_t answer = ScriptedKernel::recv(fd, buffer, size, flags);
    if (answer < 0 && errno == EAGAIN) ++empty_reads;
    return answer;
  }
  /// Calls that touch the epoll set.
  std::uint64_t epoll_ctls() const {
    return calls(KernelCall::kEpollAdd) + calls(KernelCall::kEpollModify) +
           calls(KernelCall::kEpollRemove);
  }
  /// What an echo is made of.
  std::uint64_t echo_calls() const {
    return calls(KernelCall::kRecv) + calls(KernelCall::kSend) +
           calls(KernelCall::kSendmsg) + calls(KernelCall::kEpollWait) +
           calls(KernelCall::kEpollPwait2);
  }

  std::uint64_t empty_reads = 0;
};

/// The same socket with a high number: the server's have low ones, as they
/// would in a process of its own.
inline UniqueFd out_of_the_way(int fd) {
  const UniqueFd low(fd);
  return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 10'000));
}

/// Connections of one server.
struct LoadWorld {
  /// Listens by `create`, an operation.
  template <class Create>
  void listen(Create create) {
    server = finish(loop, std::move(create));
    address = server.sockets().at(0).getsockname();
  }
  void connect(std::size_t count) {
    clients.reserve(clients.size() + count);
    for (std::size_t n = 0; n < count; ++n) {
      clients.push_back(
          out_of_the_way(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
      ASSERT_EQ(::connect(clients.back().get(), address.native(),
                          address.native_size()),
                0);
      if (n % 8 == 7) run_passes(loop, 1);
    }
    ASSERT_TRUE(run_until(
        loop, [&] { return server.client_count() == clients.size(); }));
    run_passes(loop, 3);
  }
  /// Each of them sends `message` and gets it back, within so many passes.
  void echo(std::string_view message, int passes) {
    for (const UniqueFd& client : clients) {
      ASSERT_EQ(::send(client.get(), message.data(), message.size(), 0),
                static_cast<ssize_t>(message.size()));
    }
    run_passes(loop, passes);
    for (const UniqueFd& client : clients) {
      char answer[4096];
      ASSERT_EQ(::recv(client.get(), answer, sizeof answer, MSG_DONTWAIT),
                static_cast<ssize_t>(message.size()));
    }
  }

  CountingKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  Server server;
  Address address;
  std::vector<UniqueFd> clients;
};

/// Bytes that malloc(3) has given and not got back, its own words for each
/// block included. Zero where a sanitizer has taken its place.
inline std::size_t live_bytes() {
  const struct ::mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Whether live_bytes() knows anything.
inline bool knows_live_bytes() { return !kIsSanitized; }

/// User memory of an idle connection, in bytes.
struct IdleCost {
  std::size_t fresh;
  std::size_t after_a_message;  // to each, of 2,000 bytes
};

/// Measured over a thousand.
inline IdleCost idle_cost(LoadWorld& world, int passes) {
  constexpr std::size_t kCount = 1'000;
  world.clients.reserve(2 * kCount);
  world.connect(8);
  world.echo("warm", passes);
  const std::size_t before = live_bytes();
  world.connect(kCount);
  const std::size_t fresh = live_bytes();
  // One poll reports 64 of them.
  world.echo(std::string(2'000, 'x'),
             passes + static_cast<int>(kCount / 64) + 2);
  return {(fresh - before) / kCount, (live_bytes() - before) / kCount};
}

}  // namespace rondo::test
