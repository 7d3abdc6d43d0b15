// SPDX-License-Identifier: MIT
#include "net/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/task.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/net/transport_pair.h"

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using std::string_literals::operator""s;
using test::Calls;
using test::errno_of;
using test::finish;
using test::Recorder;
using test::thrown_by;

constexpr auto kForever = ScriptedKernel::kForever;

/// A loop with a scripted kernel, and the protocols that a server has made.
template <class Loop>
struct World {
  ~World() {
    clients.clear();
    made.clear();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  ProtocolFactory factory() {
    return [this]() -> std::shared_ptr<BaseProtocol> {
      if (on_make) on_make();
      made.push_back(std::make_shared<Recorder>());
      return made.back();
    };
  }
  Server serve(const ServerOptions& options = ServerOptions()) {
    return finish(loop, create_server(factory(), "127.0.0.1", 0, options));
  }
  /// Connects so many sockets, from outside of the loop.
  void connect(const Address& address, int count = 1) {
    for (int n = 0; n < count; ++n) {
      UniqueFd socket(
          ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(
          ::connect(socket.get(), address.native(), address.native_size()), 0);
      clients.push_back(std::move(socket));
    }
  }
  bool run_until_made(std::size_t count) {
    return run_until(loop, [&] { return made.size() >= count; });
  }

  ScriptedKernel kernel;
  Loop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::vector<std::shared_ptr<Recorder>> made;
  std::vector<UniqueFd> clients;
  std::function<void()> on_make;
};
using ServerWorld = World<EventLoop>;

/// The same in virtual time: the kernel's descriptors are real.
struct VirtualScriptedKernel : private detail::OwnedVirtualKernel,
                               public ScriptedKernel {
  VirtualScriptedKernel() : ScriptedKernel(virtual_kernel) {}
  using OwnedVirtualKernel::virtual_kernel;
};

const Address& address_of(const Server& server, std::size_t index = 0) {
  static Address address;
  address = server.sockets().at(index).getsockname();
  return address;
}

struct TempDir {
  TempDir() {
    char name[] = "/tmp/rondo-server-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

// -- listening ----------------------------------------------------------------

TEST(Server, ListensOnAPortOfTheKernelsChoice) {
  ServerWorld world;
  const Server server = world.serve();
  ASSERT_EQ(server.sockets().size(), 1u);
  const Address address = address_of(server);
  EXPECT_NE(address.port(), 0);
  EXPECT_EQ(address.host(), "127.0.0.1");
  EXPECT_TRUE(server.is_serving());
  EXPECT_EQ(&server.loop(), &world.loop);
  EXPECT_EQ(to_string(server), "<Server sockets=[" + to_string(address) + "]>");
  world.connect(address);
  EXPECT_TRUE(world.run_until_made(1));
  run_passes(world.loop, 2);
  EXPECT_EQ(world.made[0]->calls, Calls{"made"});
  EXPECT_EQ(server.client_count(), 1u);
  Transport& t = *world.made[0]->transport;
  EXPECT_EQ(t.sockname(), address);
  EXPECT_EQ(t.peername().host(), "127.0.0.1");
  EXPECT_EQ(t.get_extra_info("peername"), to_string(t.peername()));
  int on = 0;
  ::socklen_t size = sizeof on;
  ::getsockopt(t.fd(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
  EXPECT_EQ(on, 1);
  ::getsockopt(t.fd(), SOL_SOCKET, SO_KEEPALIVE, &on, &size);
  EXPECT_EQ(on, 0);
}

TEST(Server, IsNoServerUnlessGiven) {
  const Server none;
  EXPECT_FALSE(none);
  EXPECT_EQ(to_string(none), "None");
}

TEST(Server, ListensOnSeveralHosts) {
  ServerWorld world;
  const std::vector<std::string> hosts = {"127.0.0.1", "127.0.0.2",
                                          "127.0.0.1"};
  const Server server =
      finish(world.loop, create_server(world.factory(), hosts, 0));
  ASSERT_EQ(server.sockets().size(), 2u);  // each address once
  EXPECT_EQ(address_of(server, 1).host(), "127.0.0.2");
  world.connect(server.sockets()[0].getsockname());
  world.connect(server.sockets()[1].getsockname());
  EXPECT_TRUE(world.run_until_made(2));
  EXPECT_NE(to_string(server).find("), ("), std::string::npos);
}

TEST(Server, ListensOnIPv6BesideIPv4) {
  const UniqueFd probe(::socket(AF_INET6, SOCK_STREAM, 0));
  const Address any = Address::inet("::1", 0);
  if (!probe || ::bind(probe.get(), any.native(), any.native_size()) != 0) {
    GTEST_SKIP() << "no IPv6 here";
  }
  ServerWorld world;
  const Server server =
      finish(world.loop, create_server(world.factory(), "::1", 0));
  const Address address = address_of(server);
  EXPECT_EQ(address.family(), AF_INET6);
  world.connect(address);
  EXPECT_TRUE(world.run_until_made(1));
  // The same port of all IPv6 leaves that of IPv4 free.
  const Server all =
      finish(world.loop, create_server(world.factory(), "::", 0));
  const Server v4 = finish(world.loop, create_server(world.factory(), "0.0.0.0",
                                                     address_of(all).port()));
  EXPECT_EQ(v4.sockets().size(), 1u);
}

TEST(Server, ListensOnAllInterfacesForAnEmptyHost) {
  ServerWorld world;
  ServerOptions v4;
  v4.family(AF_INET);
  const Server server =
      finish(world.loop, create_server(world.factory(), "", 0, v4));
  EXPECT_EQ(address_of(server).host(), "0.0.0.0");
}

TEST(Server, ListensOnASocketThatIsBound) {
  ServerWorld world;
  UniqueFd socket(world.kernel.socket(AF_INET, SOCK_STREAM, 0), world.kernel);
  const Address any = Address::inet("127.0.0.1", 0);
  ASSERT_EQ(::bind(socket.get(), any.native(), any.native_size()), 0);
  const int fd = socket.get();
  const Server server =
      finish(world.loop, create_server(world.factory(), std::move(socket),
                                       ServerOptions().keep_alive(true)));
  EXPECT_EQ(server.sockets().at(0).fd(), fd);
  world.connect(address_of(server));
  EXPECT_TRUE(world.run_until_made(1));
  run_passes(world.loop, 2);
  int on = 0;
  ::socklen_t size = sizeof on;
  ::getsockopt(world.made[0]->transport->fd(), SOL_SOCKET, SO_KEEPALIVE, &on,
               &size);
  EXPECT_EQ(on, 1);
}

// accept(2) of a blocking one would stop the loop when nobody is left.
TEST(Server, MakesASocketThatItIsGivenNonBlocking) {
  ServerWorld world;
  int fd = -1;
  const auto serve = [&] {
    UniqueFd socket(world.kernel.socket(AF_INET, SOCK_STREAM, 0), world.kernel);
    const Address any = Address::inet("127.0.0.1", 0);
    EXPECT_EQ(::bind(socket.get(), any.native(), any.native_size()), 0);
    fd = socket.get();
    ::fcntl(fd, F_SETFL, 0);
    return finish(world.loop,
                  create_server(world.factory(), std::move(socket)));
  };
  const Server server = serve();
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  world.connect(address_of(server));
  EXPECT_TRUE(world.run_until_made(1));
  world.kernel.fail(KernelCall::kSetBlocking, EBADF);
  EXPECT_EQ(thrown_by(serve), "std::system_error: fcntl: Bad file descriptor");
}

TEST(Server, ListensOnUnixSockets) {
  const TempDir dir;
  for (const std::string& path :
       {dir.path + "/socket", "\0rondo-test-"s + dir.path, ""s}) {
    ServerWorld world;
    const Server server =
        finish(world.loop, create_unix_server(world.factory(), path));
    const Address address = address_of(server);
    if (!path.empty()) {
      EXPECT_EQ(address.path(), path);
    } else {
      EXPECT_EQ(address.path().front(), '\0');  // the kernel's choice
    }
    world.connect(address);
    EXPECT_TRUE(world.run_until_made(1));
    run_passes(world.loop, 2);
    EXPECT_EQ(world.made[0]->transport->peername().path(), "");
  }
  // "The file stays when the server is closed."
  EXPECT_TRUE(std::filesystem::is_socket(dir.path + "/socket"));
}

TEST(Server, RemovesASocketThatADeadProcessHasLeft) {
  const TempDir dir;
  const std::string path = dir.path + "/socket";
  ServerWorld world;
  for (int count = 0; count < 2; ++count) {
    const Server server =
        finish(world.loop, create_unix_server(world.factory(), path));
    world.connect(address_of(server));
    EXPECT_TRUE(world.run_until_made(1));
    server.close();
    world.made.clear();
  }
}

TEST(Server, LeavesAloneWhatIsInUseAtItsPath) {
  const TempDir dir;
  const std::string path = dir.path + "/socket";
  ServerWorld world;
  const Server first =
      finish(world.loop, create_unix_server(world.factory(), path));
  EXPECT_EQ(thrown_by([&] {
              finish(world.loop, create_unix_server(world.factory(), path));
            }),
            "std::system_error: bind to " + path + ": Address already in use");
  EXPECT_TRUE(std::filesystem::exists(path));
  // Nor is a file removed that is no socket.
  const std::string file = dir.path + "/file";
  const UniqueFd made(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_THROW(finish(world.loop, create_unix_server(world.factory(), file)),
               std::system_error);
  EXPECT_TRUE(std::filesystem::exists(file));
  // Without a descriptor to try it with, it stays.
  world.kernel.fail(KernelCall::kSocket, EMFILE, {.from_call = 2});
  EXPECT_THROW(finish(world.loop, create_unix_server(world.factory(), path)),
               std::system_error);
}

TEST(Server, RefusesAPathThatIsTooLong) {
  ServerWorld world;
  EXPECT_THROW(static_cast<void>(
                   create_unix_server(world.factory(), std::string(108, 'x'))),
               std::invalid_argument);
  EXPECT_EQ(errno_of([&] {
              try {
                finish(world.loop, create_unix_server(world.factory(),
                                                      "/no/such/folder/s"));
              } catch (...) {
                return std::current_exception();
              }
              return std::exception_ptr();
            }()),
            ENOENT);
}

TEST(Server, NamesTheAddressThatCannotBeBound) {
  ServerWorld world;
  const Server first = world.serve();
  const std::uint16_t port = address_of(first).port();
  EXPECT_EQ(thrown_by([&] {
              const std::vector<std::string> hosts = {"127.0.0.2", "127.0.0.1"};
              finish(world.loop, create_server(world.factory(), hosts, port));
            }),
            "std::system_error: bind to ('127.0.0.1', " + std::to_string(port) +
                "): Address already in use");
  // "Then none is."
  const Address other = Address::inet("127.0.0.2", port);
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_NE(::connect(probe.get(), other.native(), other.native_size()), 0);
}

TEST(Server, EachCallThatFailsLeavesNothingOpen) {
  const std::vector<std::pair<KernelCall, std::string>> calls = {
      {KernelCall::kSocket, "socket for ('127.0.0.1', 0)"},
      {KernelCall::kSetsockopt, "setsockopt for ('127.0.0.1', 0)"},
      {KernelCall::kBind, "bind to ('127.0.0.1', 0)"},
      {KernelCall::kGetsockname, "getsockname"},
      {KernelCall::kListen, "listen on ('127.0.0.1', "},
      {KernelCall::kEpollAdd, ""},
  };
  for (const auto& [call, text] : calls) {
    ServerWorld world;
    world.kernel.fail(call, ENOMEM);
    EXPECT_TRUE(thrown_by([&] {
                  world.serve();
                }).starts_with("std::system_error: " + text))
        << to_string(call);
    EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u);
  }
}

TEST(Server, ACancelClosesWhatItHasOpened) {
  for (int passes = 0; passes < 3; ++passes) {
    ServerWorld world;
    auto task =
        create_task(world.loop, create_server(world.factory(), "127.0.0.1", 0));
    run_passes(world.loop, passes);
    task.cancel();
    EXPECT_TRUE(run_until(world.loop, [&] { return task.done(); }));
    if (task.cancelled()) {
      EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u);
    } else {
      EXPECT_GT(passes, 1);
    }
  }
}

TEST(Server, TwoLoopsMayShareAPort) {
  ServerWorld one;
  ServerWorld two;
  const auto options = ServerOptions().reuse_port(true);
  const Server first = one.serve(options);
  const std::uint16_t port = address_of(first).port();
  const Server second = finish(
      two.loop, create_server(two.factory(), "127.0.0.1", port, options));
  one.connect(address_of(first), 64);
  EXPECT_TRUE(run_until(one.loop, [&] {
    run_one_pass(two.loop);
    return one.made.size() + two.made.size() == 64;
  }));
  EXPECT_GT(one.made.size(), 0u);
  EXPECT_GT(two.made.size(), 0u);
}

TEST(Server, MayDoWithoutAnAddressThatOldConnectionsHave) {
  for (const bool reuse : {true, false}) {
    ServerWorld world;
    const Server server = world.serve(ServerOptions().reuse_address(reuse));
    int on = 2;
    ::socklen_t size = sizeof on;
    ::getsockopt(server.sockets().at(0).fd(), SOL_SOCKET, SO_REUSEADDR, &on,
                 &size);
    EXPECT_EQ(on, reuse ? 1 : 0);
  }
}

TEST(Server, BeginsWhenItIsToldTo) {
  ServerWorld world;
  const Server server = world.serve(ServerOptions().start_serving(false));
  EXPECT_FALSE(server.is_serving());
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM, 0));
  const Address address = address_of(server);
  EXPECT_NE(::connect(probe.get(), address.native(), address.native_size()), 0);
  server.start_serving();
  server.start_serving();
  EXPECT_TRUE(server.is_serving());
  world.connect(address);
  EXPECT_TRUE(world.run_until_made(1));
  server.close();
  EXPECT_EQ(thrown_by([&] { server.start_serving(); }),
            "rondo::RuntimeError: server <Server sockets=[]> is closed");
}

TEST(Server, MayBeginAgainAfterAFailure) {
  ServerWorld world;
  const std::vector<std::string> hosts = {"127.0.0.1", "127.0.0.2"};
  const Server server =
      finish(world.loop, create_server(world.factory(), hosts, 0,
                                       ServerOptions().start_serving(false)));
  world.kernel.fail(KernelCall::kEpollAdd, ENOSPC, {.from_call = 2});
  EXPECT_THROW(server.start_serving(), std::system_error);
  EXPECT_FALSE(server.is_serving());
  EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u);
  server.start_serving();
  world.connect(address_of(server, 1));
  EXPECT_TRUE(world.run_until_made(1));
}

// -- accepting ----------------------------------------------------------------

TEST(Server, AcceptsABacklogInOnePass) {
  ServerWorld world;
  const Server server = world.serve(ServerOptions().backlog(5));
  world.connect(address_of(server), 6);
  EXPECT_TRUE(world.run_until_made(1));
  EXPECT_EQ(world.made.size(), 5u);
  EXPECT_TRUE(world.run_until_made(6));
}

TEST(Server, AcceptsOneAtATimeWithoutABacklog) {
  for (const int backlog : {0, -1}) {
    ServerWorld world;
    const Server server = world.serve(ServerOptions().backlog(backlog));
    world.connect(address_of(server));
    EXPECT_TRUE(world.run_until_made(1)) << backlog;
  }
}

TEST(Server, GoesOnAfterAConnectionThatWasGoneAlready) {
  for (const int error_number :
       {ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH}) {
    ServerWorld world;
    const Server server = world.serve();
    world.kernel.fail(KernelCall::kAccept, error_number, {.times = 3});
    world.connect(address_of(server));
    EXPECT_TRUE(world.run_until_made(1));
    EXPECT_EQ(world.kernel.failures(), 3u);
    EXPECT_EQ(world.reports.messages, Calls());
  }
}

struct AcceptPause {
  AcceptPause() {
    const std::vector<std::string> hosts = {"127.0.0.1", "127.0.0.2"};
    ProtocolFactory factory = [this] {
      made.push_back(std::make_shared<Recorder>());
      return made.back();
    };
    server = finish(loop, create_server(std::move(factory), hosts, 0));
  }
  ~AcceptPause() {
    clients.clear();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
  void connect(std::size_t index) {
    const Address address = server.sockets().at(index).getsockname();
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), address.native(),
                        address.native_size()),
              0);
  }
  void spend(Duration duration) {
    kernel.virtual_kernel.spend(duration);
    run_passes(loop, 3);
  }

  VirtualScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::vector<std::shared_ptr<Recorder>> made;
  std::vector<UniqueFd> clients;
  Server server;
};

TEST(Server, WaitsASecondWhenThereIsNoDescriptorLeft) {
  for (const int error_number : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    // Where a descriptor would help, it is asked again with its reserve.
    const unsigned asks = error_number == EMFILE || error_number == ENFILE;
    AcceptPause world;
    world.kernel.fail(KernelCall::kAccept, error_number, {.times = kForever});
    world.connect(0);
    world.connect(1);
    run_passes(world.loop, 10);
    // Each listener was asked once, and is not asked again.
    EXPECT_EQ(world.kernel.calls(KernelCall::kAccept), 2u << asks);
    EXPECT_EQ(world.reports.messages,
              Calls{"socket.accept() out of system resource"});
    EXPECT_TRUE(world.server.is_serving());
    world.spend(999ms);
    EXPECT_EQ(world.kernel.calls(KernelCall::kAccept), 2u << asks);
    world.spend(2ms);
    EXPECT_EQ(world.kernel.calls(KernelCall::kAccept), 4u << asks);
    world.kernel.stop_failing();
    world.spend(1001ms);
    EXPECT_EQ(world.made.size(), 2u);
  }
}

TEST(Server, TriesAgainIfItCannotListenAfterAPause) {
  AcceptPause world;
  world.kernel.fail(KernelCall::kAccept, ENOMEM);
  world.connect(0);
  run_passes(world.loop, 3);
  world.kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  world.spend(1001ms);
  EXPECT_EQ(world.made.size(), 0u);
  EXPECT_EQ(world.reports.messages.size(), 2u);
  world.spend(1001ms);
  EXPECT_EQ(world.made.size(), 1u);
}

