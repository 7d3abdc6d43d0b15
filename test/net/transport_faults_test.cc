// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/server.h"
#include "net/transport.h"
#include "reactor/snapshot.h"
#include "test/net/talk_without_memory.h"
#include "test/net/transport_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::BufferedRecorder;
using test::Calls;
using test::connected_pair;
using test::errno_of;
using test::FailingAllocations;
using test::finish;
using test::Recorder;
using test::TransportPair;

/// Moves no more than so many bytes in the next send, whatever pieces they
/// are in, and after that all.
class TruncatingKernel : public ScriptedKernel {
 public:
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override {
    return ScriptedKernel::send(fd, data, std::min(size, take()), flags);
  }
  ssize_t sendmsg(int fd, const ::msghdr* message,
                  int flags) noexcept override {
    std::string all;
    for (std::size_t index = 0; index < message->msg_iovlen; ++index) {
      const ::iovec& piece = message->msg_iov[index];
      all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    return ScriptedKernel::send(fd, all.data(), std::min(all.size(), take()),
                                flags);
  }

  std::size_t next = SIZE_MAX;

 private:
  std::size_t take() { return std::exchange(next, SIZE_MAX); }
};

/// A client that says something, and a server that echoes it: both ends on
/// one loop. The kernel is slow, so that buffers fill.
struct Talk {
  Talk() {
    kernel.shorten(KernelCall::kSend, 7000);
    kernel.shorten(KernelCall::kRecv, 9000);
    client->on_made = [this] {
      step();
      client->transport->write("hello ");
      client->transport->write(large);
      client->transport->write(" tail");
      client->transport->write_eof();
    };
    client->on_data = [this](std::string_view) { step(); };
    client->on_eof = [this] {
      step();
      return false;
    };
    client->on_lost = [this] { step(); };
    client->on_pause = [this] { step(); };
    client->on_resume = [this] { step(); };
    server->on_data = [this](std::string_view data) {
      step();
      server->transport->write(data);
    };
    server->on_eof = [this] {
      step();
      server->transport->write(" bye");
      return false;
    };
    server->on_lost = [this] { step(); };
  }
  ~Talk() {
    tasks.clear();
    sockets = {};
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(client.use_count(), 1);
    EXPECT_EQ(server.use_count(), 1);
  }

  void begin() {
    for (auto [protocol, socket] : {std::pair(client, &sockets.first),
                                    std::pair(server, &sockets.second)}) {
      tasks.push_back(
          create_connection([protocol] { return protocol; }, std::move(*socket))
              .start(loop));
    }
  }
  void step() {
    if (++steps == at_step && at) at();
  }
  static bool ended(const Recorder& r) {
    return r.transport == nullptr || r.losses > 0;
  }
  bool over() const {
    return std::all_of(tasks.begin(), tasks.end(),
                       [](const auto& task) { return task.done(); }) &&
           ended(*client) && ended(*server);
  }
  void end() {
    sockets = {};  // if nobody has taken them
    EXPECT_TRUE(run_until(loop, [this] { return over(); }));
    run_passes(loop, 3);
    EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    for (const auto& recorder : {client, server}) {
      EXPECT_EQ(recorder->losses, recorder->transport == nullptr ? 0 : 1);
    }
    expect_prefixes();
    for (const auto& task : tasks) {
      if (task.done() && !task.cancelled()) task.exception();
    }
  }
  /// What arrives is what was sent, up to a point.
  void expect_prefixes() const {
    const std::string said = "hello " + large + " tail";
    const std::string answered = said + " bye";
    EXPECT_TRUE(said.starts_with(server->received));
    EXPECT_TRUE(answered.starts_with(client->received));
  }
  void expect_complete() const {
    EXPECT_EQ(server->received, "hello " + large + " tail");
    EXPECT_EQ(client->received, "hello " + large + " tail bye");
    EXPECT_EQ(client->error, nullptr);
    EXPECT_EQ(server->error, nullptr);
    EXPECT_EQ(reports.messages, Calls());
  }

