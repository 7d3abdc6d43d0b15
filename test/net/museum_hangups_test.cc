// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/create_connection.h"
#include "net/sendfile.h"
#include "net/server.h"
#include "net/sock.h"
#include "reactor/snapshot.h"
#include "test/net/datagram_pair.h"
#include "test/net/stream_pair.h"
#include "test/net/tls_raw_peer.h"
#include "test/net/transport_pair.h"
#include "test/support/child_process.h"

// Bugs of others about ends of connections: a hangup that is forgotten, and a
// processor that is busy for nothing; errors that come late, or for ever. Which
// test is for which bug: test/museum.md.

namespace rondo {
namespace {

using test::Calls;
using test::DatagramPair;
using test::errno_of;
using test::finish;
using test::Recorder;
using test::TransportPair;

constexpr auto kForever = ScriptedKernel::kForever;

/// So many events, at most, are reported in twenty passes.
void expect_events(EventLoop& loop, std::uint64_t most) {
  const std::uint64_t before = loop.stats().events;
  run_passes(loop, 20);
  EXPECT_LE(loop.stats().events - before, most);
}

// -- hangups ------------------------------------------------------------------

// "CLOSE_WAIT and 100 % CPU": the peer has closed, we do not read, and there is
// something to write, or there was.
TEST(HangupMuseum, APeerThatIsGoneWhileReadingIsPausedCostsNothing) {
  for (const bool writes : {false, true}) {
    TransportPair pair;
    pair.transport->pause_reading();
    if (writes) {
      pair.transport->set_write_buffer_limits(1 << 30);
      while (pair.transport->get_write_buffer_size() == 0) {
        pair.transport->write(std::string(1 << 20, 'x'));
      }
    }
    ::shutdown(pair.peer.get(), SHUT_WR);
    expect_events(pair.loop, 0);  // it does not read: there is no room either
    if (writes) {
      ASSERT_TRUE(run_until(pair.loop, [&] {
        read_text(pair.peer.get());
        return pair.transport->get_write_buffer_size() == 0;
      }));
      run_passes(pair.loop, 2);
    }
    // All is written: that there is room now is nothing to be told of.
    read_text(pair.peer.get());
    expect_events(pair.loop, 0);
    EXPECT_EQ(pair.loop.snapshot().descriptors.size(), 0u);
    pair.transport->resume_reading();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->error, nullptr);
  }
}

// Both directions have ended, and the protocol keeps it open: epoll would say
// EPOLLHUP for ever, asked or not.
TEST(HangupMuseum, AConnectionWithTwoEndsIsNotLookedAt) {
  for (const bool ours_first : {false, true}) {
    TransportPair pair;
    pair.protocol->on_eof = [] { return true; };
    if (ours_first) pair.transport->write_eof();
    ::shutdown(pair.peer.get(), SHUT_WR);
    ASSERT_TRUE(run_until(
        pair.loop, [&] { return pair.protocol->calls.back() == "eof"; }));
    if (!ours_first) pair.transport->write_eof();
    run_passes(pair.loop, 2);
    expect_events(pair.loop, 0);
    pair.peer.reset();
    expect_events(pair.loop, 0);
    EXPECT_EQ(pair.protocol->losses, 0);
    pair.transport->close();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->error, nullptr);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "eof", "lost"}));
  }
}

