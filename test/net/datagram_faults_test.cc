// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/snapshot.h"
#include "test/net/datagram_pair.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using test::any_port;
using test::Calls;
using test::connected_to;
using test::DatagramPair;
using test::DatagramRecorder;
using test::errno_of;
using test::FailingAllocations;
using test::open_endpoint;

using Texts = std::vector<std::string>;
using Errors = std::vector<int>;

// -- errors of the network ----------------------------------------------------

TEST(DatagramFaults, NobodyListeningIsToldAndTheEndpointStaysOpen) {
  DatagramPair pair;
  const Address remote = pair.bound->sockname();
  pair.bound->abort();
  run_passes(pair.loop, 2);
  for (std::size_t round = 1; round <= 3; ++round) {
    pair.connected->sendto("nobody listens");
    ASSERT_TRUE(run_until(pair.loop,
                          [&] { return pair.client->errors.size() == round; }));
  }
  EXPECT_EQ(pair.client->errors, Errors(3, ECONNREFUSED));
  EXPECT_FALSE(pair.connected->is_closing());
  // Somebody listens again.
  const auto second = std::make_shared<DatagramRecorder>();
  DatagramOptions options;
  options.local_address(remote);
  const auto again = open_endpoint(pair.loop, options, second);
  pair.connected->sendto("hello");
  ASSERT_TRUE(run_until(pair.loop, [&] { return second->count == 1; }));
  EXPECT_EQ(pair.reports.messages, Calls());
}

TEST(DatagramFaults, AnUnconnectedOneHearsOfNobody) {
  DatagramPair pair;
  const Address gone = pair.connected->sockname();
  pair.connected->abort();
  run_passes(pair.loop, 2);
  pair.bound->sendto("x", gone);
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.server->errors, Errors());
}

TEST(DatagramFaults, OneThatIsTooLargeIsToldAndTheOthersAreSent) {
  DatagramPair pair;
  pair.connected->sendto("before");
  pair.connected->sendto(std::string(65'508, 'l'));
  pair.connected->sendto("after");
  EXPECT_EQ(pair.client->errors, Errors());  // out of no call of its own
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"before", "after"}));
  EXPECT_EQ(pair.client->errors, Errors{EMSGSIZE});
  EXPECT_EQ(pair.client->losses, 0);
}

// Each errno at each call; what is behind the failed one is sent.
TEST(DatagramFaults, AnErrorOfOneDatagramIsToldOnceAndTheRestGoesOn) {
  for (const int error_number :
       {ECONNREFUSED, EMSGSIZE, EHOSTUNREACH, ENETUNREACH, EPERM, ENOMEM}) {
    for (std::uint64_t nth = 1; nth <= 3; ++nth) {
      DatagramPair pair;
      pair.kernel.fail(KernelCall::kSendmmsg, error_number, {.from_call = nth});
      for (int n = 0; n < 3; ++n) {
        pair.connected->sendto(std::to_string(n));
        run_one_pass(pair.loop);
      }
      ASSERT_TRUE(pair.served(2));
      run_passes(pair.loop, 3);
      EXPECT_EQ(pair.client->errors, Errors{error_number});
      EXPECT_EQ(pair.server->count, 2u);
      EXPECT_EQ(
          std::count(pair.server->received.begin(), pair.server->received.end(),
                     std::to_string(nth - 1)),
          0);
      EXPECT_FALSE(pair.connected->is_closing());
    }
  }
}

TEST(DatagramFaults, AnErrorOfAReadIsToldAndNothingIsLost) {
  for (const int error_number : {ECONNREFUSED, ENOMEM, EHOSTUNREACH}) {
    DatagramPair pair;
    pair.kernel.fail(KernelCall::kRecvmmsg, error_number);
    pair.connected->sendto("x");
    ASSERT_TRUE(pair.served(1));
    EXPECT_EQ(pair.server->errors, Errors{error_number});
  }
}

TEST(DatagramFaults, AnInterruptedOrSpuriousCallIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    for (const KernelCall call :
         {KernelCall::kRecvmmsg, KernelCall::kSendmmsg}) {
      DatagramPair pair;
      pair.kernel.fail(call, error_number);
      pair.connected->sendto("one");
      pair.connected->sendto("two");
      ASSERT_TRUE(pair.served(2));
      EXPECT_EQ(pair.server->received, (Texts{"one", "two"}));
      EXPECT_EQ(pair.client->errors, Errors());
      EXPECT_EQ(pair.server->errors, Errors());
    }
  }
}