  const std::string large = std::string(20'000, 'L');
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> client = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> server = std::make_shared<Recorder>();
  std::pair<UniqueFd, UniqueFd> sockets = connected_pair(kernel);
  std::vector<Task<Connection>> tasks;
  int steps = 0;
  int at_step = 0;  // at which `at` is called
  std::function<void()> at;
};

// -- N1: every split ----------------------------------------------------------

// The first send takes k bytes, for every k.
TEST(TransportFaults, EverySplitOfASendGivesTheSameBytes) {
  TruncatingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  auto [mine, peer] = connected_pair(kernel);
  const auto transport =
      test::connect(loop, std::move(mine), std::make_shared<Recorder>());
  const std::string head = "0123456789";
  std::string large(16 * 1024, ' ');
  for (std::size_t at = 0; at < large.size(); ++at) {
    large[at] = static_cast<char>('a' + at % 23);
  }
  const std::string tail = "tail";
  const std::string all = head + large + tail;
  const auto attempt = [&](std::size_t first) {
    kernel.next = first;
    transport->write(head);
    transport->write(large);  // one sendmsg() for both
    transport->write(tail);
    std::string text;
    const bool done = run_until(loop, [&] {
      text += read_text(peer.get());
      return text.size() >= all.size();
    });
    return done && text == all;
  };
  for (std::size_t first = 1; first <= head.size() + large.size(); ++first) {
    // All at the borders; between them each 97th, which is no power of two.
    if (first > 64 && first % 97 != 0 && first + 64 < large.size()) continue;
    ASSERT_TRUE(attempt(first)) << first;
  }
}

TEST(TransportFaults, EverySplitOfASmallSendGivesTheSameBytes) {
  const std::string text = "a message of some forty bytes, or nearly so";
  for (std::size_t most = 1; most <= text.size(); ++most) {
    TransportPair pair;
    pair.kernel.shorten(KernelCall::kSend, most);
    pair.transport->write(text.substr(0, 7));
    pair.transport->write(text.substr(7));
    pair.transport->close();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(read_text(pair.peer.get()), text);
    EXPECT_EQ(pair.sends(), (text.size() + most - 1) / most);
  }
}

TEST(TransportFaults, WritesWhileTheBufferDrainsKeepTheirOrder) {
  for (const std::size_t most : {1u, 2u, 3u, 5u, 8u, 64u, 1000u}) {
    TransportPair pair;
    pair.kernel.shorten(KernelCall::kSend, most);
    std::string expected;
    std::string text;
    for (int count = 0; count < 200; ++count) {
      const std::string piece = std::to_string(count) + ",";
      expected += piece;
      pair.transport->write(piece);
      if (count % 3 == 0) run_one_pass(pair.loop);
      text += read_text(pair.peer.get());
    }
    text += pair.read(expected.size() - text.size());
    EXPECT_EQ(text, expected) << most;
  }
}

TEST(TransportFaults, EverySplitOfAReadGivesTheSameBytes) {
  const std::string text = "some bytes to be read";
  for (std::size_t most = 1; most <= text.size(); ++most) {
    TransportPair pair;
    pair.kernel.shorten(KernelCall::kRecv, most);
    write_text(pair.peer.get(), text);
    pair.peer.reset();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->received, text);
    EXPECT_EQ(std::count(pair.protocol->calls.begin(),
                         pair.protocol->calls.end(), "data"),
              static_cast<std::ptrdiff_t>((text.size() + most - 1) / most));
  }
}

TEST(TransportFaults, ATalkByteByByteIsTheSameTalk) {
  Talk talk;
  talk.kernel.shorten(KernelCall::kSend, 1);
  talk.kernel.shorten(KernelCall::kRecv, 1);
  talk.begin();
  talk.end();
  talk.expect_complete();
}

// -- errno --------------------------------------------------------------------

TEST(TransportFaults, AnInterruptedCallIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    for (const KernelCall call :
         {KernelCall::kRecv, KernelCall::kSend, KernelCall::kSendmsg}) {
      int fired = 0;
      for (std::uint64_t nth = 1;; ++nth) {
        Talk talk;
        talk.kernel.fail(call, error_number, {.from_call = nth});
        talk.begin();
        talk.end();
        talk.expect_complete();
        if (talk.kernel.failures() == 0) break;
        ++fired;
        ASSERT_FALSE(::testing::Test::HasFailure())
            << to_string(call) << " " << nth;
      }
      EXPECT_GE(fired, 1) << to_string(call);
    }
  }
}