TEST(Server, MayBeClosedDuringThePause) {
  for (const bool in_handler : {false, true}) {
    AcceptPause world;
    if (in_handler) {
      world.loop.set_exception_handler(
          [&](EventLoop&, const ExceptionContext&) { world.server.close(); });
    }
    world.kernel.fail(KernelCall::kAccept, EMFILE);
    world.connect(0);
    run_passes(world.loop, 3);
    world.server.close();
    world.server = Server();  // nobody keeps it
    EXPECT_EQ(world.loop.snapshot().timers.size(), 0u);
    world.spend(2000ms);
    EXPECT_EQ(world.loop.snapshot().descriptors.size(), 0u);
  }
}

TEST(Server, TellsOfAFactoryThatThrows) {
  ServerWorld world;
  const Server server = world.serve();
  world.on_make = [] { throw std::runtime_error("none today"); };
  world.connect(address_of(server), 2);
  EXPECT_TRUE(run_until(world.loop,
                        [&] { return world.reports.messages.size() == 2; }));
  EXPECT_EQ(world.reports.messages[0],
            "Error on transport creation for incoming connection");
  EXPECT_EQ(server.client_count(), 0u);
  char byte;
  EXPECT_EQ(::recv(world.clients[0].get(), &byte, 1, 0), 0);  // it was closed
  world.on_make = nullptr;
  world.connect(address_of(server));
  EXPECT_TRUE(world.run_until_made(1));
}