TEST(DatagramFaults, AKernelThatIsFullIsWaitedFor) {
  DatagramPair pair;
  pair.block(EAGAIN);
  Texts sent;
  for (int n = 0; n < 100; ++n) {
    sent.push_back(std::to_string(n));
    pair.connected->sendto(sent.back());
    if (n % 10 == 0) run_one_pass(pair.loop);
  }
  EXPECT_EQ(pair.server->count, 0u);
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(100));
  EXPECT_EQ(pair.server->received, sent);
  EXPECT_EQ(pair.client->errors, Errors());
}

// A Unix socket whose reader does not read: the kernel itself says EAGAIN.
TEST(DatagramFaults, AReaderThatDoesNotReadIsWaitedFor) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const auto protocol = std::make_shared<DatagramRecorder>();
  SocketPair pair(SOCK_DGRAM);
  const auto transport = test::finish(loop, create_datagram_endpoint(
                                                [protocol] { return protocol; },
                                                std::move(pair.a)))
                             .transport;
  Texts sent;
  while (transport->get_write_buffer_size() == 0 && sent.size() < 100'000) {
    sent.push_back(std::to_string(sent.size()) + " ");
    transport->sendto(sent.back());
  }
  for (int n = 0; n < 50; ++n) {
    sent.push_back("more ");
    transport->sendto(sent.back());
  }
  std::string expected;
  for (const std::string& text : sent) expected += text;
  std::string text;
  ASSERT_TRUE(run_until(loop, [&] {
    text += read_text(pair.b.get());
    return text.size() >= expected.size();
  }));
  EXPECT_EQ(text, expected);
}

// ENOBUFS: the socket is writable all the while, so the loop must not spin.
TEST(DatagramFaults, AKernelWithoutMemoryIsAskedAgainLater) {
  DatagramPair pair;
  pair.connected->set_write_buffer_limits(2);
  pair.block(ENOBUFS);
  pair.connected->sendto("one");
  run_passes(pair.loop, 1);
  const std::uint64_t calls = pair.kernel.calls(KernelCall::kSendmmsg);
  pair.connected->sendto("two");
  run_passes(pair.loop, 2);
  EXPECT_EQ(calls, 1u);
  EXPECT_LE(pair.kernel.calls(KernelCall::kSendmmsg), 2u);
  EXPECT_TRUE(to_string(*pair.connected).ends_with("bufsize=6>>"));
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"one", "two"}));
  EXPECT_EQ(pair.client->calls, (Calls{"made", "pause", "resume"}));
  EXPECT_EQ(pair.client->errors, Errors());
}

// What was sent is thrown away from time to time, not at each sendto().
TEST(DatagramFaults, KeepsTheOrderOfWhatIsBehindThoseThatWereSent) {
  DatagramPair pair;
  pair.kernel.fail(KernelCall::kSendmmsg, EAGAIN);
  Texts sent;
  for (int n = 0; n < 40; ++n) {
    sent.push_back(std::to_string(n));
    pair.connected->sendto(sent.back());
  }
  pair.kernel.fail(KernelCall::kSendmmsg, EAGAIN, {.from_call = 2});
  const std::uint64_t calls = pair.kernel.calls(KernelCall::kSendmmsg);
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return pair.kernel.calls(KernelCall::kSendmmsg) >= calls + 2;
  }));
  EXPECT_NE(pair.connected->get_write_buffer_size(), 0u);
  sent.emplace_back("behind");
  pair.connected->sendto("behind");
  ASSERT_TRUE(pair.served(41));
  EXPECT_EQ(pair.server->received, sent);
}

TEST(DatagramFaults, AfterItsEndEachSendtoButTheFirstFewIsLogged) {
  const LogCapture log;
  DatagramPair pair;
  pair.connected->abort();
  for (int n = 0; n < 10; ++n) pair.connected->sendto("x");
  const Texts lines = log.lines();
  const auto count = std::count(lines.begin(), lines.end(),
                                "warning: socket.send() raised exception.");
  EXPECT_EQ(count, 6);
}

TEST(DatagramFaults, AnEndWhileItWaitsTakesTheTimerBack) {
  DatagramPair pair;
  pair.block(ENOBUFS);
  pair.connected->sendto("one");
  run_passes(pair.loop, 1);
  EXPECT_EQ(pair.loop.snapshot().timers.size(), 1u);
  pair.connected->abort();
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.loop.snapshot().timers.size(), 0u);
  EXPECT_EQ(pair.client->losses, 1);
}