TEST(TransportFaults, AnErrorIsToldToConnectionLostOnce) {
  for (const int error_number : {EPIPE, ECONNRESET, ETIMEDOUT}) {
    for (const KernelCall call :
         {KernelCall::kRecv, KernelCall::kSend, KernelCall::kSendmsg}) {
      int fired = 0;
      for (std::uint64_t nth = 1;; ++nth) {
        Talk talk;
        talk.kernel.fail(call, error_number, {.from_call = nth});
        talk.begin();
        talk.end();
        if (talk.kernel.failures() == 0) break;
        ++fired;
        EXPECT_TRUE(errno_of(talk.client->error) == error_number ||
                    errno_of(talk.server->error) == error_number);
        EXPECT_EQ(talk.reports.messages, Calls());  // it is nobody's fault
        ASSERT_FALSE(::testing::Test::HasFailure())
            << to_string(call) << " " << nth;
      }
      EXPECT_GE(fired, 1) << to_string(call);
    }
  }
}

TEST(TransportFaults, NamesTheCallThatFailed) {
  TransportPair pair;
  pair.loop.set_debug(true);
  pair.kernel.fail(KernelCall::kSend, ECONNRESET);
  pair.transport->write("x");
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(describe(pair.protocol->error),
            "std::system_error: send: Connection reset by peer");
}

TEST(TransportFaults, AClosedPeerDoesNotKillTheProcess) {
  const std::string story = in_child([]() -> std::string {
    ::signal(SIGPIPE, SIG_DFL);
    std::string told;
    for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}}) {
      TransportPair pair;
      pair.transport->pause_reading();
      pair.peer.reset();
      if (size > 1) pair.transport->write("x");  // before it: sendmsg()
      pair.transport->write(std::string(size, 'x'));
      pair.run_to_end();
      told += std::to_string(errno_of(pair.protocol->error)) + " ";
    }
    return told;
  });
  const std::string epipe = std::to_string(EPIPE);
  EXPECT_EQ(story, epipe + " " + epipe + " ");
}