// The same for TLS, whose end is in the stream, with the other one behind it.
TEST(HangupMuseum, ATlsConnectionWithTwoEndsIsNotLookedAt) {
  test::RawPair pair;
  pair.shake_hands();
  pair.passes(3);
  pair.protocol->on_eof = [] { return true; };
  pair.peer->shut_down();
  pair.peer->flush();
  ::shutdown(pair.peer->fd(), SHUT_WR);
  ASSERT_TRUE(run_until(pair.loop,
                        [&] { return pair.protocol->calls.back() == "eof"; }));
  run_passes(pair.loop, 2);
  expect_events(pair.loop, 0);
  // It may write on as long as it likes.
  pair.protocol->transport->write("still here");
  ASSERT_TRUE(pair.run([&] { return pair.peer->received == "still here"; }));
  pair.protocol->transport->close();
  ASSERT_TRUE(pair.run([&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(describe(pair.protocol->error), "no exception");
}

// The end of a stream that nobody reads is seen when somebody does.
TEST(HangupMuseum, AStreamThatPausedHearsOfTheEnd) {
  test::StreamPair pair(100);
  write_text(pair.peer.get(), std::string(1000, 'x'));
  run_passes(pair.loop, 3);
  pair.peer.reset();
  expect_events(pair.loop, 0);
  std::size_t got = 0;
  for (;;) {
    const std::string some = finish(pair.loop, pair.reader.read(64));
    if (some.empty()) break;
    got += some.size();
  }
  EXPECT_EQ(got, 1000u);
  EXPECT_TRUE(pair.reader.at_eof());
}

// -- errors -------------------------------------------------------------------

/// Says what becomes of a connect only when it is asked for SO_ERROR.
struct LateKernel : ScriptedKernel {
  int getsockopt(int fd, int level, int name, void* value,
                 unsigned* size) noexcept override {
    const int answer = ScriptedKernel::getsockopt(fd, level, name, value, size);
    if (level == SOL_SOCKET && name == SO_ERROR) {
      *static_cast<int*>(value) = error_number;
    }
    return answer;
  }
  int connect(int fd, const ::sockaddr* address,
              unsigned size) noexcept override {
    ScriptedKernel::connect(fd, address, size);
    errno = EINPROGRESS;
    return -1;
  }
  int error_number = 0;
};

TEST(HangupMuseum, WhatAConnectEndsWithLaterIsSaidToo) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::inet("127.0.0.1", 0);
  ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
  ASSERT_EQ(::listen(listener.get(), 64), 0);
  ::sockaddr_storage storage;
  ::socklen_t size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  ASSERT_EQ(::getsockname(listener.get(), native, &size), 0);
  const Address address = Address::from_native(native, size);
  for (const int error_number : {ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH,
                                 ENETUNREACH, ECONNRESET, EHOSTDOWN, EPROTO}) {
    LateKernel kernel;
    kernel.error_number = error_number;
    const auto protocol = std::make_shared<Recorder>();
    {
      EventLoop loop(LoopOptions().kernel(kernel));
      auto task =
          create_connection([&] { return protocol; }, address).start(loop);
      ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
      EXPECT_EQ(errno_of(task.exception()), error_number);
      EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
      UniqueFd own(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
      auto connecting = sock_connect(own.get(), address).start(loop);
      ASSERT_TRUE(run_until(loop, [&] { return connecting.done(); }));
      EXPECT_EQ(errno_of(connecting.exception()), error_number);
    }
    EXPECT_EQ(protocol->calls, Calls());
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
}

// A connection that the administrator has ended (ss -K).
TEST(HangupMuseum, AConnectionThatTheKernelAbortsIsLostOnce) {
  for (const KernelCall call : {KernelCall::kRecv, KernelCall::kSend}) {
    TransportPair pair;
    pair.kernel.fail(call, ECONNABORTED, {.times = kForever});
    write_text(pair.peer.get(), "x");
    pair.transport->write("x");
    ASSERT_TRUE(pair.run_to_end());
    run_passes(pair.loop, 3);
    EXPECT_EQ(errno_of(pair.protocol->error), ECONNABORTED);
    EXPECT_EQ(pair.protocol->losses, 1);
  }
}

// A network that is down, and then is not.
TEST(HangupMuseum, AnEndpointOutlivesItsNetwork) {
  for (const int error_number : {ENETDOWN, EADDRNOTAVAIL, ENETUNREACH}) {
    DatagramPair pair;
    pair.block(error_number);
    pair.connected->sendto("lost");
    run_passes(pair.loop, 2);
    EXPECT_EQ(pair.client->errors, std::vector<int>{error_number});
    expect_events(pair.loop, 0);
    pair.kernel.stop_failing();
    pair.connected->sendto("arrives");
    ASSERT_TRUE(pair.served(1));
    EXPECT_EQ(pair.server->received, Calls{"arrives"});
    EXPECT_EQ(pair.client->losses, 0);
  }
}

// Nobody can be reached at port 0: the kernel says EINVAL.
TEST(HangupMuseum, AnAddressOfNobodyIsToldAndTheEndpointStaysOpen) {
  DatagramPair pair;
  pair.bound->sendto("to nobody", Address::inet("127.0.0.1", 0));
  pair.bound->sendto("to somebody", pair.connected->sockname());
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->count == 1; }));
  EXPECT_EQ(pair.server->errors, std::vector<int>{EINVAL});
  EXPECT_FALSE(pair.bound->is_closing());
}

TEST(HangupMuseum, OperationsOnAClosedPeerDoNotKillTheProcess) {
  const std::string story = in_child([]() -> std::string {
    ::signal(SIGPIPE, SIG_DFL);
    std::string told;
    const UniqueFd file = make_regular_file();
    write_text(file.get(), "hello");
    for (const bool from_file : {false, true}) {
      EventLoop loop;
      SocketPair pair;
      pair.b.reset();
      told += test::thrown_by([&] {
        if (from_file) {
          finish(loop, sock_sendfile(pair.a.get(), file.get()));
        } else {
          finish(loop, sock_sendto(pair.a.get(), "x", Address()));
        }
      });
      told += "; ";
    }
    return told;
  });
  EXPECT_EQ(story,
            "std::system_error: sock_sendto: Broken pipe; std::system_error: "
            "sendfile: Broken pipe; ");
}

// -- pressure -----------------------------------------------------------------

// The high-water mark counts what writelines() writes, too.
TEST(PressureMuseum, ManyPiecesPressAsMuchAsOne) {
  const std::string piece(1024, 'p');
  const std::vector<std::string_view> pieces(100, piece);
  TransportPair pair;
  pair.block();
  pair.transport->writelines(pieces);
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(102'400).size(), 102'400u);
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));

  test::StreamPair streams;
  streams.fill_up(1);
  streams.writer.transport().set_write_buffer_limits();
  const auto written = streams.writer.writelines(pieces).start(streams.loop);
  run_passes(streams.loop, 3);
  EXPECT_FALSE(written.done());
  EXPECT_TRUE(streams.read_until([&] { return written.done(); }));
}

