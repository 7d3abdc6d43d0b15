// SPDX-License-Identifier: MIT
#include "net/create_connection.h"

#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "futures/exception_group.h"
#include "futures/task.h"
#include "net/getaddrinfo.h"
#include "net/server.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/net/fake_names.h"
#include "test/net/transport_pair.h"

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using std::string_literals::operator""s;
using test::Calls;
using test::errno_of;
using test::FakeName;
using test::finish;
using test::Recorder;
using test::thrown_by;

Address name_of(int fd) {
  ::sockaddr_storage storage;
  ::socklen_t size = sizeof storage;
  auto* native = reinterpret_cast<::sockaddr*>(&storage);
  return ::getsockname(fd, native, &size) == 0
             ? Address::from_native(native, size)
             : Address();
}

/// A socket that listens, of the test's own.
struct Listener {
  explicit Listener(const std::string& host = "127.0.0.1", int backlog = 16)
      : socket(
            ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const Address any = Address::inet(host, 0);
    EXPECT_EQ(::bind(socket.get(), any.native(), any.native_size()), 0);
    EXPECT_EQ(::listen(socket.get(), backlog), 0);
    address = name_of(socket.get());
  }
  /// Nobody else can connect: the kernel drops what asks for it.
  void fill() {
    for (int count = 0; count < 4; ++count) {
      fillers.emplace_back(
          ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(fillers.back().get(), address.native(), address.native_size());
    }
  }
  UniqueFd accept() const {
    return UniqueFd(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  UniqueFd socket;
  Address address;
  std::vector<UniqueFd> fillers;
};

/// An address at which nobody listens.
Address refused_address(const std::string& host = "127.0.0.1") {
  return Listener(host).address;
}

/// Scripted, in virtual time. Writes down who is connected to, and which
/// descriptors are closed that the loop still watches.
struct ConnectKernel : private detail::OwnedVirtualKernel,
                       public ScriptedKernel {
  ConnectKernel() : ScriptedKernel(virtual_kernel) {}
  using OwnedVirtualKernel::virtual_kernel;

  int connect(int fd, const ::sockaddr* address,
              unsigned size) noexcept override {
    order.push_back(Address::from_native(address, size));
    const int answer = ScriptedKernel::connect(fd, address, size);
    if (!interrupts) return answer;
    errno = EINTR;  // it goes on all the same
    return -1;
  }
  int epoll_ctl(int epoll_fd, int operation, int fd,
                ::epoll_event* event) noexcept override {
    const int answer =
        ScriptedKernel::epoll_ctl(epoll_fd, operation, fd, event);
    if (answer == 0 && operation == EPOLL_CTL_ADD) watched.insert(fd);
    if (operation == EPOLL_CTL_DEL) watched.erase(fd);
    return answer;
  }
  int close(int fd) noexcept override {
    if (watched.erase(fd) != 0 && !ending) closed_while_watched.push_back(fd);
    return ScriptedKernel::close(fd);
  }

  bool interrupts = false;
  std::vector<Address> order;
  std::set<int> watched;
  std::vector<int> closed_while_watched;
  bool ending = false;
};

struct World {
  World() { kernel.virtual_kernel.wait_for_work_of(loop.remote_queue()); }
  ~World() {
    connection = Connection();
    kernel.ending = true;
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(kernel.closed_while_watched, std::vector<int>());
  }
  ProtocolFactory factory() {
    return [this] {
      ++factories;
      return protocol;
    };
  }
  template <class Operation>
  std::exception_ptr failure_of(Operation operation) {
    try {
      connection = finish(loop, std::move(operation));
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  ConnectKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  int factories = 0;
  Connection connection;
};

// -- one address --------------------------------------------------------------

TEST(CreateConnection, ConnectsToAnAddress) {
  const Listener listener;
  for (const bool by_name : {false, true}) {
    World world;
    world.connection =
        finish(world.loop,
               by_name ? create_connection(world.factory(), "127.0.0.1",
                                           listener.address.port())
                       : create_connection(world.factory(), listener.address));
    const UniqueFd peer = listener.accept();
    EXPECT_TRUE(peer);
    EXPECT_EQ(world.factories, 1);
    EXPECT_EQ(world.connection.protocol, world.protocol);
    EXPECT_EQ(world.protocol->calls, Calls{"made"});
    Transport& t = *world.connection.transport;
    EXPECT_EQ(t.peername(), listener.address);
    EXPECT_EQ(t.sockname(), name_of(t.fd()));
    int on = 0;
    ::socklen_t size = sizeof on;
    ::getsockopt(t.fd(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
    EXPECT_EQ(on, 1);
    t.write("hello");
    run_one_pass(world.loop);
    char text[6] = {};
    EXPECT_EQ(::recv(peer.get(), text, 5, 0), 5);
    EXPECT_STREQ(text, "hello");
  }
}

TEST(CreateConnection, SaysWhoRefused) {
  World world;
  const Address nobody = refused_address();
  const auto error =
      world.failure_of(create_connection(world.factory(), nobody));
  EXPECT_EQ(describe(error), "std::system_error: Connect call failed " +
                                 to_string(nobody) + ": Connection refused");
  EXPECT_EQ(errno_of(error), ECONNREFUSED);
  EXPECT_EQ(world.factories, 0);
}

TEST(CreateConnection, EachCallThatFailsLeavesNothingOpen) {
  const Listener listener;
  const std::string to = to_string(listener.address);
  const std::string from = "('127.0.0.1', 0)";
  const std::vector<std::pair<KernelCall, std::string>> calls = {
      {KernelCall::kSocket, "socket " + to},
      {KernelCall::kBind, "error while attempting to bind on address " + from},
      {KernelCall::kConnect, "Connect call failed " + to},
      {KernelCall::kGetsockopt, "Connect call failed " + to},
      {KernelCall::kEpollAdd, ""},
  };
  for (const auto& [call, text] : calls) {
    World world;
    world.kernel.fail(call, ENOMEM);
    const auto error = world.failure_of(create_connection(
        world.factory(), listener.address,
        ConnectOptions().local_address(Address::inet("127.0.0.1", 0))));
    EXPECT_EQ(errno_of(error), ENOMEM) << to_string(call);
    EXPECT_TRUE(describe(error).starts_with("std::system_error: " + text))
        << describe(error);
    EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u);
  }
}

TEST(CreateConnection, GoesOnAfterAnInterruptedConnect) {
  const Listener listener;
  World world;
  world.kernel.interrupts = true;
  EXPECT_EQ(
      world.failure_of(create_connection(world.factory(), listener.address)),
      nullptr);
  EXPECT_EQ(world.connection.transport->peername(), listener.address);
}

TEST(CreateConnection, ConnectsFromALocalAddress) {
  const Listener listener;
  World world;
  const Address local = Address::inet("127.0.0.9", 0);
  ConnectOptions options;
  options.local_address(local);
  EXPECT_EQ(options.local_address(), local);
  world.connection =
      finish(world.loop,
             create_connection(world.factory(), listener.address, options));
  EXPECT_EQ(world.connection.transport->sockname().host(), "127.0.0.9");
  // One that is not this machine's.
  const Address other = Address::inet("192.0.2.1", 0);
  EXPECT_EQ(describe(world.failure_of(
                create_connection(world.factory(), listener.address,
                                  ConnectOptions().local_address(other)))),
            "std::system_error: error while attempting to bind on address "
            "('192.0.2.1', 0): Cannot assign requested address");
}

TEST(CreateConnection, TakesASocketThatIsConnected) {
  World world;
  auto [mine, peer] = test::connected_pair(world.kernel);
  const int fd = mine.get();
  world.connection =
      finish(world.loop, create_connection(world.factory(), std::move(mine)));
  EXPECT_EQ(world.connection.transport->fd(), fd);
  write_text(peer.get(), "hello");
  EXPECT_TRUE(run_until(world.loop,
                        [&] { return world.protocol->received == "hello"; }));
}

TEST(CreateConnection, ConnectsToUnixSockets) {
  char dir[] = "/tmp/rondo-connect-XXXXXX";
  ASSERT_NE(::mkdtemp(dir), nullptr);
  for (const std::string& path : {dir + "/socket"s, "\0rondo-test-"s + dir}) {
    World world;
    const auto serving = std::make_shared<Recorder>();
    const Server server =
        finish(world.loop, create_unix_server([&] { return serving; }, path));
    world.connection =
        finish(world.loop, create_unix_connection(world.factory(), path));
    EXPECT_EQ(world.connection.transport->peername().path(), path);
    world.connection.transport->write("hello");
    EXPECT_TRUE(
        run_until(world.loop, [&] { return serving->received == "hello"; }));
  }
  World world;
  EXPECT_EQ(errno_of(world.failure_of(
                create_unix_connection(world.factory(), dir + "/socket"s))),
            ECONNREFUSED);
  EXPECT_EQ(errno_of(world.failure_of(
                create_unix_connection(world.factory(), dir + "/none"s))),
            ENOENT);
  EXPECT_THROW(static_cast<void>(create_unix_connection(world.factory(),
                                                        std::string(108, 'x'))),
               std::invalid_argument);
  std::filesystem::remove_all(dir);
}

TEST(CreateConnection, FailsIfAUnixSocketHasNoRoom) {
  World world;
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = Address::unix_path("");
  ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const std::string path = name_of(listener.get()).path();
  std::vector<Connection> connections;
  std::exception_ptr error;
  while (error == nullptr && connections.size() < 5) {
    error = world.failure_of(create_unix_connection(world.factory(), path));
    connections.push_back(std::move(world.connection));
  }
  // asyncio takes this for a connection in progress, and then for an open one.
  EXPECT_EQ(errno_of(error), EAGAIN);
}

TEST(CreateConnection, RefusesNoAddressAndNoSocket) {
  World world;
  EXPECT_THROW(static_cast<void>(create_connection(world.factory(), Address())),
               std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(create_connection(world.factory(), UniqueFd())),
      std::invalid_argument);
}

TEST(CreateConnection, TakesNoSocketButAStream) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const auto connecting = [&](int kind) {
    UniqueFd socket(kernel.socket(AF_INET, kind, 0), kernel);
    const std::string fd = std::to_string(socket.get());
    std::string thrown = thrown_by([&] {
      finish(loop,
             create_connection([] { return std::make_shared<Recorder>(); },
                               std::move(socket)));
    });
    if (const std::size_t at = thrown.find("fd " + fd); at != thrown.npos) {
      thrown.replace(at + 3, fd.size(), "N");
    }
    return thrown;
  };
  EXPECT_EQ(connecting(SOCK_DGRAM),
            "std::invalid_argument: A Stream Socket was expected, got fd N of "
            "type 2");
  kernel.fail(KernelCall::kGetsockopt, ENOTSOCK);
  EXPECT_EQ(connecting(SOCK_STREAM),
            "std::system_error: SO_TYPE of fd N: Socket operation on "
            "non-socket");
  loop.close();
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

TEST(CreateConnection, PassesOnWhatTheFactoryThrows) {
  const Listener listener;
  World world;
  EXPECT_EQ(describe(world.failure_of(create_connection(
                []() -> std::shared_ptr<BaseProtocol> {
                  throw std::runtime_error("none today");
                },
                listener.address))),
            "std::runtime_error: none today");
  EXPECT_EQ(describe(world.failure_of(create_connection(
                []() -> std::shared_ptr<BaseProtocol> { return nullptr; },
                listener.address))),
            "std::invalid_argument: set_protocol: no protocol");
}

// -- names --------------------------------------------------------------------

TEST(CreateConnection, PassesOnWhatTheLookUpFailsWith) {
  const FakeName none("none.test", EAI_NONAME);
  const FakeName later("later.test", EAI_AGAIN);
  World world;
  EXPECT_EQ(describe(world.failure_of(
                create_connection(world.factory(), "none.test", 1))),
            "rondo::GaiError: [Errno -2] Name or service not known: "
            "'none.test'");
  EXPECT_EQ(describe(world.failure_of(
                create_connection(world.factory(), "later.test", 1))),
            "rondo::GaiError: [Errno -3] Temporary failure in name resolution: "
            "'later.test'");
  EXPECT_THROW(
      std::rethrow_exception(world.failure_of(create_connection(
          world.factory(), "::1", 1, ConnectOptions().family(AF_INET)))),
      GaiError);
}

TEST(CreateServer, HearsOfOneFailedLookUpOnly) {
  const FakeName none("none.test", EAI_NONAME);
  const FakeName later("later.test", EAI_AGAIN);
  World world;
  const std::vector<std::string> hosts = {"none.test", "later.test"};
  EXPECT_THROW(finish(world.loop, create_server(world.factory(), hosts, 0)),
               GaiError);
  run_passes(world.loop, 5);
  // Nobody has asked for the other one: that is no forgotten exception.
  EXPECT_EQ(world.reports.messages, Calls());
}

TEST(CreateConnection, TakesAddressesInTurnByTheirKind) {
  const std::vector<Address> given = {
      Address::inet("::1", 1), Address::inet("::2", 1), Address::inet("::3", 1),
      Address::inet("127.0.0.1", 1), Address::inet("127.0.0.2", 1)};
  const FakeName name("both.test", given);
  World world;
  world.kernel.fail(KernelCall::kConnect, ENETUNREACH,
                    {.times = ScriptedKernel::kForever});
  world.failure_of(create_connection(world.factory(), "both.test", 1));
  EXPECT_EQ(
      world.kernel.order,
      (std::vector<Address>{given[0], given[3], given[1], given[4], given[2]}));
}

TEST(CreateConnection, TriesTheNextAddressWhenOneFails) {
  const Listener listener;
  const FakeName name("two.test",
                      {refused_address("127.0.0.3"), listener.address});
  World world;
  EXPECT_EQ(world.failure_of(create_connection(world.factory(), "two.test", 1)),
            nullptr);
  EXPECT_EQ(world.connection.transport->peername(), listener.address);
  EXPECT_EQ(world.factories, 1);
}

TEST(CreateConnection, TellsOfAllErrorsInOneText) {
  const Address first = refused_address("127.0.0.3");
  const Address second = refused_address("127.0.0.4");
  const FakeName name("two.test", {first, second});
  World world;
  const std::string text = describe(
      world.failure_of(create_connection(world.factory(), "two.test", 1)));
  EXPECT_TRUE(text.starts_with("std::system_error: Multiple exceptions: "))
      << text;
  EXPECT_NE(text.find(to_string(first)), std::string::npos);
  EXPECT_NE(text.find(to_string(second)), std::string::npos);
  const FakeName same("same.test", {first, first});
  EXPECT_EQ(describe(world.failure_of(
                create_connection(world.factory(), "same.test", 1))),
            "std::system_error: Connect call failed " + to_string(first) +
                ": Connection refused");
}

TEST(CreateConnection, GivesAllErrorsIfAsked) {
  const FakeName name(
      "two.test", {refused_address("127.0.0.3"), refused_address("127.0.0.4")});
  World world;
  try {
    finish(world.loop, create_connection(world.factory(), "two.test", 1,
                                         ConnectOptions().all_errors(true)));
    FAIL();
  } catch (const ExceptionGroup& group) {
    ASSERT_EQ(group.exceptions().size(), 2u);
    EXPECT_EQ(errno_of(group.exceptions()[0]), ECONNREFUSED);
    EXPECT_EQ(errno_of(group.exceptions()[1]), ECONNREFUSED);
  }
}

TEST(CreateConnection, GivesAllErrorsOfOneAddressIfAsked) {
  World world;
  const Address nobody = refused_address("127.0.0.1");
  try {
    finish(world.loop, create_connection(world.factory(), nobody,
                                         ConnectOptions().all_errors(true)));
    FAIL();
  } catch (const ExceptionGroup& group) {
    ASSERT_EQ(group.exceptions().size(), 1u);
    EXPECT_EQ(errno_of(group.exceptions()[0]), ECONNREFUSED);
  }
}

// -- happy eyeballs ----------------------------------------------------------

TEST(CreateConnection, DoesNotWaitForASlowAddress) {
  Listener slow("127.0.0.5", 0);
  slow.fill();
  const Listener fast;
  const FakeName name("two.test", {slow.address, fast.address});
  World world;
  auto task =
      create_connection(world.factory(), "two.test", 1).start(world.loop);
  EXPECT_TRUE(
      run_until(world.loop, [&] { return world.kernel.order.size() == 1; }));
  run_passes(world.loop, 3);
  world.kernel.virtual_kernel.spend(249ms);
  run_passes(world.loop, 3);
  EXPECT_EQ(world.kernel.order.size(), 1u);
  world.kernel.virtual_kernel.spend(2ms);
  EXPECT_TRUE(run_until(world.loop, [&] { return task.done(); }));
  EXPECT_EQ(world.kernel.order,
            (std::vector<Address>{slow.address, fast.address}));
  world.connection = task.take_result();
  EXPECT_EQ(world.connection.transport->peername(), fast.address);
  // The loser's socket is closed: the winner's and the loop's two are left.
  EXPECT_EQ(world.kernel.open_descriptors().size(), 3u);
  EXPECT_EQ(world.loop.snapshot().descriptors.size(), 1u);
  EXPECT_EQ(world.loop.snapshot().timers.size(), 0u);
}

TEST(CreateConnection, TriesOneAfterTheOtherWithoutADelay) {
  Listener slow("127.0.0.5", 0);
  slow.fill();
  const Listener fast;
  const FakeName name("two.test", {slow.address, fast.address});
  World world;
  ConnectOptions options;
  options.happy_eyeballs_delay(Duration::max());
  EXPECT_EQ(options.happy_eyeballs_delay(), Duration::max());
  auto task = create_connection(world.factory(), "two.test", 1, options)
                  .start(world.loop);
  EXPECT_TRUE(
      run_until(world.loop, [&] { return world.kernel.order.size() == 1; }));
  world.kernel.virtual_kernel.spend(std::chrono::hours(1));
  run_passes(world.loop, 5);
  EXPECT_FALSE(task.done());
  EXPECT_EQ(world.kernel.order.size(), 1u);
  task.cancel();
  EXPECT_TRUE(run_until(world.loop, [&] { return task.done(); }));
}

// -- cancelling ---------------------------------------------------------------

// A cancel at every pass closes every socket, after the loop has forgotten it.
TEST(CreateConnection, ACancelAtAnyStepClosesWhatIsOpen) {
  Listener slow("127.0.0.5", 0);
  slow.fill();
  const Listener fast;
  const FakeName name("two.test", {slow.address, fast.address});
  int completed = 0;
  for (int step = 0; completed == 0; ++step) {
    ASSERT_LT(step, 100);
    World world;
    auto task = create_task(world.loop,
                            create_connection(world.factory(), "two.test", 1));
    for (int pass = 0; pass < step && !task.done(); ++pass) {
      // The look-up takes as long as it takes.
      if (pass == 2) {
        run_until(world.loop, [&] { return !world.kernel.order.empty(); });
      }
      world.kernel.virtual_kernel.spend(100ms);
      run_one_pass(world.loop);
    }
    task.cancel();
    ASSERT_TRUE(run_until(world.loop, [&] { return task.done(); }));
    if (!task.cancelled()) {
      world.connection = task.take_result();
      ++completed;
      EXPECT_GT(step, 5);
      continue;
    }
    run_passes(world.loop, 3);
    EXPECT_EQ(world.kernel.open_descriptors().size(), 2u) << step;
    EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u) << step;
    EXPECT_EQ(world.loop.snapshot().timers.size(), 0u) << step;
    EXPECT_EQ(world.reports.messages, Calls());
    // Who was told of the beginning is told of the end.
    if (!world.protocol->calls.empty()) {
      EXPECT_EQ(world.protocol->calls, (Calls{"made", "lost"}));
    }
  }
}

TEST(CreateConnection, AnEndOfTheLoopAtAnyStepClosesWhatIsOpen) {
  Listener slow("127.0.0.5", 0);
  slow.fill();
  const Listener fast;
  const FakeName name("two.test", {slow.address, fast.address});
  for (int step = 0; step < 20; ++step) {
    World world;
    auto task = create_task(world.loop,
                            create_connection(world.factory(), "two.test", 1));
    for (int pass = 0; pass < step; ++pass) {
      if (pass == 2) {
        run_until(world.loop, [&] { return !world.kernel.order.empty(); });
      }
      world.kernel.virtual_kernel.spend(100ms);
      run_one_pass(world.loop);
    }
    world.kernel.ending = true;
    world.loop.close();
    EXPECT_LE(world.protocol->losses, 1);
  }
}

TEST(CreateConnection, MayBeDroppedBeforeItHasBegun) {
  World world;
  {
    auto [mine, peer] = test::connected_pair(world.kernel);
    CreateConnection dropped =
        create_connection(world.factory(), std::move(mine));
    const CreateConnection moved = std::move(dropped);
  }
  EXPECT_EQ(world.factories, 0);
  EXPECT_EQ(world.kernel.open_descriptors().size(), 2u);
}

}  // namespace
}  // namespace rondo