/// A connection by TCP. The test has one end.
struct TcpPair {
  TcpPair() {
    const UniqueFd listener(kernel.socket(AF_INET, SOCK_STREAM, 0), kernel);
    const Address any = Address::inet("127.0.0.1", 0);
    EXPECT_EQ(kernel.bind(listener.get(), any.native(), any.native_size()), 0);
    EXPECT_EQ(kernel.listen(listener.get(), 1), 0);
    ::sockaddr_storage storage;
    unsigned size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    kernel.getsockname(listener.get(), native, &size);
    transport =
        finish(loop, create_connection([this] { return protocol; },
                                       Address::from_native(native, size)))
            .transport;
    peer = UniqueFd(kernel.accept(listener.get(), nullptr, nullptr), kernel);
  }
  ~TcpPair() {
    peer.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
  /// Ends the connection as a process that is killed does.
  void reset_by_peer() {
    const ::linger now{1, 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer.reset();
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  std::shared_ptr<Transport> transport;
  UniqueFd peer;
};

TEST(TransportFaults, AResetIsToldOnce) {
  for (const bool blocked : {false, true}) {
    TcpPair pair;
    if (blocked) {
      pair.transport->set_write_buffer_limits(1 << 30);
      while (pair.transport->get_write_buffer_size() == 0) {
        pair.transport->write(std::string(1 << 20, 'x'));
      }
    }
    pair.reset_by_peer();
    ASSERT_TRUE(
        run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
    run_passes(pair.loop, 3);
    EXPECT_EQ(errno_of(pair.protocol->error), ECONNRESET);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(pair.reports.messages, Calls());
  }
}

TEST(TransportFaults, AResetWhilePausedIsSeenByTheNextWriteOrRead) {
  for (const bool by_write : {false, true}) {
    TcpPair pair;
    pair.transport->pause_reading();
    pair.reset_by_peer();
    run_passes(pair.loop, 3);
    EXPECT_EQ(pair.protocol->losses, 0);
    by_write ? pair.transport->write("x") : pair.transport->resume_reading();
    ASSERT_TRUE(
        run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
    EXPECT_EQ(errno_of(pair.protocol->error), ECONNRESET);
  }
}

TEST(TransportFaults, WriteEofOfAConnectionThatIsGoneDoesNothing) {
  TcpPair pair;
  pair.reset_by_peer();
  pair.transport->write_eof();  // shutdown(2) fails
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(pair.protocol->losses, 1);
}

TEST(TransportFaults, AFlushThatFailsEndsWhateverCalledIt) {
  using Call = void (*)(Transport&);
  for (const Call call :
       {Call([](Transport& t) { t.close(); }),
        Call([](Transport& t) { t.write_eof(); }),
        Call([](Transport& t) { t.get_write_buffer_size(); }),
        Call([](Transport& t) { t.set_write_buffer_limits(0); })}) {
    TransportPair pair;
    pair.transport->write("x");
    pair.kernel.fail(KernelCall::kSend, ECONNRESET);
    call(*pair.transport);
    EXPECT_TRUE(pair.transport->is_closing());
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(errno_of(pair.protocol->error), ECONNRESET);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(pair.kernel.calls(KernelCall::kShutdown), 0u);
  }
}

// -- what protocols throw -----------------------------------------------------

/// What is thrown, and as what connection_lost() hears it.
const std::vector<std::pair<std::function<void()>, std::string>>& throwers() {
  static const std::vector<std::pair<std::function<void()>, std::string>> all =
      {{[] { throw std::runtime_error("boom"); }, "std::runtime_error: boom"},
       {[] { throw 42; }, "int"},
       {[] { throw std::bad_alloc(); }, "std::bad_alloc: std::bad_alloc"},
       {[] { throw CancelledError(); }, "rondo::CancelledError"}};
  return all;
}

TEST(TransportFaults, WhatDataReceivedThrowsEndsTheConnection) {
  for (const auto& [thrower, text] : throwers()) {
    TransportPair pair;
    pair.protocol->on_data = [&, f = thrower](std::string_view) {
      pair.transport->write("dropped");
      f();
    };
    write_text(pair.peer.get(), "x");
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->losses, 1);
    EXPECT_EQ(describe(pair.protocol->error), text);
    EXPECT_EQ(pair.reports.messages,
              Calls{"Fatal error: protocol.data_received() call failed."});
  }
}

TEST(TransportFaults, WhatEofReceivedThrowsEndsTheConnection) {
  for (const auto& [thrower, text] : throwers()) {
    TransportPair pair;
    pair.protocol->on_eof = [f = thrower] {
      f();
      return true;
    };
    ::shutdown(pair.peer.get(), SHUT_WR);
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(describe(pair.protocol->error), text);
    EXPECT_EQ(pair.reports.messages,
              Calls{"Fatal error: protocol.eof_received() call failed."});
  }
}

TEST(TransportFaults, WhatABufferedProtocolThrowsEndsTheConnection) {
  for (const auto& [thrower, text] : throwers()) {
    for (const char* where : {"get_buffer", "buffer_updated"}) {
      const auto buffered = std::make_shared<BufferedRecorder>();
      if (where == std::string("get_buffer")) {
        buffered->on_get = thrower;
      } else {
        buffered->on_data = [f = thrower](std::string_view) { f(); };
      }
      TransportPair pair(buffered);
      write_text(pair.peer.get(), "x");
      ASSERT_TRUE(run_until(pair.loop, [&] { return buffered->losses > 0; }));
      EXPECT_EQ(describe(buffered->error), text);
      EXPECT_EQ(pair.reports.messages,
                Calls{"Fatal error: protocol." + std::string(where) +
                      "() call failed."});
    }
  }
}

TEST(TransportFaults, WhatConnectionMadeThrowsEndsTheConnection) {
  for (const auto& [thrower, text] : throwers()) {
    ScriptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel));
    const Reports reports(loop);
    const auto protocol = std::make_shared<Recorder>();
    protocol->on_made = thrower;
    auto [mine, peer] = connected_pair(kernel);
    EXPECT_EQ(test::thrown_by([&, &socket = mine] {
                test::connect(loop, std::move(socket), protocol);
              }),
              text);
    run_passes(loop, 3);
    EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(describe(protocol->error), text);
    EXPECT_EQ(reports.messages,
              Calls{"Fatal error: protocol.connection_made() call failed."});
    char byte;
    EXPECT_EQ(::recv(peer.get(), &byte, 1, 0), 0);
  }
}

TEST(TransportFaults, WhatConnectionLostThrowsIsReported) {
  for (const auto& [thrower, text] : throwers()) {
    TransportPair pair;
    pair.protocol->on_lost = thrower;
    pair.transport->close();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.transport->fd(), -1);
    ASSERT_EQ(pair.reports.messages.size(), 1u);
    EXPECT_TRUE(pair.reports.messages[0].starts_with(
        "Exception in callback _SelectorTransport._call_connection_lost()"))
        << pair.reports.messages[0];
  }
}

// The report is made when the transport has gone.
TEST(TransportFaults,
     ReportsWhatConnectionLostThrowsIfNobodyHoldsTheTransport) {
  TransportPair pair;
  pair.protocol->on_lost = [] { throw std::runtime_error("lost"); };
  pair.transport.reset();
  pair.peer.reset();
  EXPECT_TRUE(
      run_until(pair.loop, [&] { return !pair.reports.messages.empty(); }));
  EXPECT_EQ(
      pair.reports.messages,
      Calls{
          "Exception in callback _SelectorTransport._call_connection_lost()"});
}

// SystemExit and KeyboardInterrupt leave run_forever(); the loop may be run
// again, and then nothing is lost.
template <class Exit>
void expect_exits_leave_the_loop() {
  const auto leaves = [](EventLoop& loop) {
    try {
      for (int pass = 0; pass < 100; ++pass) run_one_pass(loop);
    } catch (const Exit&) {
      return true;
    }
    return false;
  };
  {  // out of data_received(): what it wrote is sent, and it goes on
    TransportPair pair;
    pair.protocol->on_data = [&](std::string_view) {
      pair.transport->write("written");
      pair.protocol->on_data = nullptr;
      throw Exit();
    };
    write_text(pair.peer.get(), "x");
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_EQ(pair.read(7), "written");
    write_text(pair.peer.get(), "y");
    EXPECT_TRUE(
        run_until(pair.loop, [&] { return pair.protocol->received == "xy"; }));
    EXPECT_EQ(pair.reports.messages, Calls());
  }
  {  // out of connection_made(): it is connected all the same
    EventLoop loop;
    auto [mine, peer] = connected_pair(linux_kernel());
    const auto protocol = std::make_shared<Recorder>();
    protocol->on_made = [] { throw Exit(); };
    auto task =
        create_connection([protocol] { return protocol; }, std::move(mine))
            .start(loop);
    EXPECT_TRUE(leaves(loop));
    EXPECT_TRUE(run_until(loop, [&] { return task.done(); }));
    EXPECT_EQ(task.result().protocol, protocol);
    write_text(peer.get(), "x");
    EXPECT_TRUE(run_until(loop, [&] { return protocol->received == "x"; }));
  }
  {  // out of eof_received(): it is asked again
    TransportPair pair;
    pair.protocol->on_eof = [&]() -> bool {
      pair.protocol->on_eof = nullptr;
      throw Exit();
    };
    ::shutdown(pair.peer.get(), SHUT_WR);
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "eof", "eof", "lost"}));
  }
  {  // out of connection_lost(): it has been called
    TransportPair pair;
    pair.protocol->on_lost = [] { throw Exit(); };
    pair.transport->close();
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_EQ(pair.transport->fd(), -1);
    run_passes(pair.loop, 3);
    EXPECT_EQ(pair.protocol->losses, 1);
  }
  {  // out of pause_writing() and resume_writing()
    TransportPair pair;
    pair.transport->set_write_buffer_limits(0);
    pair.protocol->on_pause = [] { throw Exit(); };
    pair.protocol->on_resume = [] { throw Exit(); };
    pair.block();
    pair.transport->write("x");
    EXPECT_TRUE(leaves(pair.loop));
    pair.kernel.stop_failing();
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_EQ(pair.read(1), "x");
    run_passes(pair.loop, 3);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
    pair.transport->close();
    EXPECT_TRUE(pair.run_to_end());
  }
  {  // out of the exception handler, which hears of a failure
    TransportPair pair;
    pair.protocol->on_data = [](std::string_view) { throw 1; };
    pair.loop.set_exception_handler(
        [](EventLoop&, const ExceptionContext&) { throw Exit(); });
    write_text(pair.peer.get(), "x");
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_TRUE(pair.run_to_end());
    EXPECT_EQ(describe(pair.protocol->error), "int");
  }
  {  // beside a transport that ends in the same pass as it was to send
    TransportPair pair;
    pair.loop.call_soon([&] {
      pair.transport->write("x");
      pair.transport->abort();
      pair.transport.reset();
    });
    pair.loop.call_soon([] { throw Exit(); });
    EXPECT_TRUE(leaves(pair.loop));
    EXPECT_TRUE(pair.run_to_end());
    run_passes(pair.loop, 2);
  }
}