// A reader that is as fast as we are does not keep the loop with one writer.
TEST(PressureMuseum, AWriterWithMuchToSayTakesTurns) {
  TransportPair pair;
  pair.transport->set_write_buffer_limits(1 << 30);
  constexpr std::size_t kAll = 4'000'000;
  pair.transport->write(std::string(kAll, 'x'));
  std::size_t got = 0;
  std::uint64_t most = 0;
  ASSERT_TRUE(run_until(pair.loop, [&] {
    got += read_text(pair.peer.get()).size();
    const std::uint64_t before = pair.sends();
    run_one_pass(pair.loop);
    most = std::max(most, pair.sends() - before);
    return got == kAll;
  }));
  EXPECT_LE(most, 1u);
}

// -- accepting ----------------------------------------------------------------

/// A server and its clients from outside of the loop.
struct AcceptWorld {
  AcceptWorld() {
    server = finish(loop, create_server(
                              [this] {
                                ++made;
                                return std::make_shared<Recorder>();
                              },
                              "127.0.0.1", 0));
    address = server.sockets().at(0).getsockname();
  }
  void connect() {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), address.native(),
                        address.native_size()),
              0);
  }
  VirtualKernel clock;
  ScriptedKernel kernel{clock};
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  int made = 0;
  Server server;
  Address address;
  std::vector<UniqueFd> clients;
};

