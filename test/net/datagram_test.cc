// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "reactor/snapshot.h"
#include "test/net/datagram_pair.h"
#include "test/support/allocation.h"

namespace rondo {
namespace {

using test::any_port;
using test::Calls;
using test::connected_to;
using test::DatagramPair;
using test::DatagramRecorder;
using test::errno_of;
using test::finish;
using test::open_endpoint;
using test::thrown_by;

using Texts = std::vector<std::string>;

// -- sending and receiving ----------------------------------------------------

TEST(Datagram, KeepsTheBordersOfWhatIsSent) {
  DatagramPair pair;
  pair.connected->sendto("one");
  pair.connected->sendto("two");
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"one", "two"}));
  EXPECT_EQ(pair.server->from, pair.connected->sockname());
  EXPECT_EQ(pair.server->calls, Calls{"made"});
}

TEST(Datagram, AnswersWhoHasAsked) {
  DatagramPair pair;
  pair.server->on_datagram = [&](std::string_view data, const Address& from) {
    pair.bound->sendto("echo:" + std::string(data), from);
  };
  pair.connected->sendto("x");
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->count == 1; }));
  EXPECT_EQ(pair.client->received, Texts{"echo:x"});
  EXPECT_EQ(pair.client->from, pair.bound->sockname());
}

TEST(Datagram, DeliversAnEmptyOne) {
  DatagramPair pair;
  const UniqueFd raw(::socket(AF_INET, SOCK_DGRAM, 0));
  const Address to = pair.bound->sockname();
  ASSERT_EQ(::sendto(raw.get(), "", 0, 0, to.native(), to.native_size()), 0);
  ASSERT_TRUE(pair.served(1));
  EXPECT_EQ(pair.server->received, Texts{""});
}

TEST(Datagram, DoesNotSendAnEmptyOne) {
  DatagramPair pair;
  pair.connected->sendto("");
  pair.connected->sendto("x");
  ASSERT_TRUE(pair.served(1));
  EXPECT_EQ(pair.server->received, Texts{"x"});
}

TEST(Datagram, TheLargestOneArrivesWhole) {
  DatagramPair pair;
  const std::string large(65'507, 'l');
  pair.connected->sendto(large);
  ASSERT_TRUE(pair.served(1));
  EXPECT_TRUE(pair.server->received == Texts{large});
}

TEST(Datagram, SendsWhatOnePassHasWrittenByOneCall) {
  DatagramPair pair;
  for (int n = 0; n < 20; ++n) pair.connected->sendto(std::to_string(n));
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmmsg), 0u);
  ASSERT_TRUE(pair.served(20));
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmmsg), 1u);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kRecvmmsg), 1u);
  EXPECT_EQ(pair.server->received.back(), "19");
}

TEST(Datagram, SendsManyWithoutWaitingForTheEndOfThePass) {
  DatagramPair pair;
  for (int n = 0; n < 32; ++n) pair.connected->sendto("x");
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmmsg), 1u);
  ASSERT_TRUE(pair.served(32));
}

TEST(Datagram, ReadsNoMoreThanABatchInOnePass) {
  DatagramPair pair;
  for (int n = 0; n < 80; ++n) pair.connected->sendto("x");
  pair.connected->get_write_buffer_size();
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.server->count, 32u);
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.server->count, 64u);
  ASSERT_TRUE(pair.served(80));
}

