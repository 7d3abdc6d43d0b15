// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "net/sock.h"
#include "reactor/snapshot.h"
#include "test/net/datagram_pair.h"
#include "test/net/transport_pair.h"
#include "test/support/child_process.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using test::Calls;
using test::connected_pair;
using test::finish;
using test::thrown_by;

/// A loop, and two connected sockets. At the end the loop watches neither.
struct Sockets {
  Sockets() {
    auto [one, other] = connected_pair(kernel);
    a = std::move(one);
    b = std::move(other);
  }
  ~Sockets() {
    EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    a.reset();
    b.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  std::uint64_t epoll_ctls() const {
    return kernel.calls(KernelCall::kEpollAdd) +
           kernel.calls(KernelCall::kEpollModify) +
           kernel.calls(KernelCall::kEpollRemove);
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  UniqueFd a;
  UniqueFd b;
};

/// A non-blocking socket for datagrams at a port of its own.
std::pair<UniqueFd, Address> bound_udp(Kernel& kernel) {
  UniqueFd socket(kernel.socket(AF_INET, SOCK_DGRAM, 0), kernel);
  const Address any = Address::inet("127.0.0.1", 0);
  EXPECT_EQ(kernel.bind(socket.get(), any.native(), any.native_size()), 0);
  ::sockaddr_storage storage;
  unsigned size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  kernel.getsockname(socket.get(), native, &size);
  return {std::move(socket), Address::from_native(native, size)};
}

// -- receiving ----------------------------------------------------------------

TEST(SockRecv, GivesWhatIsThereAtOnce) {
  Sockets s;
  write_text(s.b.get(), "hello");
  const auto task = sock_recv(s.a.get(), 100).start(s.loop);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result(), "hello");
  EXPECT_EQ(s.epoll_ctls(), 1u);  // the loop's own waker
}

TEST(SockRecv, WaitsForWhatIsNot) {
  Sockets s;
  const std::uint64_t before = s.epoll_ctls();
  const auto task = sock_recv(s.a.get(), 3).start(s.loop);
  run_passes(s.loop, 3);
  EXPECT_FALSE(task.done());
  write_text(s.b.get(), "hello");
  ASSERT_TRUE(run_until(s.loop, [&] { return task.done(); }));
  EXPECT_EQ(task.result(), "hel");
  EXPECT_EQ(s.epoll_ctls() - before, 2u);
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 100)), "lo");
}

TEST(SockRecv, GivesNothingAtTheEndOfTheStream) {
  Sockets s;
  ::shutdown(s.b.get(), SHUT_WR);
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 10)), "");
}

TEST(SockRecv, TakesMoreThanTheLoopsOwnMemory) {
  Sockets s;
  write_text(s.b.get(), "hello");
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 1 << 20)), "hello");
}

TEST(SockRecv, IntoABuffer) {
  Sockets s;
  char buffer[3] = {};
  const auto task = sock_recv_into(s.a.get(), buffer).start(s.loop);
  write_text(s.b.get(), "hello");
  ASSERT_TRUE(run_until(s.loop, [&] { return task.done(); }));
  EXPECT_EQ(task.result(), 3u);
  EXPECT_EQ(std::string(buffer, 3), "hel");
}

TEST(SockRecv, ACancelLosesNothing) {
  Sockets s;
  auto task = sock_recv(s.a.get(), 100).start(s.loop);
  run_passes(s.loop, 1);
  task.cancel();
  run_passes(s.loop, 2);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(s.loop.snapshot().descriptors.size(), 0u);
  // Even when what it waits for has come already.
  auto late = sock_recv(s.a.get(), 100).start(s.loop);
  write_text(s.b.get(), "kept");
  run_passes(s.loop, 1);
  late.cancel();
  run_passes(s.loop, 2);
  EXPECT_TRUE(late.cancelled());
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 100)), "kept");
}

TEST(SockRecv, InterruptedAndSpuriousCallsAreMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    for (std::uint64_t nth = 1; nth <= 3; ++nth) {
      Sockets s;
      write_text(s.b.get(), "hello");
      s.kernel.fail(KernelCall::kRecv, error_number, {.times = nth});
      EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 100)), "hello");
      EXPECT_EQ(s.kernel.calls(KernelCall::kRecv), nth + 1);
    }
  }
}