TEST(TransportFaults, SystemExitLeavesTheLoopAndLosesNothing) {
  expect_exits_leave_the_loop<SystemExit>();
}

TEST(TransportFaults, KeyboardInterruptLeavesTheLoopAndLosesNothing) {
  expect_exits_leave_the_loop<KeyboardInterrupt>();
}

TEST(TransportFaults, ALoopClosedAfterAnExitKeepsNoTransport) {
  std::weak_ptr<Transport> gone;
  {
    TransportPair pair;
    gone = pair.transport;
    pair.transport->write("x");
    pair.transport->abort();
    pair.loop.call_soon([] { throw SystemExit(); });
    EXPECT_THROW(run_passes(pair.loop, 5), SystemExit);
    EXPECT_EQ(pair.protocol->losses, 1);
    pair.transport.reset();
  }
  EXPECT_TRUE(gone.expired());
}

// -- the loop cannot watch it -------------------------------------------------

TEST(TransportFaults, ASocketThatCannotBeWatchedIsNoConnection) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const auto protocol = std::make_shared<Recorder>();
  auto [mine, peer] = connected_pair(kernel);
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(test::connect(loop, std::move(mine), protocol),
               std::system_error);
  run_passes(loop, 3);
  EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(errno_of(protocol->error), ENOSPC);
  EXPECT_EQ(reports.messages,
            Calls{"Fatal error: the socket cannot be watched"});
}

