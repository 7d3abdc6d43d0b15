// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/create_connection.h"
#include "net/server.h"
#include "test/net/transport_pair.h"
#include "test/support/scale.h"

// What networks do to connections. Loss and cut cables are real: a filter on
// the socket (socket(7), SO_ATTACH_FILTER) drops what comes in before TCP sees
// it, so that neither a second machine nor a right is needed.

namespace rondo {
namespace {

using test::Calls;
using test::connected_pair;
using test::errno_of;
using test::finish;
using test::Recorder;
using test::TransportPair;

constexpr auto kForever = ScriptedKernel::kForever;

void attach(int fd, std::vector<::sock_filter> program) {
  ::sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.size());
  filter.filter = program.data();
  ASSERT_EQ(
      ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0)
      << std::strerror(errno);
}

/// From now on nothing arrives at `fd`.
void cut_cable(int fd) { attach(fd, {BPF_STMT(BPF_RET | BPF_K, 0)}); }

/// From now on so many of a hundred segments do not arrive at `fd`.
void lose(int fd, unsigned percent) {
  const unsigned most = 0xffffffffu / 100 * percent;
  const auto random = static_cast<unsigned>(SKF_AD_OFF + SKF_AD_RANDOM);
  attach(fd,
         {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, random),
          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, most, 1, 0),
          BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0xffffffff)});
}

/// A server and one client of it, both on one loop, by TCP.
struct TcpTalk {
  TcpTalk() {
    server = finish(loop, create_server([this] { return theirs; }, "127.0.0.1",
                                        0, ServerOptions().keep_alive(true)));
    const Address address = server.sockets().at(0).getsockname();
    client = finish(loop, create_connection([this] { return mine; }, address))
                 .transport;
    EXPECT_TRUE(run_until(loop, [&] { return theirs->transport != nullptr; }));
  }
  ~TcpTalk() {
    client.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> mine = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> theirs = std::make_shared<Recorder>();
  Server server;
  std::shared_ptr<Transport> client;
};

// -- N3: data comes before the bad news ---------------------------------------

TEST(NetworkFaults, WhatCameBeforeAResetIsDeliveredFirst) {
  TcpTalk talk;
  talk.client->pause_reading();
  ASSERT_EQ(::send(talk.theirs->transport->fd(), "last words", 10, 0), 10);
  const ::linger now{1, 0};
  ::setsockopt(talk.theirs->transport->fd(), SOL_SOCKET, SO_LINGER, &now,
               sizeof now);
  talk.theirs->transport->abort();
  ASSERT_TRUE(run_until(talk.loop, [&] { return talk.theirs->losses > 0; }));
  run_passes(talk.loop, 2);
  EXPECT_EQ(talk.mine->calls, Calls{"made"});
  talk.client->resume_reading();
  ASSERT_TRUE(run_until(talk.loop, [&] { return talk.mine->losses > 0; }));
  EXPECT_EQ(talk.mine->calls, (Calls{"made", "data", "lost"}));
  EXPECT_EQ(talk.mine->received, "last words");
  EXPECT_EQ(errno_of(talk.mine->error), ECONNRESET);
}

// -- N7: ways not to be connected ---------------------------------------------

TEST(NetworkFaults, EachErrorOfAConnectIsSaidAndLeavesNothingOpen) {
  const Address address = Address::inet("127.0.0.1", 9);
  for (const int error_number :
       {EADDRNOTAVAIL, EADDRINUSE, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
        ENETDOWN, ETIMEDOUT, EACCES, EPERM, EAGAIN, ENOBUFS}) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    const std::size_t open = kernel.open_descriptors().size();
    kernel.fail(KernelCall::kConnect, error_number, {.times = kForever});
    const auto protocol = std::make_shared<Recorder>();
    auto task =
        create_connection([&] { return protocol; }, address).start(loop);
    ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
    EXPECT_EQ(errno_of(task.exception()), error_number);
    EXPECT_EQ(protocol->calls, Calls());
    EXPECT_EQ(kernel.open_descriptors().size(), open);
  }
}