TEST(DatagramFaults, ADescriptorThatIsGoneEndsIt) {
  for (const int error_number : {EBADF, ENOTSOCK}) {
    for (const KernelCall call :
         {KernelCall::kRecvmmsg, KernelCall::kSendmmsg}) {
      DatagramPair pair;
      pair.loop.set_debug(true);
      pair.kernel.fail(call, error_number);
      pair.connected->sendto("x");
      const DatagramRecorder& ends =
          call == KernelCall::kSendmmsg ? *pair.client : *pair.server;
      ASSERT_TRUE(run_until(pair.loop, [&] { return ends.losses > 0; }));
      EXPECT_EQ(errno_of(ends.error), error_number);
      EXPECT_EQ(ends.errors, Errors());
      EXPECT_EQ(pair.reports.messages, Calls());
    }
  }
}

TEST(DatagramFaults, WhatErrorReceivedSendsMayFailAgain) {
  DatagramPair pair;
  pair.kernel.fail(KernelCall::kSendmmsg, EPERM,
                   {.times = ScriptedKernel::kForever});
  pair.client->on_error = [&] {
    if (pair.client->errors.size() < 100) pair.connected->sendto("again");
  };
  pair.connected->sendto("x");
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.client->errors.size() == 100; }));
}

TEST(DatagramFaults, AFloodOfDescriptorsIsClosedByTheKernel) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  SocketPair pair(SOCK_DGRAM);
  const auto transport = test::finish(loop, create_datagram_endpoint(
                                                [protocol] { return protocol; },
                                                std::move(pair.a)))
                             .transport;
  const std::size_t before = count_open_descriptors();
  char byte = 'x';
  ::iovec piece{&byte, 1};
  alignas(::cmsghdr) char control[CMSG_SPACE(100 * sizeof(int))] = {};
  ::msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ::cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(100 * sizeof(int));
  std::fill_n(reinterpret_cast<int*>(CMSG_DATA(header)), 100, pair.b.get());
  ASSERT_EQ(::sendmsg(pair.b.get(), &message, 0), 1);
  ASSERT_TRUE(run_until(loop, [&] { return protocol->count == 1; }));
  EXPECT_EQ(count_open_descriptors(), before);
}

// -- what protocols throw -----------------------------------------------------

TEST(DatagramFaults, WhatCallbacksThrowIsReportedAndTheEndpointStaysOpen) {
  DatagramPair pair;
  pair.connected->set_write_buffer_limits(0);
  pair.server->on_datagram = [](std::string_view, const Address&) {
    throw std::runtime_error("boom");
  };
  pair.client->on_error = [] { throw 42; };
  pair.client->on_pause = [] { throw 42; };
  pair.client->on_resume = [] { throw 42; };
  pair.kernel.fail(KernelCall::kSendmmsg, EPERM, {.from_call = 2});
  pair.connected->sendto("one");
  run_one_pass(pair.loop);
  pair.connected->sendto("fails");
  run_one_pass(pair.loop);
  pair.block();
  pair.connected->sendto("two");
  run_one_pass(pair.loop);
  pair.kernel.stop_failing();
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"one", "two"}));
  EXPECT_FALSE(pair.bound->is_closing());
  EXPECT_FALSE(pair.connected->is_closing());
  Calls messages = pair.reports.messages;
  std::sort(messages.begin(), messages.end());
  EXPECT_EQ(messages, (Calls{"protocol.datagram_received() call failed.",
                             "protocol.datagram_received() call failed.",
                             "protocol.error_received() call failed.",
                             "protocol.pause_writing() failed",
                             "protocol.resume_writing() failed"}));
}

TEST(DatagramFaults, WhatConnectionMadeThrowsEndsTheEndpoint) {
  EventLoop loop;
  const Reports reports(loop);
  const auto protocol = std::make_shared<DatagramRecorder>();
  protocol->on_made = [] { throw std::runtime_error("boom"); };
  EXPECT_EQ(test::thrown_by([&] { open_endpoint(loop, any_port(), protocol); }),
            "std::runtime_error: boom");
  run_passes(loop, 3);
  EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(reports.messages,
            Calls{"Fatal error: protocol.connection_made() call failed."});
}

TEST(DatagramFaults, WhatConnectionLostThrowsIsReported) {
  DatagramPair pair;
  pair.client->on_lost = [] { throw 42; };
  pair.connected->close();
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.connected->fd(), -1);
  EXPECT_EQ(pair.reports.messages.size(), 1u);
}