TEST(Datagram, EchoesWithoutAllocationAndWithoutEpollCtl) {
  DatagramPair pair;
  pair.server->keeps = false;
  pair.client->keeps = false;
  pair.server->on_datagram = [&](std::string_view data, const Address& from) {
    pair.bound->sendto(data, from);
  };
  const auto echo = [&] {
    for (int n = 0; n < 10; ++n) pair.connected->sendto("some datagram");
    for (int n = 0; n < 4; ++n) run_one_pass(pair.loop);
  };
  for (int n = 0; n < 10; ++n) echo();
  ASSERT_EQ(pair.client->count, 100u);
  const auto calls = [&](KernelCall call) { return pair.kernel.calls(call); };
  const std::uint64_t sends = calls(KernelCall::kSendmmsg);
  const std::uint64_t reads = calls(KernelCall::kRecvmmsg);
  const std::uint64_t changes =
      calls(KernelCall::kEpollAdd) + calls(KernelCall::kEpollModify);
  EXPECT_EQ(test::allocations_of([&] {
              for (int n = 0; n < 10; ++n) echo();
            }),
            0u);
  EXPECT_EQ(pair.client->count, 200u);
  EXPECT_EQ(calls(KernelCall::kSendmmsg) - sends, 20u);
  EXPECT_EQ(calls(KernelCall::kRecvmmsg) - reads, 20u);
  EXPECT_EQ(calls(KernelCall::kEpollAdd) + calls(KernelCall::kEpollModify),
            changes);
}

// -- addresses ----------------------------------------------------------------

TEST(Datagram, AConnectedOneSendsToNobodyElse) {
  DatagramPair pair;
  const Address remote = pair.bound->sockname();
  EXPECT_EQ(thrown_by([&] {
              pair.connected->sendto("x", Address::inet("127.0.0.1", 9));
            }),
            "std::invalid_argument: Invalid address: must be None or " +
                to_string(remote));
  pair.connected->sendto("to it", remote);
  pair.connected->sendto("to none", Address());
  ASSERT_TRUE(pair.served(2));
}

TEST(Datagram, AnUnconnectedOneNeedsAnAddress) {
  DatagramPair pair;
  EXPECT_EQ(thrown_by([&] { pair.bound->sendto("x"); }),
            "std::invalid_argument: sendto: there is no remote address");
  EXPECT_FALSE(pair.bound->peername());
  EXPECT_EQ(pair.bound->get_extra_info("peername"), "None");
}

TEST(Datagram, SaysWhatItIs) {
  DatagramPair pair;
  const std::string fd = std::to_string(pair.connected->fd());
  EXPECT_EQ(to_string(*pair.connected),
            "<_SelectorDatagramTransport fd=" + fd +
                " read=polling write=<idle, bufsize=0>>");
  EXPECT_EQ(pair.connected->peername(), pair.bound->sockname());
  EXPECT_EQ(pair.connected->get_extra_info("peername"),
            to_string(pair.bound->sockname()));
  EXPECT_EQ(pair.connected->get_extra_info("sockname"),
            to_string(pair.connected->sockname()));
  EXPECT_EQ(pair.connected->get_extra_info("socket"), fd);
  EXPECT_EQ(pair.connected->get_extra_info("shoe size", "44"), "44");
  pair.block();
  pair.connected->sendto("four");
  run_one_pass(pair.loop);
  EXPECT_EQ(to_string(*pair.connected),
            "<_SelectorDatagramTransport fd=" + fd +
                " read=polling write=<polling, bufsize=4>>");
  pair.connected->close();
  EXPECT_TRUE(to_string(*pair.connected)
                  .starts_with("<_SelectorDatagramTransport closing fd="));
  pair.connected->abort();
  run_passes(pair.loop, 2);
  EXPECT_EQ(to_string(*pair.connected),
            "<_SelectorDatagramTransport closed fd=-1>");
}

TEST(Datagram, IPv6WorksAsWell) {
  EventLoop loop;
  const auto server = std::make_shared<DatagramRecorder>();
  const auto client = std::make_shared<DatagramRecorder>();
  const auto bound = open_endpoint(
      loop, DatagramOptions().local_address(Address::inet("::1", 0)), server);
  const auto connected =
      open_endpoint(loop, connected_to(bound->sockname()), client);
  connected->sendto("six");
  ASSERT_TRUE(run_until(loop, [&] { return server->count == 1; }));
  EXPECT_EQ(server->from.host(), "::1");
}

