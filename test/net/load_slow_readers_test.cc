// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "net/server.h"
#include "test/net/load_echo.h"
#include "test/support/scale.h"

// N5 and N6 at large: a thousand peers that hardly read, and a producer that
// has ten gigabytes for them. What it offers to one that is paused is refused.

namespace rondo {
namespace {

using test::EchoProtocol;
using test::finish;

constexpr std::size_t kPiece = std::size_t{16} * 1024;
// What the kernel keeps for each is not what this test is about.
constexpr int kKernelBytes = 4096;

void shrink(int fd, int option) {
  ::setsockopt(fd, SOL_SOCKET, option, &kKernelBytes, sizeof kKernelBytes);
}

/// Writes what it is offered unless it was told to pause.
class Producer final : public Protocol {
 public:
  void connection_made(Transport& transport) override {
    transport_ = transport.shared_from_this();
    shrink(transport.fd(), SO_SNDBUF);
  }
  void pause_writing() override { is_paused_ = true; }
  void resume_writing() override { is_paused_ = false; }
  /// Whether it takes `data`.
  bool offer(const std::string& data) {
    if (is_paused_) return false;
    transport_->write(data);
    return true;
  }
  std::size_t waiting() { return transport_->get_write_buffer_size(); }

 private:
  std::shared_ptr<Transport> transport_;
  bool is_paused_ = false;
};

std::size_t resident_bytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const int found = std::fscanf(file, "%zu %zu", &all, &resident);
  std::fclose(file);
  return found == 2
             ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))
             : 0;
}

UniqueFd connect_to(const Address& address) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  shrink(socket.get(), SO_RCVBUF);
  EXPECT_EQ(::connect(socket.get(), address.native(), address.native_size()),
            0);
  return socket;
}

class SlowReaders : public ::testing::Test {
 protected:
  void start(std::size_t count) {
    server_ =
        finish(loop_, create_server(
                          [this] {
                            producers_.push_back(std::make_shared<Producer>());
                            return producers_.back();
                          },
                          "127.0.0.1", 0));
    echo_ = finish(
        loop_, create_server([] { return std::make_shared<EchoProtocol>(); },
                             "127.0.0.1", 0));
    for (std::size_t n = 0; n < count; ++n) {
      readers_.push_back(connect_to(address_of(server_)));
      if (n % 64 == 63) run_passes(loop_, 2);
    }
    active_ = connect_to(address_of(echo_));
    ASSERT_TRUE(run_until(loop_, [&] {
      return server_.client_count() == count && echo_.client_count() == 1;
    }));
    run_passes(loop_, 2);
  }
  void TearDown() override {
    producers_.clear();
    loop_.close();
  }
  static Address address_of(const Server& server) {
    return server.sockets().at(0).getsockname();
  }
  /// How many events are served until a message of the active connection is
  /// answered: a pass is of no certain size.
  std::uint64_t events_of_an_echo() {
    const std::uint64_t before = loop_.stats().events;
    EXPECT_EQ(::send(active_.get(), "ping", 4, 0), 4);
    char answer[16];
    for (int passes = 1; passes < 100; ++passes) {
      run_passes(loop_, 1);
      if (::recv(active_.get(), answer, sizeof answer, MSG_DONTWAIT) == 4) {
        return loop_.stats().events - before;
      }
    }
    ADD_FAILURE() << "no answer in a hundred passes";
    return 0;
  }

  EventLoop loop_;
  Server server_;
  Server echo_;
  std::vector<std::shared_ptr<Producer>> producers_;
  std::vector<UniqueFd> readers_;
  UniqueFd active_;
};

TEST_F(SlowReaders, TenGigabytesOfferedToAThousandOfThemStayBounded) {
  const std::size_t connections = test::scaled(1'000);
  const std::uint64_t most =
      std::uint64_t{10'000'000'000} / 1'000 * connections;
  start(connections);
  EXPECT_EQ(events_of_an_echo(), 1u);
  const std::size_t resident = resident_bytes();
  const std::string piece(kPiece, 'x');
  std::uint64_t offered = 0;
  std::uint64_t taken = 0;
  std::uint64_t slowest = 0;
  while (offered < most) {
    for (const auto& producer : producers_) {
      offered += kPiece;
      taken += producer->offer(piece) ? kPiece : 0;
    }
    // They do read, though it is a hundredth of what comes.
    for (const UniqueFd& reader : readers_) {
      char some[256];
      ::recv(reader.get(), some, sizeof some, MSG_DONTWAIT);
    }
    slowest = std::max(slowest, events_of_an_echo());
  }
  // Each of the others has had its turn once at most, and the rest of a poll's
  // 64: it was never passed over.
  EXPECT_LE(slowest, connections + 1 + 64)
      << "the active connection was slowed down";
  EXPECT_LT(taken, offered / 10);
  std::size_t waiting = 0;
  for (const auto& producer : producers_) waiting += producer->waiting();
  // The high-water mark, and what the write beyond it has left.
  const std::size_t bound = connections * (64u * 1024 + kPiece);
  EXPECT_LE(waiting, bound);
  EXPECT_GE(waiting, bound / 10) << "nobody was slow";
  if (test::knows_live_bytes()) {  // a sanitizer needs more
    // A buffer may be twice as large as what is in it.
    EXPECT_LE(resident_bytes() - resident, 2 * bound);
  }
}

// A producer that heeds nothing is stopped by the cap.
TEST_F(SlowReaders, WhoHeedsNothingIsAbortedAtTheCap) {
  class Deaf final : public Protocol {
   public:
    explicit Deaf(std::size_t& most) : most_(most) {}
    void connection_made(Transport& transport) override {
      shrink(transport.fd(), SO_SNDBUF);
      transport.set_write_buffer_cap(std::size_t{1} << 20);
      transport_ = &transport;
    }
    void connection_lost(std::exception_ptr error) override {
      EXPECT_EQ(test::errno_of(error), ENOBUFS);
      transport_ = nullptr;
    }
    bool push(const std::string& piece) {
      if (transport_ == nullptr || transport_->is_closing()) return false;
      transport_->write(piece);
      most_ = std::max(most_, transport_->get_write_buffer_size());
      return true;
    }

   private:
    std::size_t& most_;
    Transport* transport_ = nullptr;
  };
  std::size_t most = 0;
  std::vector<std::shared_ptr<Deaf>> all;
  const Server server =
      finish(loop_, create_server(
                        [&] {
                          all.push_back(std::make_shared<Deaf>(most));
                          return all.back();
                        },
                        "127.0.0.1", 0));
  for (std::size_t n = 0; n < test::scaled(100); ++n) {
    readers_.push_back(connect_to(address_of(server)));
  }
  ASSERT_TRUE(run_until(
      loop_, [&] { return server.client_count() == readers_.size(); }));
  run_passes(loop_, 2);
  const std::string piece(kPiece, 'x');
  std::uint64_t pushed = 0;
  for (bool any = true; any;) {
    any = false;
    for (const auto& one : all) {
      if (!one->push(piece)) continue;
      any = true;
      pushed += kPiece;
    }
    run_passes(loop_, 1);
    ASSERT_LT(pushed, std::uint64_t{1} << 32);
  }
  run_passes(loop_, 2);
  EXPECT_LE(most, std::size_t{1} << 20);
  EXPECT_EQ(server.client_count(), 0u);
}

}  // namespace
}  // namespace rondo
