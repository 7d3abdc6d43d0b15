// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/server.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/net/transport_pair.h"
#include "test/support/child_process.h"
#include "test/support/scale.h"

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using test::Calls;
using test::errno_of;
using test::finish;
using test::Recorder;

constexpr auto kForever = ScriptedKernel::kForever;
constexpr const char* kReport = "socket.accept() out of system resource";

/// The kernel's descriptors are real, time is not.
struct VirtualScriptedKernel : private detail::OwnedVirtualKernel,
                               public ScriptedKernel {
  VirtualScriptedKernel() : ScriptedKernel(virtual_kernel) {}
  using OwnedVirtualKernel::virtual_kernel;
};

/// What comes at the client's end: what was sent, or the errno.
std::string answer_at(int fd) {
  char memory[100];
  const ssize_t size = ::recv(fd, memory, sizeof memory, MSG_DONTWAIT);
  if (size >= 0) return std::string(memory, static_cast<std::size_t>(size));
  return errno == ECONNRESET ? "reset" : errno == EAGAIN ? "waits" : "fails";
}

/// A server that greets, and clients outside of the loop.
struct AcceptWorld {
  explicit AcceptWorld(std::function<void(ScriptedKernel&)> before = {}) {
    if (before) before(kernel);
    server = finish(loop, create_server(
                              [this] {
                                auto one = std::make_shared<Recorder>();
                                one->on_made = [r = one.get()] {
                                  r->transport->write("hello");
                                };
                                made.push_back(one);
                                return one;
                              },
                              "127.0.0.1", 0));
  }
  ~AcceptWorld() {
    clients.clear();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  int connect() {
    const Address address = server.sockets().at(0).getsockname();
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(clients.back().get(), address.native(),
                        address.native_size()),
              0);
    return clients.back().get();
  }
  /// Lets the loop work, and time go on.
  void spend(Duration duration) {
    kernel.virtual_kernel.spend(duration);
    run_passes(loop, 4);
  }
  std::string answer(int fd) {
    run_passes(loop, 4);
    return answer_at(fd);
  }

  VirtualScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::vector<std::shared_ptr<Recorder>> made;
  std::vector<UniqueFd> clients;
  Server server;
};

// -- R11: no descriptor left --------------------------------------------------

TEST(AcceptFaults, WhoCannotBeServedIsReset) {
  for (const int error_number : {EMFILE, ENFILE}) {
    AcceptWorld world;
    const std::size_t open = world.kernel.open_descriptors().size();
    world.kernel.fail(KernelCall::kAccept, error_number);
    const int one = world.connect();
    const int two = world.connect();
    EXPECT_EQ(world.answer(one), "reset");
    EXPECT_EQ(world.answer(two), "reset");
    EXPECT_EQ(world.made.size(), 0u);
    EXPECT_EQ(world.kernel.open_descriptors().size(), open);
    EXPECT_EQ(world.reports.messages, Calls{kReport});
    // The server looks again after a second, not before.
    const int three = world.connect();
    EXPECT_EQ(world.answer(three), "waits");
    world.spend(999ms);
    EXPECT_EQ(world.answer(three), "waits");
    world.spend(2ms);
    EXPECT_EQ(world.answer(three), "hello");
  }
}

// No descriptor of ours would help where there is no memory.
TEST(AcceptFaults, WhoFindsNoMemoryWaits) {
  for (const int error_number : {ENOBUFS, ENOMEM}) {
    AcceptWorld world;
    world.kernel.fail(KernelCall::kAccept, error_number);
    const int client = world.connect();
    EXPECT_EQ(world.answer(client), "waits");
    EXPECT_EQ(world.reports.messages, Calls{kReport});
    world.spend(1001ms);
    EXPECT_EQ(world.answer(client), "hello");
  }
}

TEST(AcceptFaults, AShortageIsReportedOnce) {
  AcceptWorld world;
  world.kernel.fail(KernelCall::kAccept, EMFILE, {.times = kForever});
  for (int second = 0; second < 60; ++second) {
    world.connect();
    world.spend(1001ms);
  }
  EXPECT_EQ(world.reports.messages, Calls{kReport});
  // A wait that found nobody has no answer for those who came later.
  world.kernel.stop_failing();
  world.spend(10s);
  EXPECT_EQ(world.made.size(), 60u);
  world.kernel.fail(KernelCall::kAccept, EMFILE);
  world.connect();
  world.spend(1ms);
  EXPECT_EQ(world.reports.messages, (Calls{kReport, kReport}));
}