TEST(Datagram, LooksNamesUp) {
  EventLoop loop;
  const auto server = std::make_shared<DatagramRecorder>();
  const auto client = std::make_shared<DatagramRecorder>();
  DatagramOptions options;
  options.local_address(HostAndPort("localhost", 0)).family(AF_INET);
  const auto bound = open_endpoint(loop, options, server);
  // Both families, of which the port is open in one: the local address says
  // which.
  DatagramOptions to;
  to.local_address(Address::inet("127.0.0.1", 0))
      .remote_address(HostAndPort("localhost", bound->sockname().port()));
  const auto connected = open_endpoint(loop, to, client);
  EXPECT_EQ(connected->peername(), bound->sockname());
  connected->sendto("x");
  EXPECT_TRUE(run_until(loop, [&] { return server->count == 1; }));
}

TEST(Datagram, SeveralHaveOnePort) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  DatagramOptions options = any_port();
  options.reuse_port(true);
  const auto first = open_endpoint(loop, options, protocol);
  DatagramOptions same;
  same.local_address(first->sockname()).reuse_port(true);
  const auto second =
      open_endpoint(loop, same, std::make_shared<DatagramRecorder>());
  EXPECT_EQ(first->sockname(), second->sockname());
}

TEST(Datagram, BroadcastDoesNotConnect) {
  DatagramPair pair;
  const auto protocol = std::make_shared<DatagramRecorder>();
  DatagramOptions options = connected_to(pair.bound->sockname());
  options.allow_broadcast(true);
  const auto caster = open_endpoint(pair.loop, options, protocol);
  int on = 0;
  ::socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(caster->fd(), SOL_SOCKET, SO_BROADCAST, &on, &size),
            0);
  EXPECT_EQ(on, 1);
  EXPECT_FALSE(caster->peername());
  caster->sendto("to the remote address");
  ASSERT_TRUE(pair.served(1));
  EXPECT_NE(caster->sockname().port(), 0);  // bound by now
  EXPECT_THROW(caster->sendto("x", Address::inet("127.0.0.1", 9)),
               std::invalid_argument);
  caster->abort();
  run_passes(pair.loop, 2);
}

TEST(Datagram, WithoutAddressesItNeedsAFamily) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  EXPECT_EQ(
      thrown_by([&] { open_endpoint(loop, DatagramOptions(), protocol); }),
      "std::invalid_argument: unexpected address family");
  const auto sender =
      open_endpoint(loop, DatagramOptions().family(AF_INET), protocol);
  const auto server = std::make_shared<DatagramRecorder>();
  const auto bound = open_endpoint(loop, any_port(), server);
  sender->sendto("x", bound->sockname());
  EXPECT_TRUE(run_until(loop, [&] { return server->count == 1; }));
}

TEST(Datagram, FamiliesThatDoNotGoTogetherAreNoPair) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  DatagramOptions options = any_port();
  options.remote_address(Address::inet("::1", 9));
  EXPECT_EQ(thrown_by([&] { open_endpoint(loop, options, protocol); }),
            "std::invalid_argument: can not get address information");
}

TEST(Datagram, AnAddressInUseIsNamed) {
  DatagramPair pair;
  DatagramOptions options;
  options.local_address(pair.bound->sockname());
  EXPECT_EQ(thrown_by([&] {
              open_endpoint(pair.loop, options,
                            std::make_shared<DatagramRecorder>());
            }),
            "std::system_error: bind to " + to_string(pair.bound->sockname()) +
                ": Address already in use");
}

TEST(Datagram, ANameThatDoesNotExistIsAGaiError) {
  EventLoop loop;
  DatagramOptions options;
  options.remote_address(HostAndPort(std::string("no\0host", 7), 1));
  EXPECT_TRUE(thrown_by([&] {
                open_endpoint(loop, options,
                              std::make_shared<DatagramRecorder>());
              }).starts_with("rondo::GaiError"));
}

// -- a socket that is given ---------------------------------------------------