TEST(Server, LeavesTheLoopIfTheFactoryExits) {
  ServerWorld world;
  const Server server = world.serve();
  int exits = 0;
  for (int kind = 0; kind < 2; ++kind) {
    world.on_make = [kind] {
      if (kind == 0) throw SystemExit(3);
      throw KeyboardInterrupt();
    };
    world.connect(address_of(server));
    try {
      run_until(world.loop, [] { return false; }, std::chrono::seconds(1));
    } catch (const SystemExit&) {
      ++exits;
    } catch (const KeyboardInterrupt&) {
      ++exits;
    }
  }
  EXPECT_EQ(exits, 2);
  EXPECT_EQ(world.reports.messages, Calls());
  world.on_make = nullptr;
  world.connect(address_of(server));
  EXPECT_TRUE(world.run_until_made(1));
}

TEST(Server, TellsOfAFactoryThatMakesNothing) {
  ServerWorld world;
  const Server server = finish(
      world.loop,
      create_server([]() -> std::shared_ptr<BaseProtocol> { return nullptr; },
                    "127.0.0.1", 0));
  world.connect(address_of(server));
  EXPECT_TRUE(run_until(world.loop,
                        [&] { return world.reports.messages.size() == 1; }));
  EXPECT_EQ(server.client_count(), 0u);
}