TEST(AcceptFaults, AnEndOfAConnectionEndsThePause) {
  AcceptWorld world;
  const int first = world.connect();
  EXPECT_EQ(world.answer(first), "hello");
  world.kernel.fail(KernelCall::kAccept, EMFILE);
  EXPECT_EQ(world.answer(world.connect()), "reset");
  const int third = world.connect();
  EXPECT_EQ(world.answer(third), "waits");
  world.made[0]->transport->close();
  EXPECT_EQ(world.answer(third), "hello") << "no time has passed";
}

// accept(2) wants a descriptor before it looks whether anybody waits.
TEST(AcceptFaults, NobodyWaitingIsNoShortage) {
  AcceptWorld world;
  world.kernel.fail(KernelCall::kAccept, EMFILE, {.from_call = 2});
  EXPECT_EQ(world.answer(world.connect()), "hello");
  EXPECT_EQ(world.kernel.failures(), 1u);
  EXPECT_EQ(world.reports.messages, Calls());
  EXPECT_EQ(world.answer(world.connect()), "hello");
  EXPECT_EQ(world.loop.snapshot().timers.size(), 0u);
}

TEST(AcceptFaults, WithoutAReserveTheClientsWait) {
  bool failed = false;
  AcceptWorld world([&](ScriptedKernel& kernel) {
    kernel.fail(KernelCall::kEventfd, EMFILE, {.times = kForever});
    failed = true;
  });
  ASSERT_TRUE(failed);
  world.kernel.fail(KernelCall::kAccept, EMFILE);
  const int client = world.connect();
  EXPECT_EQ(world.answer(client), "waits");
  EXPECT_EQ(world.reports.messages, Calls{kReport});
  // Meanwhile there is one again.
  world.kernel.stop_failing();
  world.spend(1001ms);
  EXPECT_EQ(world.answer(client), "hello");
  world.kernel.fail(KernelCall::kAccept, EMFILE);
  EXPECT_EQ(world.answer(world.connect()), "reset");
}

TEST(AcceptFaults, AReserveThatIsLostToSomebodyElseIsNotMissed) {
  AcceptWorld world;
  world.kernel.fail(KernelCall::kAccept, EMFILE, {.times = 2});
  world.kernel.fail(KernelCall::kEventfd, EMFILE);
  const int client = world.connect();
  EXPECT_EQ(world.answer(client), "waits");
  world.spend(1001ms);
  EXPECT_EQ(world.answer(client), "hello");
}

TEST(AcceptFaults, ThoseTurnedAwayInOnePassAreNoMoreThanTheBacklog) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  Server server =
      finish(loop, create_server([] { return std::make_shared<Recorder>(); },
                                 "127.0.0.1", 0, ServerOptions().backlog(4)));
  const Address address = server.sockets().at(0).getsockname();
  std::vector<UniqueFd> clients;
  for (int count = 0; count < 5; ++count) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), address.native(),
                        address.native_size()),
              0);
  }
  kernel.fail(KernelCall::kAccept, EMFILE);
  const std::uint64_t before = kernel.calls(KernelCall::kAccept);
  run_passes(loop, 1);
  EXPECT_EQ(kernel.calls(KernelCall::kAccept) - before, 5u);
  server.close();
}

// -- the same with a limit that is real ---------------------------------------

/// Echoes until somebody says "quit".
class EchoUntilQuit final : public Protocol {
 public:
  void connection_made(Transport& transport) override {
    transport_ = &transport;
  }
  void data_received(std::string_view data) override {
    if (data == "quit") transport_->loop().stop();
    transport_->write(data);
  }

 private:
  Transport* transport_ = nullptr;
};