TEST(Datagram, TakesASocketThatIsGiven) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const auto protocol = std::make_shared<DatagramRecorder>();
  SocketPair pair(SOCK_DGRAM);
  kernel.set_blocking(pair.a.get(), true);  // it is made non-blocking
  const auto transport =
      finish(loop, create_datagram_endpoint([protocol] { return protocol; },
                                            std::move(pair.a)))
          .transport;
  write_text(pair.b.get(), "in");
  ASSERT_TRUE(run_until(loop, [&] { return protocol->count == 1; }));
  EXPECT_FALSE(protocol->from.family() == AF_INET);
  transport->sendto("out");  // it is connected
  run_one_pass(loop);
  EXPECT_EQ(read_text(pair.b.get()), "out");
}

TEST(Datagram, TakesNoOtherSocket) {
  EventLoop loop;
  const auto factory = [] { return std::make_shared<DatagramRecorder>(); };
  SocketPair pair;
  const std::string fd = std::to_string(pair.a.get());
  EXPECT_EQ(thrown_by([&] {
              finish(loop,
                     create_datagram_endpoint(factory, std::move(pair.a)));
            }),
            "std::invalid_argument: A UDP Socket was expected, got fd " + fd +
                " of type 1");
  EXPECT_THROW(static_cast<void>(create_datagram_endpoint(factory, UniqueFd())),
               std::invalid_argument);
  Pipe pipe;
  EXPECT_THROW(
      finish(loop, create_datagram_endpoint(factory, std::move(pipe.reader))),
      std::system_error);
}

// -- unix ---------------------------------------------------------------------

class UnixDatagram : public ::testing::Test {
 protected:
  UnixDatagram() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~UnixDatagram() override {
    ::unlink(path().c_str());
    ::rmdir(folder_.c_str());
  }
  std::string path() const { return folder_ + "/socket"; }
  DatagramOptions at_path() const {
    DatagramOptions options;
    options.local_address(Address::unix_path(path()));
    return options;
  }

  EventLoop loop_;
  std::shared_ptr<DatagramRecorder> server_ =
      std::make_shared<DatagramRecorder>();
  std::shared_ptr<DatagramRecorder> client_ =
      std::make_shared<DatagramRecorder>();

 private:
  std::string folder_ = "/tmp/rondo-datagram-XXXXXX";
};

TEST_F(UnixDatagram, TalksByAPathAndAnswersWhoHasAName) {
  const auto bound = open_endpoint(loop_, at_path(), server_);
  server_->on_datagram = [&](std::string_view data, const Address& from) {
    if (from) bound->sendto(data, from);
  };
  const Address remote = Address::unix_path(path());
  const auto nameless = open_endpoint(loop_, connected_to(remote), client_);
  nameless->sendto("who?");
  ASSERT_TRUE(run_until(loop_, [&] { return server_->count == 1; }));
  EXPECT_FALSE(server_->from && !server_->from.path().empty());

  DatagramOptions named = connected_to(remote);
  named.local_address(Address::unix_path(""));
  const auto client = open_endpoint(loop_, named, client_);
  EXPECT_EQ(client->sockname().path().front(), '\0');
  client->sendto("me");
  ASSERT_TRUE(run_until(loop_, [&] { return client_->count == 1; }));
  EXPECT_EQ(client_->received, Texts{"me"});
}

TEST_F(UnixDatagram, ASocketOfTheDeadIsRemoved) {
  const auto dead = open_endpoint(loop_, at_path(), server_);
  EXPECT_EQ(
      thrown_by([&] { open_endpoint(loop_, at_path(), client_); }),
      "std::system_error: bind to " + path() + ": Address already in use");
  dead->abort();
  run_passes(loop_, 2);
  struct ::stat found;
  ASSERT_EQ(::stat(path().c_str(), &found), 0);
  open_endpoint(loop_, at_path(), client_);
}