TEST(DatagramFaults, AFactoryThatFailsLeavesNothingOpen) {
  ScriptedKernel kernel;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    auto nothing = [] { return std::shared_ptr<DatagramProtocol>(); };
    EXPECT_THROW(
        test::finish(loop, create_datagram_endpoint(nothing, any_port())),
        std::invalid_argument);
    auto fails = []() -> std::shared_ptr<DatagramProtocol> { throw 42; };
    EXPECT_THROW(
        test::finish(loop, create_datagram_endpoint(fails, any_port())), int);
  }
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

// SystemExit leaves run_forever(); the loop may be run again, and nothing is
// lost of what one call had read.
TEST(DatagramFaults, SystemExitLosesNoDatagram) {
  DatagramPair pair;
  const auto leaves = [&] {
    try {
      for (int pass = 0; pass < 100; ++pass) run_one_pass(pair.loop);
    } catch (const SystemExit&) {
      return true;
    }
    return false;
  };
  pair.server->on_datagram = [&](std::string_view, const Address&) {
    if (pair.server->count <= 2) throw SystemExit();
  };
  Texts sent;
  for (int n = 0; n < 5; ++n) {
    sent.push_back(std::to_string(n));
    pair.connected->sendto(sent.back());
  }
  EXPECT_TRUE(leaves());
  EXPECT_EQ(pair.server->count, 1u);
  pair.connected->sendto("behind");
  sent.emplace_back("behind");
  EXPECT_TRUE(leaves());
  EXPECT_EQ(pair.server->count, 2u);
  ASSERT_TRUE(pair.served(6));
  EXPECT_EQ(pair.server->received, sent);
  EXPECT_EQ(pair.server->from, pair.connected->sockname());
}

TEST(DatagramFaults, SystemExitOutOfConnectionMadeLeavesTheLoopAndItIsOpen) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  protocol->on_made = [] { throw SystemExit(3); };
  auto task = create_datagram_endpoint([&] { return protocol; }, any_port())
                  .start(loop);
  EXPECT_THROW(run_until(loop, [] { return false; }), SystemExit);
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  const auto endpoint = task.result().transport;
  endpoint->sendto("x", endpoint->sockname());
  ASSERT_TRUE(run_until(loop, [&] { return protocol->count == 1; }));
}

TEST(DatagramFaults, SystemExitOutOfErrorReceivedLosesNoError) {
  DatagramPair pair;
  pair.client->on_error = [&] {
    if (pair.client->errors.size() == 1) throw SystemExit();
  };
  pair.kernel.fail(KernelCall::kSendmmsg, EPERM, {.times = 3});
  for (int n = 0; n < 3; ++n) pair.connected->sendto("x");
  EXPECT_THROW(run_passes(pair.loop, 5), SystemExit);
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.client->errors.size() == 3; }));
}

// -- the loop and the kernel --------------------------------------------------

TEST(DatagramFaults, ASocketThatCannotBeWatchedIsNoEndpoint) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const auto protocol = std::make_shared<DatagramRecorder>();
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(open_endpoint(loop, any_port(), protocol), std::system_error);
  run_passes(loop, 3);
  EXPECT_EQ(errno_of(protocol->error), ENOSPC);
  EXPECT_EQ(reports.messages,
            Calls{"Fatal error: the socket cannot be watched"});
}

TEST(DatagramFaults, ASocketThatCannotBeWaitedForIsLost) {
  DatagramPair pair;
  pair.block();
  pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  pair.connected->sendto("x");
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses > 0; }));
  EXPECT_EQ(errno_of(pair.client->error), ENOMEM);
}