TEST(TransportFaults, ASocketThatCannotBeWaitedForIsLost) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}}) {
    TransportPair pair;
    pair.kernel.shorten(KernelCall::kSend, 1);
    pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
    pair.transport->write("x");
    pair.transport->write(std::string(size, 'x'));
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(errno_of(pair.protocol->error), ENOMEM);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  }
}

TEST(TransportFaults, ASocketThatCannotBeWatchedAgainIsLost) {
  TransportPair pair;
  pair.transport->pause_reading();
  pair.kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  pair.transport->resume_reading();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), ENOSPC);
}

// Wherever a direction is added or taken away.
TEST(TransportFaults, ADescriptorThatTheLoopCannotKeepIsLostOnce) {
  int fired = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    Talk talk;
    talk.kernel.fail(KernelCall::kEpollModify, ENOMEM, {.from_call = nth});
    talk.begin();
    talk.end();
    if (talk.kernel.failures() == 0) break;
    ++fired;
    EXPECT_TRUE(errno_of(talk.client->error) == ENOMEM ||
                errno_of(talk.server->error) == ENOMEM);
    EXPECT_EQ(talk.reports.messages.size(), 1u);
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GE(fired, 4);
}

// -- no memory ----------------------------------------------------------------

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

TEST(TransportFaults, AnAllocationThatFailsEndsTheTalkOrIsNotNoticed) {
  ::testing::internal::CaptureStderr();
  const int once =
      test::talk_without_memory<Talk>(FailingAllocations::Mode::kOnce);
  const int always =
      test::talk_without_memory<Talk>(FailingAllocations::Mode::kFromThenOn);
  ::testing::internal::GetCapturedStderr();
  EXPECT_GT(once, 20);
  EXPECT_GT(always, 20);
}