// accept(2): "Linux passes already-pending network errors on the new socket".
TEST(AcceptMuseum, EachErrorOfAConnectionIsThatConnectionsOwn) {
  for (const int error_number :
       {ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET,
        EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM, EINTR}) {
    SCOPED_TRACE(error_number);
    AcceptWorld world;
    world.kernel.fail(KernelCall::kAccept, error_number, {.times = 2});
    world.connect();
    run_passes(world.loop, 1);
    EXPECT_EQ(world.made, 1) << "in the same pass";
    EXPECT_EQ(world.reports.messages, Calls());
    EXPECT_EQ(world.loop.snapshot().timers.size(), 0u);
  }
}

// One wait, however many ask, and one try behind it.
TEST(AcceptMuseum, AShortageIsWaitedForOnce) {
  for (const int error_number : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    AcceptWorld world;
    world.kernel.fail(KernelCall::kAccept, error_number, {.times = kForever});
    for (int n = 0; n < 20; ++n) world.connect();
    expect_events(world.loop, 1);
    EXPECT_EQ(world.loop.snapshot().timers.size(), 1u);
    EXPECT_EQ(world.reports.messages.size(), 1u);
    world.clock.spend(std::chrono::milliseconds(1001));
    expect_events(world.loop, 1);
    EXPECT_EQ(world.loop.snapshot().timers.size(), 1u);
    EXPECT_EQ(world.reports.messages.size(), 1u);
  }
}

// An error that nothing was foreseen for is told, and no reason to spin.
TEST(AcceptMuseum, AnErrorOfTheListenerIsToldAndDoesNotSpin) {
  for (const int error_number : {EINVAL, EBADF, ENOTSOCK, EFAULT, ENOSR}) {
    AcceptWorld world;
    world.kernel.fail(KernelCall::kAccept, error_number, {.times = kForever});
    world.connect();
    expect_events(world.loop, 1);
    EXPECT_EQ(world.reports.messages.size(), 1u);
    world.kernel.stop_failing();
    world.clock.spend(std::chrono::milliseconds(1001));
    run_passes(world.loop, 4);
    EXPECT_EQ(world.made, 1);
  }
}

// At each step of the passes in which a connection is accepted: it is made and
// lost, or neither, and the server's end is waited for.
TEST(AcceptMuseum, AServerMayBeClosedAtAnyMomentOfAnAccept) {
  for (const bool encrypts : {false, true}) {
    for (int moment = 0; moment < 12; ++moment) {
      SCOPED_TRACE(moment);
      EventLoop loop;
      const Reports reports(loop);
      const auto protocol = std::make_shared<Recorder>();
      ServerOptions options;
      if (encrypts) options.tls(test::shared_server_context());
      const Server server = finish(
          loop,
          create_server([&] { return protocol; }, "127.0.0.1", 0, options));
      const Address address = server.sockets().at(0).getsockname();
      UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(
          ::connect(client.get(), address.native(), address.native_size()), 0);
      const std::function<void()> steps[] = {
          [&] { loop.poll_events(Duration::zero()); }, [&] { loop.collect(); },
          [&] { loop.run_ready(); }};
      for (int step = 0; step < moment; ++step) steps[step % 3]();
      server.close();
      const Future<void> closed = server.wait_closed();
      for (int step = moment; step % 3 != 0; ++step) steps[step % 3]();
      client.reset();
      ASSERT_TRUE(run_until(loop, [&] { return closed.done(); }));
      EXPECT_EQ(server.client_count(), 0u);
      EXPECT_EQ(protocol->losses, protocol->transport == nullptr ? 0 : 1);
      EXPECT_EQ(reports.messages, Calls());
    }
  }
}

}  // namespace
}  // namespace rondo
