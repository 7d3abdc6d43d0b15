// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/server.h"
#include "test/net/load_echo.h"
#include "test/support/child_process.h"
#include "test/support/patience.h"
#include "test/support/scale.h"

// N17: as many connections as the limit of descriptors has room for. Server
// and clients are two processes, for a limit is a process's.

namespace rondo {
namespace {

using test::finish;

constexpr std::size_t kWanted = 15'000;
constexpr std::size_t kOtherDescriptors = 200;

/// As many descriptors as this process may have.
std::size_t raise_limit() {
  ::rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

/// Echoes; tells how many there are when it is asked.
class Held final : public Protocol {
 public:
  explicit Held(std::size_t& count) : count_(count) {}
  void connection_made(Transport& transport) override {
    transport_ = &transport;
    ++count_;
  }
  void data_received(std::string_view data) override {
    if (data == "quit") return transport_->loop().stop();
    transport_->write(data == "count" ? std::to_string(count_) : data);
  }
  void connection_lost(std::exception_ptr) override { --count_; }

 private:
  std::size_t& count_;
  Transport* transport_ = nullptr;
};

std::string hold(UniqueFd listener) {
  raise_limit();
  std::size_t count = 0;
  EventLoop loop;
  const Reports reports(loop);
  const Server server = finish(
      loop, create_server([&] { return std::make_shared<Held>(count); },
                          std::move(listener), ServerOptions().backlog(1024)));
  test::run_patiently(loop, std::chrono::seconds(50));
  return std::to_string(reports.messages.size()) + " reports";
}

struct HeldClient {
  explicit HeldClient(const Address& address)
      : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ::timeval patience{30, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof patience);
    is_connected =
        ::connect(socket.get(), address.native(), address.native_size()) == 0;
  }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string hear() const {
    char text[64];
    const ssize_t size = ::recv(socket.get(), text, sizeof text, 0);
    return size < 0 ? "nothing"
                    : std::string(text, static_cast<std::size_t>(size));
  }
  UniqueFd socket;
  bool is_connected = false;
};

TEST(LoadConnections, FifteenThousandAreHeldAndServed) {
  ::rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const std::size_t limit = raise_limit();
  const std::size_t count =
      std::min(test::scaled(kWanted), limit - kOtherDescriptors);
  if (count < kWanted) {
    std::printf("%zu connections instead of %zu: %zu descriptors\n", count,
                kWanted, limit);
  }
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::inet("0.0.0.0", 0);
  ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
  ASSERT_EQ(::listen(listener.get(), 1024), 0);
  ::sockaddr_storage storage;
  ::socklen_t size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  ASSERT_EQ(::getsockname(listener.get(), native, &size), 0);
  const std::uint16_t port = Address::from_native(native, size).port();

  ChildProcess child;
  if (child.begin()) child.end(hold(std::move(listener)));
  listener.reset();
  {
    std::vector<HeldClient> clients;
    clients.reserve(count);
    for (std::size_t n = 0; n < count; ++n) {
      // Several addresses, each with ports of its own.
      clients.emplace_back(
          Address::inet("127.0.0." + std::to_string(1 + n % 4), port));
      ASSERT_TRUE(clients.back().is_connected) << n << ": errno " << errno;
    }
    for (int round = 0; round < 2; ++round) {
      for (std::size_t n = 0; n < count; ++n) {
        clients[n].say(std::to_string(n));
      }
      for (std::size_t n = 0; n < count; ++n) {
        ASSERT_EQ(clients[n].hear(), std::to_string(n));
      }
    }
    clients.back().say("count");
    EXPECT_EQ(clients.back().hear(), std::to_string(count));
    clients.back().say("quit");
    EXPECT_EQ(child.story(), "0 reports");
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace rondo