TEST(DatagramFaults, EveryCallOfItsCreationMayFail) {
  for (const KernelCall call :
       {KernelCall::kSocket, KernelCall::kBind, KernelCall::kConnect,
        KernelCall::kSetsockopt}) {
    ScriptedKernel kernel;
    {
      EventLoop loop(LoopOptions().kernel(kernel));
      const auto protocol = std::make_shared<DatagramRecorder>();
      DatagramOptions options = any_port();
      options.remote_address(Address::inet("127.0.0.1", 9)).reuse_port(true);
      kernel.fail(call, EMFILE);
      EXPECT_THROW(open_endpoint(loop, options, protocol), std::system_error)
          << to_string(call);
      EXPECT_EQ(protocol->calls, Calls());
    }
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
}

// -- no memory ----------------------------------------------------------------

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

TEST(DatagramFaults, ASendtoThatFindsNoMemoryIsToldAndTheRestIsSent) {
  DatagramPair pair;
  pair.connected->sendto("before");
  const std::string large(50'000, 'x');
  {
    const FailingAllocations failing(1, FailingAllocations::Mode::kFromThenOn);
    pair.connected->sendto(large);  // throws nothing
    EXPECT_TRUE(failing.fired());
  }
  pair.connected->sendto("after");
  ASSERT_TRUE(pair.served(2));
  EXPECT_EQ(pair.server->received, (Texts{"before", "after"}));
  EXPECT_FALSE(pair.connected->is_closing());
}

TEST(DatagramFaults, AnAllocationThatFailsEndsInNothingWorseThanALoss) {
  ::testing::internal::CaptureStderr();
  std::uint64_t nth = 1;
  for (bool fired = true; fired; ++nth) {
    SCOPED_TRACE(nth);
    DatagramPair pair;
    pair.server->keeps = false;
    pair.client->keeps = false;
    pair.server->on_datagram = [&](std::string_view data, const Address& from) {
      pair.bound->sendto(data, from);
    };
    const std::string text(100, 'x');
    {
      const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
      for (int pass = 0; pass < 10; ++pass) {
        pair.connected->sendto(text);
        try {
          run_one_pass(pair.loop);
        } catch (const std::bad_alloc&) {
          // The loop may be run again.
        }
      }
      fired = failing.fired();
    }
    EXPECT_GE(pair.client->count, fired ? 0u : 8u);
    pair.connected->close();
    ASSERT_TRUE(run_until(pair.loop, [&] { return pair.client->losses == 1; }));
  }
  ::testing::internal::GetCapturedStderr();
  EXPECT_GT(nth, 3u);
}

#endif

// -- an end at every step -----------------------------------------------------

/// Two endpoints that talk; at one of the steps something is done to them.
struct DatagramTalk {
  DatagramTalk() {
    const auto count = [this] { step(); };
    for (DatagramRecorder* end : {pair.server.get(), pair.client.get()}) {
      end->on_error = count;
      end->on_lost = count;
      end->on_pause = count;
      end->on_resume = count;
    }
    pair.connected->set_write_buffer_limits(0);
    pair.server->on_datagram = [this](std::string_view data,
                                      const Address& from) {
      step();
      pair.server->transport->sendto(data, from);
    };
    pair.client->on_datagram = [this](std::string_view, const Address&) {
      step();
      if (pair.client->count < 6) pair.client->transport->sendto("next");
    };
  }
  void step() {
    if (++steps == at_step) at();
  }

  DatagramPair pair;
  int steps = 0;
  int at_step = 0;
  std::function<void()> at;
};

TEST(DatagramFaults, MayEndAtEveryStep) {
  using Act = void (*)(DatagramPair&);
  for (const Act act :
       {Act([](DatagramPair& p) { p.connected->close(); }),
        Act([](DatagramPair& p) { p.connected->abort(); }),
        Act([](DatagramPair& p) { p.bound->abort(); }),
        Act([](DatagramPair& p) {
          p.bound.reset();  // the last handles: they keep themselves
          p.connected->close();
        }),
        Act([](DatagramPair& p) {
          p.connected->set_protocol(std::make_shared<DatagramRecorder>());
        })}) {
    int steps = 0;
    for (int at = 1; at == 1 || at <= steps; ++at) {
      DatagramTalk talk;
      const auto keep = talk.pair.bound;
      talk.at_step = at;
      talk.at = [&] { act(talk.pair); };
      talk.pair.kernel.fail(KernelCall::kSendmmsg, EAGAIN);
      talk.pair.connected->sendto("one");
      talk.pair.connected->sendto(std::string(65'508, 'l'));
      talk.pair.connected->sendto("two");
      run_passes(talk.pair.loop, 30);
      talk.pair.connected->close();
      keep->close();
      run_passes(talk.pair.loop, 3);
      EXPECT_EQ(talk.pair.server->losses, 1);
      EXPECT_LE(talk.pair.client->losses, 1);
      EXPECT_EQ(talk.pair.loop.snapshot().descriptors.size(), 0u);
      steps = std::max(steps, talk.steps);
    }
    EXPECT_GT(steps, 5);
  }
}

TEST(DatagramFaults, TheLoopMayBeClosedAfterEveryPass) {
  for (int passes = 0; passes < 15; ++passes) {
    DatagramTalk talk;
    talk.pair.kernel.fail(KernelCall::kSendmmsg, EAGAIN);
    talk.pair.connected->sendto("one");
    talk.pair.connected->sendto("two");
    run_passes(talk.pair.loop, passes);
    talk.pair.loop.close();
    EXPECT_EQ(talk.pair.connected->fd(), -1);
    talk.pair.connected->sendto("nowhere");
    EXPECT_EQ(talk.pair.client->losses, 0);
  }
}

}  // namespace
}  // namespace rondo