TEST(SockRecv, AnErrorNamesTheOperation) {
  Sockets s;
  for (std::uint64_t nth = 1; nth <= 2; ++nth) {
    auto task = sock_recv(s.a.get(), 100).start(s.loop);
    if (task.done()) {
      EXPECT_EQ(task.result(), "x");
      task = sock_recv(s.a.get(), 100).start(s.loop);
    }
    s.kernel.fail(KernelCall::kRecv, ECONNRESET);
    write_text(s.b.get(), "x");
    ASSERT_TRUE(run_until(s.loop, [&] { return task.done(); }));
    EXPECT_EQ(thrown_by([&] { task.result(); }),
              "std::system_error: sock_recv: Connection reset by peer");
  }
}

TEST(SockRecvFrom, GivesADatagramAndItsSender) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  auto [one, one_address] = bound_udp(kernel);
  auto [other, other_address] = bound_udp(kernel);
  const auto task = sock_recvfrom(one.get(), 100).start(loop);
  EXPECT_FALSE(task.done());
  EXPECT_EQ(finish(loop, sock_sendto(other.get(), "hello", one_address)), 5u);
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_EQ(task.result().data, "hello");
  EXPECT_EQ(task.result().from, other_address);
  // An empty one, and one that is cut off.
  EXPECT_EQ(finish(loop, sock_sendto(other.get(), "", one_address)), 0u);
  EXPECT_EQ(finish(loop, sock_recvfrom(one.get(), 100)).data, "");
  finish(loop, sock_sendto(other.get(), "hello", one_address));
  EXPECT_EQ(finish(loop, sock_recvfrom(one.get(), 2)).data, "he");
  finish(loop, sock_sendto(other.get(), "again", one_address));
  EXPECT_EQ(finish(loop, sock_recvfrom(one.get(), 1 << 20)).data, "again");
}

TEST(SockRecvFrom, IntoABuffer) {
  EventLoop loop;
  auto [one, one_address] = bound_udp(linux_kernel());
  auto [other, other_address] = bound_udp(linux_kernel());
  char buffer[10];
  const auto task = sock_recvfrom_into(one.get(), buffer).start(loop);
  finish(loop, sock_sendto(other.get(), "hello", one_address));
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_EQ(task.result().first, 5u);
  EXPECT_EQ(task.result().second, other_address);
  EXPECT_EQ(std::string(buffer, 5), "hello");
}