TEST(TransportFaults, AWriteThatFindsNoMemoryEndsTheConnection) {
  for (const auto mode : {FailingAllocations::Mode::kOnce,
                          FailingAllocations::Mode::kFromThenOn}) {
    for (const std::size_t taken : {0u, 1000u}) {
      TransportPair pair;
      if (taken == 0) {
        pair.block();
      } else {
        pair.kernel.shorten(KernelCall::kSend, taken);
      }
      const std::string large(100'000, 'x');
      ::testing::internal::CaptureStderr();
      {
        const FailingAllocations failing(1, mode);
        pair.transport->write(large);  // throws nothing
        EXPECT_TRUE(failing.fired());
      }
      ::testing::internal::GetCapturedStderr();
      EXPECT_TRUE(pair.transport->is_closing());
      ASSERT_TRUE(pair.run_to_end());
      EXPECT_EQ(pair.protocol->losses, 1);
      EXPECT_EQ(describe(pair.protocol->error),
                "std::bad_alloc: std::bad_alloc");
      EXPECT_EQ(read_text(pair.peer.get()).size(), taken);
    }
  }
}

#endif

// -- the end at every step ----------------------------------------------------

enum class Act {
  kCloseClient,
  kCloseServer,
  kAbortClient,
  kAbortServer,
  kDropHandles,
  kCloseLoop
};

void act(Talk& talk, Act act) {
  const auto on = [](Recorder& recorder, void (Transport::*call)()) {
    if (recorder.transport != nullptr && recorder.losses == 0) {
      (recorder.transport->*call)();
    }
  };
  switch (act) {
    case Act::kCloseClient:
      return on(*talk.client, &Transport::close);
    case Act::kCloseServer:
      return on(*talk.server, &Transport::close);
    case Act::kAbortClient:
      return on(*talk.client, &Transport::abort);
    case Act::kAbortServer:
      return on(*talk.server, &Transport::abort);
    case Act::kDropHandles:
      // A connection that nobody waits for any more is cancelled.
      for (const auto& task : talk.tasks) task.cancel();
      return;
    case Act::kCloseLoop:
      return talk.loop.close();
  }
}

class TransportEnds : public ::testing::TestWithParam<Act> {};

TEST_P(TransportEnds, BetweenAnyTwoPasses) {
  for (int passes = 0;; ++passes) {
    SCOPED_TRACE(passes);
    Talk talk;
    talk.begin();
    run_passes(talk.loop, passes);
    const bool was_over = talk.over();
    act(talk, GetParam());
    if (GetParam() == Act::kCloseLoop) {
      EXPECT_LE(talk.client->losses, 1);
      EXPECT_LE(talk.server->losses, 1);
      talk.expect_prefixes();
    } else {
      talk.end();
    }
    if (was_over) {
      EXPECT_GT(passes, 5);
      return;
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

// A loop cannot be closed by a callback of its own.
class TransportEndsInside : public TransportEnds {};

TEST_P(TransportEndsInside, AnyCallback) {
  for (int step = 1;; ++step) {
    SCOPED_TRACE(step);
    Talk talk;
    talk.at_step = step;
    talk.at = [&] { act(talk, GetParam()); };
    talk.begin();
    talk.end();
    // Of one that is closed in connection_made(), write_eof() does nothing.
    EXPECT_EQ(talk.reports.messages, Calls());
    if (talk.steps < step) {
      EXPECT_GT(step, 5);
      return;
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Acts, TransportEnds,
                         ::testing::Values(Act::kCloseClient, Act::kCloseServer,
                                           Act::kAbortClient, Act::kAbortServer,
                                           Act::kDropHandles, Act::kCloseLoop));
INSTANTIATE_TEST_SUITE_P(Acts, TransportEndsInside,
                         ::testing::Values(Act::kCloseClient, Act::kCloseServer,
                                           Act::kAbortClient, Act::kAbortServer,
                                           Act::kDropHandles));

}  // namespace
}  // namespace rondo