TEST(Server, MayBeClosedByItsFactory) {
  ServerWorld world;
  Server server = world.serve();
  const Address address = address_of(server);
  world.on_make = [&] { server.close(); };
  world.connect(address, 3);
  EXPECT_TRUE(world.run_until_made(1));
  run_passes(world.loop, 3);
  EXPECT_EQ(world.made.size(), 1u);
  EXPECT_EQ(world.made[0]->calls, Calls());
  EXPECT_EQ(server.client_count(), 0u);
  EXPECT_TRUE(server.wait_closed().done());
}

TEST(Server, ReportsASocketThatCannotBeWatched) {
  ServerWorld world;
  const Server server = world.serve();
  world.connect(address_of(server));
  world.kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_TRUE(world.run_until_made(1));
  EXPECT_TRUE(
      run_until(world.loop, [&] { return world.made[0]->losses == 1; }));
  EXPECT_EQ(server.client_count(), 0u);
}

// -- the end ------------------------------------------------------------------

TEST(Server, GoesOnWithItsConnectionsWhenItIsClosed) {
  ServerWorld world;
  const Server server = world.serve();
  const Address address = address_of(server);
  world.connect(address, 2);
  EXPECT_TRUE(world.run_until_made(2));
  run_passes(world.loop, 2);
  server.close();
  server.close();
  EXPECT_FALSE(server.is_serving());
  EXPECT_EQ(server.sockets().size(), 0u);
  EXPECT_EQ(server.client_count(), 2u);
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_NE(::connect(probe.get(), address.native(), address.native_size()), 0);
  const Future<void> closed = server.wait_closed();
  const Future<void> cancelled = server.wait_closed();
  cancelled.cancel();
  write_text(world.clients[0].get(), "x");
  EXPECT_TRUE(
      run_until(world.loop, [&] { return world.made[0]->received == "x"; }));
  world.clients.erase(world.clients.begin());
  EXPECT_TRUE(
      run_until(world.loop, [&] { return server.client_count() == 1; }));
  EXPECT_FALSE(closed.done());
  world.clients.clear();
  EXPECT_TRUE(run_until(world.loop, [&] { return closed.done(); }));
  EXPECT_TRUE(server.wait_closed().done());
}