/// What a server has seen that may open 64 descriptors in all.
std::string serve_with_64_descriptors(UniqueFd listener) {
  ::rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 64;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const Server server = finish(
      loop, create_server([] { return std::make_unique<EchoUntilQuit>(); },
                          std::move(listener), ServerOptions().backlog(512)));
  loop.run_forever();
  const std::uint64_t waits = kernel.calls(KernelCall::kEpollWait) +
                              kernel.calls(KernelCall::kEpollPwait2);
  return std::to_string(reports.messages.size()) + " reports, " +
         (waits < 2'000 ? "no spin" : std::to_string(waits) + " waits");
}

/// A client that does not wait for ever.
struct Client {
  explicit Client(const Address& address)
      : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ::timeval patience{30, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof patience);
    EXPECT_EQ(::connect(socket.get(), address.native(), address.native_size()),
              0);
  }
  /// Whether an answer comes to `text`, and not a reset.
  bool ask(std::string_view text) {
    char answer[16];
    if (::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) {
      return false;
    }
    const ssize_t size = ::recv(socket.get(), answer, sizeof answer, 0);
    EXPECT_FALSE(size < 0 && errno == EAGAIN) << "left without an answer";
    return size == static_cast<ssize_t>(text.size());
  }
  UniqueFd socket;
};

TEST(AcceptFaults, AServerAtItsLimitAnswersAllAndDoesNotSpin) {
  if (test::kIsSanitized) {
    GTEST_SKIP() << "the sanitizer looks at memory through a pipe, and there "
                    "is no descriptor for one";
  }
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::inet("127.0.0.1", 0);
  ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
  ASSERT_EQ(::listen(listener.get(), 512), 0);
  ::sockaddr_storage storage;
  ::socklen_t size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  ASSERT_EQ(::getsockname(listener.get(), native, &size), 0);
  const Address address = Address::from_native(native, size);

  ChildProcess child;
  if (child.begin()) child.end(serve_with_64_descriptors(std::move(listener)));
  listener.reset();
  std::vector<Client> clients;
  for (int count = 0; count < 200; ++count) clients.emplace_back(address);
  std::vector<std::size_t> served;
  for (std::size_t index = 0; index < clients.size(); ++index) {
    if (clients[index].ask("hello")) served.push_back(index);
  }
  ASSERT_GT(served.size(), 20u);
  EXPECT_LT(served.size(), 64u);
  for (const std::size_t index : served) {
    EXPECT_TRUE(clients[index].ask("still there?"));
  }
  // One place gets free. Who comes then may still meet the pause's end.
  clients[served.back()].socket.reset();
  bool again = false;
  for (int tries = 0; tries < 200 && !again; ++tries) {
    again = Client(address).ask("hello");
  }
  EXPECT_TRUE(again);
  clients[served.front()].ask("quit");  // the loop ends before it answers
  EXPECT_EQ(child.story(), "1 reports, no spin");
}

// -- R12 and N3: gone before it was accepted ----------------------------------

TEST(AcceptFaults, AResetInTheQueueIsTheEndOfThatConnectionOnly) {
  AcceptWorld world;
  world.connect();
  const ::linger now{1, 0};
  ::setsockopt(world.clients[0].get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  world.clients[0].reset();
  const int second = world.connect();
  EXPECT_EQ(world.answer(second), "hello");
  ASSERT_EQ(world.made.size(), 2u);
  ASSERT_TRUE(run_until(world.loop, [&] { return world.made[0]->losses > 0; }));
  // The greeting could not be sent either: whichever is seen first.
  const int error_number = errno_of(world.made[0]->error);
  EXPECT_TRUE(error_number == ECONNRESET || error_number == EPIPE)
      << error_number;
  EXPECT_EQ(world.made[0]->losses, 1);
  EXPECT_EQ(world.reports.messages, Calls());
}

// Linux forgets the name of a peer that is gone.
TEST(AcceptFaults, APeerWithoutANameIsAConnectionAllTheSame) {
  AcceptWorld world;
  world.kernel.fail(KernelCall::kGetpeername, ENOTCONN, {.times = kForever});
  world.kernel.fail(KernelCall::kGetsockname, EINVAL, {.times = kForever});
  EXPECT_EQ(world.answer(world.connect()), "hello");
  EXPECT_EQ(to_string(world.made.at(0)->transport->sockname()), "None");
  EXPECT_EQ(world.reports.messages, Calls());
}

}  // namespace
}  // namespace rondo