TEST(SockSendTo, WaitsAndFailsAsAnyOther) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  auto [one, address] = bound_udp(kernel);
  kernel.fail(KernelCall::kSendto, EAGAIN);
  EXPECT_EQ(finish(loop, sock_sendto(one.get(), "x", address)), 1u);
  EXPECT_EQ(kernel.calls(KernelCall::kSendto), 2u);
  EXPECT_EQ(thrown_by([&, fd = one.get(), to = address] {
              finish(loop, sock_sendto(fd, std::string(70'000, 'x'), to));
            }),
            "std::system_error: sock_sendto: Message too long");
  EXPECT_THROW(finish(loop, sock_sendto(one.get(), "x", Address())),
               std::system_error);
}

// -- sending ------------------------------------------------------------------

TEST(SockSendAll, SendsAllHoweverLittleTheKernelTakes) {
  Sockets s;
  std::string text;
  for (int n = 0; n < 1000; ++n) text += std::to_string(n) + ",";
  for (const std::size_t most : {1u, 7u, 1000u}) {
    s.kernel.shorten(KernelCall::kSend, most);
    auto task = sock_sendall(s.a.get(), text).start(s.loop);
    std::string received;
    ASSERT_TRUE(run_until(s.loop, [&] {
      received += read_text(s.b.get());
      return task.done() && received.size() >= text.size();
    }));
    EXPECT_EQ(received, text);
  }
}

TEST(SockSendAll, WaitsForAReaderThatIsSlow) {
  Sockets s;
  const std::uint64_t before = s.epoll_ctls();
  const std::string text(2'000'000, 'x');
  auto task = sock_sendall(s.a.get(), text).start(s.loop);
  EXPECT_FALSE(task.done());
  run_passes(s.loop, 3);
  std::size_t received = 0;
  ASSERT_TRUE(run_until(s.loop, [&] {
    received += read_text(s.b.get()).size();
    return task.done() && received >= text.size();
  }));
  EXPECT_EQ(received, text.size());
  EXPECT_EQ(s.epoll_ctls() - before, 2u);  // watched all the while
}

TEST(SockSendAll, OfNothingIsDone) {
  Sockets s;
  EXPECT_TRUE(sock_sendall(s.a.get(), "").start(s.loop).done());
}

TEST(SockSendAll, AClosedPeerDoesNotKillTheProcess) {
  const std::string story = in_child([]() -> std::string {
    ::signal(SIGPIPE, SIG_DFL);
    Sockets s;
    s.b.reset();
    return thrown_by([&] { finish(s.loop, sock_sendall(s.a.get(), "x")); });
  });
  EXPECT_EQ(story, "std::system_error: sock_sendall: Broken pipe");
}

// -- connecting and accepting -------------------------------------------------

/// A socket that listens at a port of its own.
struct Listener {
  explicit Listener(Kernel& kernel) {
    socket = UniqueFd(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
    const Address any = Address::inet("127.0.0.1", 0);
    EXPECT_EQ(kernel.bind(socket.get(), any.native(), any.native_size()), 0);
    EXPECT_EQ(kernel.listen(socket.get(), 10), 0);
    ::sockaddr_storage storage;
    unsigned size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    kernel.getsockname(socket.get(), native, &size);
    address = Address::from_native(native, size);
  }
  UniqueFd socket;
  Address address;
};

TEST(SockConnect, ConnectsWhereSockAcceptAccepts) {
  ScriptedKernel kernel;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    Listener listener(kernel);
    auto accepting = sock_accept(listener.socket.get()).start(loop);
    EXPECT_FALSE(accepting.done());
    UniqueFd client(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
    finish(loop, sock_connect(client.get(), listener.address));
    ASSERT_TRUE(run_until(loop, [&] { return accepting.done(); }));
    const AcceptedSocket accepted = accepting.take_result();
    finish(loop, sock_sendall(client.get(), "hello"));
    EXPECT_EQ(finish(loop, sock_recv(accepted.socket.get(), 100)), "hello");
    EXPECT_EQ(accepted.address.host(), "127.0.0.1");
    EXPECT_NE(accepted.address.port(), 0);
  }
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

TEST(SockConnect, ToAUnixSocketIsDoneAtOnce) {
  ScriptedKernel kernel;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    const UniqueFd listener(kernel.socket(AF_UNIX, SOCK_STREAM, 0), kernel);
    const Address address = Address::unix_path(
        std::string(1, '\0') + "rondo-sock-test-" + std::to_string(::getpid()));
    ASSERT_EQ(
        kernel.bind(listener.get(), address.native(), address.native_size()),
        0);
    ASSERT_EQ(kernel.listen(listener.get(), 10), 0);
    const UniqueFd client(kernel.socket(AF_UNIX, SOCK_STREAM, 0), kernel);
    const std::uint64_t added = kernel.calls(KernelCall::kEpollAdd);
    finish(loop, sock_connect(client.get(), address));
    EXPECT_EQ(kernel.calls(KernelCall::kEpollAdd), added);
  }
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

TEST(SockConnect, RefusedNamesTheAddress) {
  EventLoop loop;
  Address nobody;
  {
    const Listener listener(linux_kernel());
    nobody = listener.address;
  }
  const UniqueFd client(linux_kernel().socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(
      thrown_by([&] { finish(loop, sock_connect(client.get(), nobody)); }),
      "std::system_error: Connect call failed " + to_string(nobody) +
          ": Connection refused");
}

TEST(SockConnect, EveryErrorIsToldAndAnInterruptionIsNone) {
  for (const int error_number : {EADDRNOTAVAIL, EAGAIN, ENETUNREACH}) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    const Listener listener(kernel);
    const UniqueFd client(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
    kernel.fail(KernelCall::kConnect, error_number);
    EXPECT_THROW(finish(loop, sock_connect(client.get(), listener.address)),
                 std::system_error);
  }
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd client(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
  kernel.fail(KernelCall::kGetsockopt, ENOBUFS);
  kernel.fail(KernelCall::kConnect, EINTR);
  EXPECT_THROW(
      finish(loop, sock_connect(client.get(), Address::inet("127.0.0.1", 9))),
      std::system_error);
}

// python/cpython#131728: the loop forgets the socket before it is closed.
TEST(SockConnect, ACancelLeavesNothingWatched) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Listener listener(kernel);
  UniqueFd client(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
  auto task = sock_connect(client.get(), listener.address).start(loop);
  ASSERT_FALSE(task.done());
  task.cancel();
  run_passes(loop, 2);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
  client.reset();
  run_passes(loop, 2);
}

TEST(SockAccept, ACancelLosesNoConnection) {
  EventLoop loop;
  Listener listener(linux_kernel());
  auto task = sock_accept(listener.socket.get()).start(loop);
  const UniqueFd client(linux_kernel().socket(AF_INET, SOCK_STREAM, 0));
  finish(loop, sock_connect(client.get(), listener.address));
  task.cancel();
  run_passes(loop, 2);
  if (task.cancelled()) {
    EXPECT_TRUE(finish(loop, sock_accept(listener.socket.get())).socket);
  }
}

TEST(SockAccept, EveryErrorIsTold) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  Listener listener(kernel);
  kernel.fail(KernelCall::kAccept, EMFILE);
  EXPECT_EQ(
      thrown_by([&] { finish(loop, sock_accept(listener.socket.get())); }),
      "std::system_error: sock_accept: Too many open files");
}

// -- whose socket it is -------------------------------------------------------

TEST(Sock, ASecondOperationInOneDirectionIsRefused) {
  Sockets s;
  auto first = sock_recv(s.a.get(), 100).start(s.loop);
  const std::string fd = std::to_string(s.a.get());
  EXPECT_EQ(
      thrown_by([&] { finish(s.loop, sock_recv(s.a.get(), 1)); }),
      "rondo::RuntimeError: sock_recv() called while another operation is "
      "waiting to read from file descriptor " +
          fd);
  // The other direction is free.
  finish(s.loop, sock_sendall(s.a.get(), "out"));
  EXPECT_EQ(read_text(s.b.get()), "out");
  write_text(s.b.get(), "in");
  ASSERT_TRUE(run_until(s.loop, [&] { return first.done(); }));
  EXPECT_EQ(first.result(), "in");
  // And so is this one again.
  write_text(s.b.get(), "more");
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 100)), "more");
}

TEST(Sock, TwoSendersAreRefused) {
  Sockets s;
  fill(s.a.get());
  auto first = sock_sendall(s.a.get(), "x").start(s.loop);
  EXPECT_EQ(
      thrown_by([&] { finish(s.loop, sock_sendall(s.a.get(), "x")); }),
      "rondo::RuntimeError: sock_sendall() called while another operation is "
      "waiting to write to file descriptor " +
          std::to_string(s.a.get()));
  first.cancel();
  run_passes(s.loop, 2);
}

TEST(Sock, ASocketOfATransportIsRefused) {
  test::TransportPair pair;
  const int fd = pair.transport->fd();
  EXPECT_EQ(thrown_by([&] { finish(pair.loop, sock_recv(fd, 1)); }),
            "rondo::RuntimeError: File descriptor " + std::to_string(fd) +
                " is used by a transport");
  write_text(pair.peer.get(), "x");
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.protocol->received == "x"; }));
  pair.transport->abort();
  pair.run_to_end();
  // The number is nobody's any more.
  EXPECT_THROW(finish(pair.loop, sock_recv(fd, 1)), std::system_error);

  test::DatagramPair datagrams;
  EXPECT_THROW(finish(datagrams.loop, sock_recvfrom(datagrams.bound->fd(), 1)),
               RuntimeError);
}