TEST_F(UnixDatagram, ALongOneIsNotCutOff) {
  const auto bound = open_endpoint(loop_, at_path(), server_);
  const auto client =
      open_endpoint(loop_, connected_to(Address::unix_path(path())), client_);
  const std::string large(150'000, 'l');
  client->sendto(large);
  ASSERT_TRUE(run_until(loop_, [&] { return server_->count == 1; }));
  EXPECT_TRUE(server_->received == Texts{large});
}

TEST_F(UnixDatagram, OneThatIsTooLongToReadIsAnErrorAndNotDelivered) {
  const auto bound = open_endpoint(loop_, at_path(), server_);
  const UniqueFd raw(::socket(AF_UNIX, SOCK_DGRAM, 0));
  const int room = 1 << 20;
  if (::setsockopt(raw.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) !=
      0) {
    ::setsockopt(raw.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  }
  const Address to = Address::unix_path(path());
  const std::string large(256 * 1024 + 1, 'l');
  const auto send = [&](const std::string& text) {
    return ::sendto(raw.get(), text.data(), text.size(), MSG_DONTWAIT,
                    to.native(), to.native_size());
  };
  if (send(large) < 0) GTEST_SKIP() << "no buffer is so large here";
  ASSERT_EQ(send("next"), 4);
  ASSERT_TRUE(run_until(loop_, [&] { return server_->count == 1; }));
  EXPECT_EQ(server_->errors, std::vector<int>{EMSGSIZE});
  EXPECT_EQ(server_->received, Texts{"next"});
}

// -- its end ------------------------------------------------------------------

TEST(Datagram, CloseSendsWhatIsThere) {
  DatagramPair pair;
  pair.block();
  pair.connected->sendto("first");
  run_one_pass(pair.loop);
  pair.connected->close();
  pair.connected->close();
  EXPECT_TRUE(pair.connected->is_closing());
  pair.connected->sendto("more");  // as asyncio's, while it has not ended
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.client->losses, 0);
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(2));
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(pair.client->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(pair.client->error, nullptr);
  EXPECT_EQ(pair.connected->fd(), -1);
  EXPECT_EQ(pair.connected->get_protocol(), nullptr);
}

TEST(Datagram, CloseSendsWhatThisPassHasWritten) {
  DatagramPair pair;
  pair.connected->sendto("last");
  pair.connected->close();
  ASSERT_TRUE(pair.served(1));
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
}

TEST(Datagram, AbortSendsNothingMore) {
  DatagramPair pair;
  pair.connected->sendto("lost");
  pair.connected->abort();
  EXPECT_EQ(pair.client->losses, 0);  // by the loop
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.client->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmmsg), 0u);
  pair.connected->sendto("after the end");
  pair.connected->close();
  pair.connected->abort();
  pair.connected->set_protocol(nullptr);
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.client->losses, 1);
  EXPECT_EQ(pair.server->count, 0u);
}

TEST(Datagram, ReceivesNothingMoreOnceItIsClosed) {
  DatagramPair pair;
  pair.server->on_datagram = [&](std::string_view, const Address&) {
    pair.bound->close();
  };
  pair.connected->sendto("one");
  pair.connected->sendto("two");
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.server->losses > 0; }));
  EXPECT_EQ(pair.server->received, Texts{"one"});
}

TEST(Datagram, CanBeGivenAnotherProtocol) {
  DatagramPair pair;
  const auto other = std::make_shared<DatagramRecorder>();
  pair.bound->set_protocol(other);
  EXPECT_EQ(pair.bound->get_protocol(), other);
  EXPECT_THROW(pair.bound->set_protocol(nullptr), std::invalid_argument);
  pair.connected->sendto("x");
  ASSERT_TRUE(run_until(pair.loop, [&] { return other->count == 1; }));
  EXPECT_EQ(pair.server->count, 0u);
  EXPECT_EQ(other->calls, Calls());
}

TEST(Datagram, AClosedLoopEndsItWithoutACall) {
  const auto protocol = std::make_shared<DatagramRecorder>();
  std::shared_ptr<DatagramTransport> transport;
  {
    EventLoop loop;
    transport = open_endpoint(loop, any_port(), protocol);
    transport->sendto("x", transport->sockname());
    transport->close();
    loop.close();
  }
  EXPECT_EQ(protocol->calls, Calls{"made"});
  EXPECT_EQ(transport->fd(), -1);
  EXPECT_TRUE(transport->is_closing());
  EXPECT_EQ(protocol.use_count(), 1);
}