TEST(Server, WaitsForItsCloseEvenWithoutConnections) {
  ServerWorld world;
  const Server server = world.serve();
  const Future<void> closed = server.wait_closed();
  run_passes(world.loop, 3);
  EXPECT_FALSE(closed.done());
  server.close();
  EXPECT_TRUE(run_until(world.loop, [&] { return closed.done(); }));
}

TEST(Server, ClosesOrAbortsItsClients) {
  for (const bool abort : {false, true}) {
    ServerWorld world;
    const Server server = world.serve();
    world.connect(address_of(server), 3);
    EXPECT_TRUE(world.run_until_made(3));
    run_passes(world.loop, 2);
    world.made[1]->on_lost = [&] { server.close_clients(); };
    for (const auto& protocol : world.made) protocol->transport->write("bye");
    server.close();
    abort ? server.abort_clients() : server.close_clients();
    const Future<void> closed = server.wait_closed();
    EXPECT_TRUE(run_until(world.loop, [&] { return closed.done(); }));
    for (std::size_t index = 0; index < 3; ++index) {
      EXPECT_EQ(world.made[index]->losses, 1);
      char text[4] = {};
      EXPECT_EQ(::recv(world.clients[index].get(), text, 3, 0), abort ? 0 : 3);
    }
  }
}