TEST(Sock, NoDescriptorIsAnInvalidArgument) {
  EventLoop loop;
  EXPECT_EQ(thrown_by([&] { finish(loop, sock_recv(-1, 1)); }),
            "std::invalid_argument: sock_recv: Invalid file descriptor: -1");
}

TEST(Sock, ABlockingSocketIsRefusedInDebugMode) {
  Sockets s;
  s.kernel.set_blocking(s.a.get(), true);
  s.loop.set_debug(true);
  const std::string refused =
      "std::invalid_argument: the socket must be non-blocking";
  const int fd = s.a.get();
  EXPECT_EQ(thrown_by([&] { finish(s.loop, sock_recv(fd, 1)); }), refused);
  EXPECT_EQ(thrown_by([&] { finish(s.loop, sock_sendall(fd, "x")); }), refused);
  EXPECT_EQ(thrown_by([&] { finish(s.loop, sock_accept(fd)); }), refused);
  EXPECT_EQ(thrown_by([&] { finish(s.loop, sock_sendfile(fd, 0)); }), refused);
  s.kernel.set_blocking(s.a.get(), false);
  finish(s.loop, sock_sendall(fd, "x"));
}

TEST(Sock, ADescriptorThatIsNotOpenIsNotTakenForABlockingOne) {
  EventLoop loop;
  loop.set_debug(true);
  const int closed = Pipe().reader.get();
  EXPECT_EQ(thrown_by([&] { finish(loop, sock_recv(closed, 1)); }),
            "std::system_error: sock_recv: Bad file descriptor");
}