TEST(Datagram, CancellingItsCreationClosesTheSocket) {
  for (int passes = 0; passes < 3; ++passes) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    const auto protocol = std::make_shared<DatagramRecorder>();
    auto task =
        create_datagram_endpoint([protocol] { return protocol; }, any_port())
            .start(loop);
    run_passes(loop, passes);
    const bool in_time = task.cancel();
    run_passes(loop, 5);
    EXPECT_EQ(in_time, task.cancelled());
    EXPECT_EQ(protocol->losses, in_time && passes > 0 ? 1 : protocol->losses);
    if (in_time) {
      EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    }
  }
}

// -- water marks --------------------------------------------------------------

TEST(Datagram, PausesAboveTheHighMarkAndResumesAtTheLowOne) {
  DatagramPair pair;
  const Calls& calls = pair.client->calls;
  pair.connected->set_write_buffer_limits(100, 40);
  EXPECT_EQ(pair.connected->get_write_buffer_limits().low, 40u);
  pair.block();
  pair.connected->sendto(std::string(100, 'x'));
  EXPECT_EQ(pair.connected->get_write_buffer_size(), 100u);
  EXPECT_EQ(calls, Calls{"made"});  // 100 are not more than 100
  pair.connected->sendto("y");
  pair.connected->sendto("z");
  EXPECT_EQ(calls, (Calls{"made", "pause"}));
  pair.client->on_resume = [&] { pair.connected->sendto("resumed"); };
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(4));
  EXPECT_EQ(calls, (Calls{"made", "pause", "resume"}));
  EXPECT_EQ(pair.server->received.back(), "resumed");
  EXPECT_THROW(pair.connected->set_write_buffer_limits(1, 2),
               std::invalid_argument);
}

TEST(Datagram, BeyondItsCapItDropsAndSaysSoOnceAPass) {
  DatagramPair pair;
  pair.connected->set_write_buffer_cap(10);
  pair.connected->sendto("0123456789");
  pair.connected->sendto("to the kernel first");  // larger than any room
  pair.connected->sendto("abc");
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"0123456789", "abc"}));
  EXPECT_EQ(pair.client->errors, std::vector<int>{ENOBUFS});
  pair.block();
  pair.connected->sendto("0123456789");
  pair.connected->sendto("x");
  pair.connected->sendto("y");
  EXPECT_EQ(pair.client->errors.size(), 1u);  // out of no call of its own
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.client->errors, (std::vector<int>{ENOBUFS, ENOBUFS}));
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(3));
  EXPECT_EQ(pair.server->count, 3u);
}

// -- coroutines ---------------------------------------------------------------

Coro<std::string> ask(const Address& server) {
  const auto protocol = std::make_shared<DatagramRecorder>();
  Future<void> answered = create_future<void>(get_running_loop());
  protocol->on_datagram = [answered](std::string_view, const Address&) {
    answered.set_result();
  };
  auto opening = create_datagram_endpoint([protocol] { return protocol; },
                                          connected_to(server));
  const DatagramEndpoint endpoint = co_await std::move(opening);
  endpoint.transport->sendto("ping");
  co_await answered;
  endpoint.transport->close();
  co_return protocol->received[0];
}

Coro<std::string> ask_oneself() {
  const auto protocol = std::make_shared<DatagramRecorder>();
  protocol->on_datagram = [p = protocol.get()](std::string_view data,
                                               const Address& from) {
    p->transport->sendto(data, from);
  };
  auto opening =
      create_datagram_endpoint([protocol] { return protocol; }, any_port());
  const DatagramEndpoint endpoint = co_await std::move(opening);
  std::string answer = co_await ask(endpoint.transport->sockname());
  endpoint.transport->close();
  co_return answer;
}

TEST(Datagram, CanBeAwaited) { EXPECT_EQ(run(ask_oneself()), "ping"); }

}  // namespace
}  // namespace rondo