TEST(Server, ListensOnWithoutAHandle) {
  ServerWorld world;
  const Address address = address_of(world.serve());
  world.connect(address);
  EXPECT_TRUE(world.run_until_made(1));
}

TEST(Server, EndsWithItsLoop) {
  ServerWorld world;
  const Server server = world.serve();
  world.connect(address_of(server), 2);
  EXPECT_TRUE(world.run_until_made(2));
  run_passes(world.loop, 2);
  const Future<void> closed = server.wait_closed();
  world.loop.close();
  EXPECT_FALSE(server.is_serving());
  EXPECT_EQ(server.client_count(), 0u);
  EXPECT_EQ(server.sockets().size(), 0u);
  EXPECT_FALSE(closed.done());
  server.close();
  server.close_clients();
  EXPECT_THROW(server.start_serving(), RuntimeError);
  EXPECT_EQ(world.made[0]->losses, 0);
}

TEST(Server, EndsWithItsLoopWhileAHandlerWaits) {
  ServerWorld world;
  const Server server = world.serve();
  const Task<void> task = create_task(world.loop, server.serve_forever());
  run_passes(world.loop, 3);
  world.loop.close();
  EXPECT_FALSE(server.is_serving());
}

// -- serve_forever ------------------------------------------------------------

TEST(Server, ServesUntilItIsCancelled) {
  ServerWorld world;
  const Server server = world.serve(ServerOptions().start_serving(false));
  const Task<void> task = create_task(world.loop, server.serve_forever());
  run_passes(world.loop, 3);
  EXPECT_TRUE(server.is_serving());
  world.connect(address_of(server), 2);
  EXPECT_TRUE(world.run_until_made(2));
  run_passes(world.loop, 2);
  task.cancel();
  EXPECT_TRUE(run_until(world.loop, [&] { return task.done(); }));
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(server.client_count(), 0u);
  EXPECT_EQ(server.sockets().size(), 0u);
  EXPECT_EQ(world.made[0]->losses, 1);
  EXPECT_THROW(finish(world.loop, server.serve_forever()), RuntimeError);
}

TEST(Server, ServesForOneTaskAtATime) {
  ServerWorld world;
  const Server server = world.serve();
  const Task<void> first = create_task(world.loop, server.serve_forever());
  run_passes(world.loop, 2);
  EXPECT_EQ(thrown_by([&] { finish(world.loop, server.serve_forever()); }),
            "rondo::RuntimeError: server " + to_string(server) +
                " is already being awaited on serve_forever()");
  EXPECT_FALSE(first.done());
  server.close();
  EXPECT_TRUE(run_until(world.loop, [&] { return first.done(); }));
  EXPECT_TRUE(first.cancelled());
}

TEST(Server, ServesAgainForAnotherTaskIfTheFirstIsDestroyed) {
  ServerWorld world;
  const Server server = world.serve();
  // The operation is destroyed where it waits, and with it its claim.
  {
    const auto never_begun = server.serve_forever();
  }
  const Task<void> task = create_task(world.loop, server.serve_forever());
  run_passes(world.loop, 2);
  EXPECT_FALSE(task.done());
  task.cancel();
  EXPECT_TRUE(run_until(world.loop, [&] { return task.done(); }));
}

TEST(Server, ASecondCancelDoesNotWaitForItsConnections) {
  ServerWorld world;
  const Server server = world.serve();
  const Task<void> task = create_task(world.loop, server.serve_forever());
  world.connect(address_of(server));
  EXPECT_TRUE(world.run_until_made(1));
  run_passes(world.loop, 2);
  world.kernel.fail(KernelCall::kSend, EAGAIN, {.times = kForever});
  world.made[0]->transport->write("never gone");
  task.cancel();
  run_passes(world.loop, 5);
  EXPECT_FALSE(task.done());
  task.cancel();
  run_passes(world.loop, 5);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(server.client_count(), 1u);
  server.abort_clients();
  EXPECT_TRUE(
      run_until(world.loop, [&] { return server.client_count() == 0; }));
}

}  // namespace
}  // namespace rondo