// A client whose port the kernel has chosen to be the one that it wants to
// connect to meets itself (RFC 793, "simultaneous open").
TEST(NetworkFaults, ASocketMayBeConnectedToItself) {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::inet("127.0.0.1", 0);
  ASSERT_EQ(::bind(probe.get(), any.native(), any.native_size()), 0);
  ::sockaddr_storage storage;
  ::socklen_t size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  ASSERT_EQ(::getsockname(probe.get(), native, &size), 0);
  const Address self = Address::from_native(native, size);
  UniqueFd socket(::dup(probe.get()));
  ASSERT_EQ(::connect(socket.get(), self.native(), self.native_size()), 0);
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);

  EventLoop loop;
  const auto protocol = std::make_shared<Recorder>();
  const auto transport = test::connect(loop, std::move(socket), protocol);
  EXPECT_EQ(transport->peername(), transport->sockname());
  transport->write("who is there?");
  transport->write_eof();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(protocol->received, "who is there?");
  EXPECT_EQ(protocol->calls, (Calls{"made", "data", "eof", "lost"}));
}

// -- N8: more than the backlog ------------------------------------------------

// The kernel drops what finds no room. Who asks again, after a second, is
// served.
TEST(NetworkFaults, ThoseBeyondTheBacklogAreServedLater) {
  EventLoop loop;
  std::size_t made = 0;
  const Server server =
      finish(loop, create_server(
                       [&] {
                         ++made;
                         return std::make_shared<Recorder>();
                       },
                       "127.0.0.1", 0, ServerOptions().backlog(1)));
  const Address address = server.sockets().at(0).getsockname();
  std::vector<UniqueFd> clients;
  for (int count = 0; count < 3; ++count) {
    clients.emplace_back(
        ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(clients.back().get(), address.native(), address.native_size());
  }
  EXPECT_TRUE(run_until(loop, [&] { return made == 3; }));
}

// -- N9: a server that is started again ---------------------------------------

TEST(NetworkFaults, AServerMayStartAgainAtOnceAtItsPort) {
  std::uint16_t port = 0;
  for (std::size_t restart = 0; restart < test::scaled(1'000); ++restart) {
    EventLoop loop;
    const auto protocol = std::make_shared<Recorder>();
    const Server server = finish(
        loop, create_server([&] { return protocol; }, "127.0.0.1", port));
    const Address address = server.sockets().at(0).getsockname();
    port = address.port();
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), address.native(), address.native_size()),
              0);
    ASSERT_TRUE(
        run_until(loop, [&] { return protocol->transport != nullptr; }));
    // The one who closes first has the port in TIME_WAIT.
    protocol->transport->close();
    server.close();
    ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  }
}

// -- N10: descriptors that nobody asked for -----------------------------------

TEST(NetworkFaults, DescriptorsThatAPeerSendsAreNotKept) {
  TransportPair pair;
  const std::size_t before = count_open_descriptors();
  // 253 are as many as one message may carry (SCM_MAX_FD).
  constexpr std::size_t kCount = 253;
  alignas(::cmsghdr) char control[CMSG_SPACE(kCount * sizeof(int))] = {};
  for (int message = 0; message < 10; ++message) {
    char text[] = "with a present";
    ::iovec piece{text, sizeof text - 1};
    ::msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ::cmsghdr* const first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(kCount * sizeof(int));
    const std::vector<int> sent(kCount, pair.peer.get());
    std::memcpy(CMSG_DATA(first), sent.data(), kCount * sizeof(int));
    ASSERT_EQ(::sendmsg(pair.peer.get(), &header, 0), 14);
  }
  ASSERT_TRUE(run_until(pair.loop,
                        [&] { return pair.protocol->received.size() == 140; }));
  EXPECT_EQ(count_open_descriptors(), before);
  EXPECT_EQ(pair.protocol->losses, 0);
}