TEST(Sock, NotEvenABlockingSocketHoldsUpTheLoop) {
  Sockets s;
  s.kernel.set_blocking(s.a.get(), true);
  auto task = sock_recv(s.a.get(), 100).start(s.loop);
  run_passes(s.loop, 2);
  EXPECT_FALSE(task.done());
  write_text(s.b.get(), "x");
  ASSERT_TRUE(run_until(s.loop, [&] { return task.done(); }));
}

TEST(Sock, ADescriptorThatCannotBeWatchedIsToldOf) {
  Sockets s;
  s.kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(finish(s.loop, sock_recv(s.a.get(), 1)), std::system_error);
  // It is free again.
  write_text(s.b.get(), "x");
  EXPECT_EQ(finish(s.loop, sock_recv(s.a.get(), 1)), "x");
}

TEST(Sock, ALoopThatIsClosedForgetsWhoWaits) {
  const LogCapture quiet;  // pending tasks are reported
  auto pair = connected_pair(linux_kernel());
  EventLoop loop;
  const auto task = sock_recv(pair.first.get(), 1).start(loop);
  const auto other =
      sock_sendall(pair.first.get(), std::string(1 << 22, 'x')).start(loop);
  run_passes(loop, 2);
  loop.close();
}

// -- coroutines ---------------------------------------------------------------

Coro<> echo_server(int listener) {
  const AcceptedSocket client = co_await sock_accept(listener);
  for (;;) {
    std::string data = co_await sock_recv(client.socket.get(), 100);
    if (data.empty()) co_return;
    co_await sock_sendall(client.socket.get(), std::move(data));
  }
}

Coro<std::string> echo_client(const Address& server) {
  const UniqueFd socket(linux_kernel().socket(AF_INET, SOCK_STREAM, 0));
  co_await sock_connect(socket.get(), server);
  std::string answers;
  for (const char* text : {"one", "two"}) {
    co_await sock_sendall(socket.get(), text);
    answers += co_await sock_recv(socket.get(), 100);
  }
  co_return answers;
}

Coro<std::string> talk() {
  Listener listener(linux_kernel());
  auto serving =
      create_task(get_running_loop(), echo_server(listener.socket.get()));
  std::string answers = co_await echo_client(listener.address);
  co_await serving;
  co_return answers;
}

TEST(Sock, CanBeAwaited) { EXPECT_EQ(run(talk()), "onetwo"); }

}  // namespace
}  // namespace rondo