TEST(NetworkFaults, AUnixSocketThatMayNotBeUsedSaysSo) {
  for (const int error_number : {EACCES, ENOENT, ENOTDIR, ECONNREFUSED}) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    kernel.fail(KernelCall::kConnect, error_number);
    auto task = create_unix_connection(
                    [] { return std::make_shared<Recorder>(); }, "/run/none")
                    .start(loop);
    ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
    EXPECT_EQ(errno_of(task.exception()), error_number);
  }
}

// -- N12: the network goes down -----------------------------------------------

TEST(NetworkFaults, ANetworkThatGoesDownEndsTheConnectionOnce) {
  for (const int error_number :
       {ENETDOWN, ENETUNREACH, ENETRESET, EHOSTDOWN, EHOSTUNREACH, ENONET,
        ETIMEDOUT, ENOBUFS, ENOMEM}) {
    for (const KernelCall call : {KernelCall::kRecv, KernelCall::kSend}) {
      TransportPair pair;
      pair.kernel.fail(call, error_number, {.times = kForever});
      if (call == KernelCall::kRecv) {
        write_text(pair.peer.get(), "x");
      } else {
        pair.transport->write("x");
      }
      ASSERT_TRUE(pair.run_to_end());
      const std::uint64_t asked = pair.kernel.calls(call);
      run_passes(pair.loop, 20);
      EXPECT_EQ(pair.kernel.calls(call), asked);
      EXPECT_EQ(errno_of(pair.protocol->error), error_number);
      EXPECT_EQ(pair.protocol->losses, 1);
      EXPECT_EQ(pair.reports.messages, Calls());
    }
  }
}

// -- N13: loss ----------------------------------------------------------------

TEST(NetworkFaults, AThirdOfTheSegmentsLostLosesNoByte) {
  TcpTalk talk;
  talk.theirs->on_data = [&](std::string_view data) {
    talk.theirs->transport->write(data);
  };
  lose(talk.client->fd(), 30);
  lose(talk.theirs->transport->fd(), 30);
  std::string sent;
  for (std::size_t count = 0; count < 2'000; ++count) {
    sent += "line " + std::to_string(count) + "\n";
  }
  talk.client->write(sent);
  EXPECT_TRUE(run_until(
      talk.loop, [&] { return talk.mine->received.size() >= sent.size(); },
      std::chrono::seconds(60)));
  EXPECT_EQ(talk.mine->received, sent);
  EXPECT_EQ(talk.mine->losses + talk.theirs->losses, 0);
}

// -- N14: a peer that is gone without a word ----------------------------------

TEST(NetworkFaults, ACutCableIsNoticedWithinTheUserTimeout) {
  TcpTalk talk;
  const unsigned milliseconds = 100;
  ASSERT_EQ(::setsockopt(talk.client->fd(), IPPROTO_TCP, TCP_USER_TIMEOUT,
                         &milliseconds, sizeof milliseconds),
            0);
  cut_cable(talk.client->fd());
  cut_cable(talk.theirs->transport->fd());
  talk.client->write("are you there?");
  ASSERT_TRUE(run_until(talk.loop, [&] { return talk.mine->losses > 0; }));
  EXPECT_EQ(errno_of(talk.mine->error), ETIMEDOUT);
  EXPECT_EQ(talk.mine->calls, (Calls{"made", "lost"}));
  // Who has sent nothing would only hear of it by keep-alives.
  EXPECT_EQ(talk.theirs->losses, 0);
}

TEST(NetworkFaults, ACutCableIsNoticedByKeepAlives) {
  TcpTalk talk;
  const int fd = talk.theirs->transport->fd();
  int on = 0;
  ::socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
  EXPECT_EQ(on, 1) << "ServerOptions::keep_alive()";
  for (const int name : {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT}) {
    const int one = 1;  // second, or try: there are no shorter ones
    ASSERT_EQ(::setsockopt(fd, IPPROTO_TCP, name, &one, sizeof one), 0);
  }
  cut_cable(fd);
  ASSERT_TRUE(run_until(talk.loop, [&] { return talk.theirs->losses > 0; }));
  EXPECT_EQ(errno_of(talk.theirs->error), ETIMEDOUT);
}

}  // namespace
}  // namespace rondo
