// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "futures/errors.h"
#include "reactor/snapshot.h"
#include "test/net/talk_without_memory.h"
#include "test/net/tls_raw_peer.h"
#include "test/support/allocation.h"
#include "test/support/scale.h"

// A scripted conversation over TLS, with a fault at each kernel call and at
// each allocation, and ended by somebody at each step. Whatever happens,
// connection_lost() is called once, the loop goes on, and nothing stays open.

namespace rondo {
namespace {

using test::Calls;
using test::client_options;
using test::connected_pair;
using test::errno_of;
using test::FailingAllocations;
using test::Recorder;
using test::shared_client_context;
using test::shared_server_context;

/// A client that says something, and a server that echoes it: both ends on
/// one loop. The kernel is slow, so that buffers fill.
struct Talk {
  Talk() {
    kernel.shorten(KernelCall::kSend, 7000);
    kernel.shorten(KernelCall::kRecv, 9000);
    client->on_made = [this] {
      const bool leaves_then = step();
      client->transport->set_write_buffer_limits(8000, 2000);
      client->transport->write("hello ");
      client->transport->write(large);
      client->transport->write(" tail");
      leave_if(leaves_then);
    };
    client->on_data = [this](std::string_view) {
      const bool leaves_then = step();
      if (client->received == said) client->transport->close();
      leave_if(leaves_then);
    };
    client->on_eof = [this] {
      const bool leaves_then = step();
      leave_if(leaves_then);
      return false;
    };
    client->on_lost = [this] {
      const bool leaves_then = step();
      leave_if(leaves_then);
    };
    client->on_pause = [this] { step(); };  // in the middle of a write()
    client->on_resume = [this] {
      const bool leaves_then = step();
      leave_if(leaves_then);
    };
    server->on_made = [this] {
      const bool leaves_then = step();
      leave_if(leaves_then);
    };
    server->on_data = [this](std::string_view data) {
      const bool leaves_then = step();
      server->transport->write(data);
      leave_if(leaves_then);
    };
    server->on_eof = [this] {
      const bool leaves_then = step();
      server->transport->write(" bye");  // the client does not want it
      leave_if(leaves_then);
      return false;
    };
    server->on_lost = [this] {
      const bool leaves_then = step();
      leave_if(leaves_then);
    };
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
    begin(client, sockets.first, client_options(shared_client_context()));
    begin(server, sockets.second, TlsOptions(shared_server_context()));
  }
  void begin(const std::shared_ptr<Recorder>& protocol, UniqueFd& socket,
             TlsOptions tls) {
    tls.shutdown_timeout(5).handshake_timeout(5);
    tasks.push_back(create_connection([protocol] { return protocol; },
                                      std::move(socket),
                                      ConnectOptions().tls(std::move(tls)))
                        .start(loop));
  }
  /// Whether the callback is to leave the loop at its end: see Act::kExit.
  bool step() {
    if (++steps == at_step && at) at();
    return std::exchange(leaves, false);
  }
  static void leave_if(bool leaves) {
    if (leaves) throw SystemExit();
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
    EXPECT_TRUE(run_until(loop, [this] { return over(); }))
        << "client: " << ::testing::PrintToString(client->calls)
        << "\nserver: " << ::testing::PrintToString(server->calls);
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
    EXPECT_TRUE(said.starts_with(server->received));
    EXPECT_TRUE(said.starts_with(client->received));
  }
  void expect_complete() const {
    EXPECT_TRUE(server->received == said) << server->received.size();
    EXPECT_TRUE(client->received == said) << client->received.size();
    EXPECT_EQ(describe(client->error), "no exception");
    EXPECT_EQ(describe(server->error), "no exception");
    EXPECT_EQ(reports.messages, Calls());
  }

  const std::string large = std::string(20'000, 'L');
  const std::string said = "hello " + large + " tail";
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> client = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> server = std::make_shared<Recorder>();
  std::pair<UniqueFd, UniqueFd> sockets = connected_pair(kernel);
  std::vector<Task<Connection>> tasks;
  std::vector<std::shared_ptr<Recorder>> former;  // see Act::kSwapProtocols
  int steps = 0;
  int at_step = 0;  // at which `at` is called
  bool leaves = false;
  std::function<void()> at;
};

// -- kernel calls -------------------------------------------------------------

TEST(TlsFaults, ATalkWithoutFaultsIsComplete) {
  Talk talk;
  talk.begin();
  talk.end();
  talk.expect_complete();
  EXPECT_NE(
      std::count(talk.client->calls.begin(), talk.client->calls.end(), "pause"),
      0);
}

TEST(TlsFaults, AnInterruptedCallIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    for (const KernelCall call :
         {KernelCall::kRecv, KernelCall::kSend, KernelCall::kSendmsg}) {
      for (std::uint64_t nth = 1;; ++nth) {
        Talk talk;
        talk.kernel.fail(call, error_number, {.from_call = nth});
        talk.begin();
        talk.end();
        talk.expect_complete();
        if (talk.kernel.failures() == 0) break;
        ASSERT_FALSE(::testing::Test::HasFailure())
            << to_string(call) << " " << nth;
      }
    }
  }
}

TEST(TlsFaults, AnErrorOfTheSocketEndsBothConnections) {
  for (const std::uint64_t times :
       {std::uint64_t{1}, ScriptedKernel::kForever}) {
    for (const int error_number : {EPIPE, ECONNRESET, ETIMEDOUT, ENOMEM}) {
      for (const KernelCall call :
           {KernelCall::kRecv, KernelCall::kSend, KernelCall::kSendmsg,
            KernelCall::kShutdown, KernelCall::kGetpeername,
            KernelCall::kSetsockopt}) {
        for (std::uint64_t nth = 1;; ++nth) {
          Talk talk;
          talk.kernel.fail(call, error_number,
                           {.from_call = nth, .times = times});
          talk.begin();
          talk.end();
          EXPECT_EQ(talk.reports.messages, Calls());  // it is nobody's fault
          if (talk.kernel.failures() == 0) break;
          ASSERT_FALSE(::testing::Test::HasFailure())
              << to_string(call) << " " << nth << " x" << times;
        }
      }
    }
  }
}

TEST(TlsFaults, ASocketThatCannotBeWatchedEndsItsConnection) {
  for (const std::uint64_t times :
       {std::uint64_t{1}, ScriptedKernel::kForever}) {
    for (const KernelCall call : {KernelCall::kEpollAdd}) {
      for (std::uint64_t nth = 1;; ++nth) {
        Talk talk;
        run_passes(talk.loop, 1);
        talk.kernel.fail(call, ENOSPC, {.from_call = nth, .times = times});
        talk.begin();
        talk.end();
        if (talk.kernel.failures() == 0) break;
        ASSERT_FALSE(::testing::Test::HasFailure())
            << to_string(call) << " " << nth << " x" << times;
      }
    }
  }
}

// -- no memory ----------------------------------------------------------------

#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

TEST(TlsFaults, AnAllocationThatFailsEndsTheTalkOrIsNotNoticed) {
  shared_client_context();
  shared_server_context();
  ::testing::internal::CaptureStderr();
  const int once =
      test::talk_without_memory<Talk>(FailingAllocations::Mode::kOnce);
  const int always =
      test::talk_without_memory<Talk>(FailingAllocations::Mode::kFromThenOn);
  ::testing::internal::GetCapturedStderr();
  EXPECT_GT(once, 30);
  EXPECT_GT(always, 30);
}

TEST(TlsFaults, AWriteThatFindsNoMemoryEndsTheConnection) {
  for (const auto mode : {FailingAllocations::Mode::kOnce,
                          FailingAllocations::Mode::kFromThenOn}) {
    test::RawPair pair;
    pair.shake_hands();
    pair.passes(3);
    const std::string large(100'000, 'x');
    ::testing::internal::CaptureStderr();
    {
      const FailingAllocations failing(1, mode);
      pair.protocol->transport->write(large);  // throws nothing
      EXPECT_TRUE(failing.fired());
    }
    ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(pair.protocol->transport->is_closing());
    ASSERT_TRUE(pair.run([&] { return pair.protocol->losses > 0; }));
    EXPECT_EQ(describe(pair.protocol->error), "std::bad_alloc: std::bad_alloc");
  }
}

// What goes on in the next pass needs a place in the queue.
TEST(TlsFaults, AResumeThatFindsNoMemoryEndsTheConnection) {
  test::RawPair pair;
  pair.shake_hands();
  pair.passes(3);
  pair.protocol->transport->pause_reading();
  std::uint64_t failed = 0;
  // The queue grows; one of these needs memory.
  for (int count = 0; count < 5000 && failed == 0; ++count) {
    const FailingAllocations failing(1, FailingAllocations::Mode::kFromThenOn);
    try {
      pair.loop.call_soon([] {});
    } catch (const std::bad_alloc&) {
      ++failed;
      pair.protocol->transport->resume_reading();  // throws nothing
    }
  }
  ASSERT_EQ(failed, 1u);
  ASSERT_TRUE(pair.run([&] { return pair.protocol->losses > 0; }));
  EXPECT_EQ(describe(pair.protocol->error), "std::bad_alloc: std::bad_alloc");
}

#endif

// -- the end at every step ----------------------------------------------------

enum class Act {
  kCloseClient,
  kCloseServer,
  kAbortClient,
  kAbortServer,
  kSwapProtocols,
  kPauseBoth,
  kWriteBoth,
  kDropHandles,
  kCloseLoop,
  kThrow,
  kExit,
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
    case Act::kSwapProtocols: {
      // To others that do the same.
      const auto swap = [&kept =
                             talk.former](std::shared_ptr<Recorder>& recorder) {
        if (recorder->transport == nullptr || recorder->losses > 0) return;
        const std::shared_ptr<Recorder> former =
            std::exchange(recorder, std::make_shared<Recorder>());
        recorder->transport = former->transport;
        recorder->received = former->received;
        recorder->on_data = former->on_data;
        recorder->on_eof = former->on_eof;
        kept.push_back(former);  // it may be what calls this
        recorder->transport->set_protocol(recorder);
      };
      swap(talk.client);
      swap(talk.server);
      return;
    }
    case Act::kPauseBoth:
      on(*talk.client, &Transport::pause_reading);
      on(*talk.server, &Transport::pause_reading);
      on(*talk.client, &Transport::resume_reading);
      on(*talk.server, &Transport::resume_reading);
      return;
    case Act::kWriteBoth:
      // Nothing, often: it makes the transports look at their state.
      for (const auto& recorder : {talk.client, talk.server}) {
        if (recorder->transport == nullptr || recorder->losses > 0) continue;
        recorder->transport->write("");
        recorder->transport->get_write_buffer_size();
        recorder->transport->set_write_buffer_limits(8000, 2000);
      }
      return;
    case Act::kDropHandles:
      for (const auto& task : talk.tasks) task.cancel();
      return;
    case Act::kCloseLoop:
      return talk.loop.close();
    case Act::kThrow:
      throw std::runtime_error("boom");
    case Act::kExit:
      talk.leaves = true;
  }
}

bool changes_nothing(Act act) {
  return act == Act::kSwapProtocols || act == Act::kPauseBoth ||
         act == Act::kWriteBoth || act == Act::kExit;
}

std::string act_name(const ::testing::TestParamInfo<Act>& info) {
  static const char* const kNames[] = {
      "CloseClient", "CloseServer", "AbortClient", "AbortServer",
      "Swap",        "PauseBoth",   "WriteBoth",   "DropHandles",
      "CloseLoop",   "Throw",       "LeaveTheLoop"};
  return kNames[static_cast<std::size_t>(info.param)];
}

class TlsEnds : public ::testing::TestWithParam<Act> {};

TEST_P(TlsEnds, BetweenAnyTwoPasses) {
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
      if (changes_nothing(GetParam())) talk.expect_complete();
    }
    if (was_over) {
      EXPECT_GT(passes, 5);
      return;
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

// A loop cannot be closed by a callback of its own.
class TlsEndsInside : public ::testing::TestWithParam<Act> {};

TEST_P(TlsEndsInside, AnyCallback) {
  for (int step = 1;; ++step) {
    SCOPED_TRACE(step);
    Talk talk;
    talk.at_step = step;
    talk.at = [&] { act(talk, GetParam()); };
    talk.begin();
    if (GetParam() == Act::kExit) {
      // The loop is left, and run again.
      for (int pass = 0; pass < 200; ++pass) {
        try {
          run_passes(talk.loop, 1);
        } catch (const SystemExit&) {
        }
      }
    }
    talk.end();
    if (changes_nothing(GetParam())) talk.expect_complete();
    if (GetParam() != Act::kThrow) {
      EXPECT_EQ(talk.reports.messages, Calls());
    }
    if (talk.steps < step) {
      EXPECT_GT(step, 5);
      return;
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Acts, TlsEnds,
                         ::testing::Values(Act::kCloseClient, Act::kCloseServer,
                                           Act::kAbortClient, Act::kAbortServer,
                                           Act::kSwapProtocols, Act::kPauseBoth,
                                           Act::kWriteBoth, Act::kDropHandles,
                                           Act::kCloseLoop),
                         act_name);
INSTANTIATE_TEST_SUITE_P(Acts, TlsEndsInside,
                         ::testing::Values(Act::kCloseClient, Act::kCloseServer,
                                           Act::kAbortClient, Act::kAbortServer,
                                           Act::kSwapProtocols, Act::kPauseBoth,
                                           Act::kWriteBoth, Act::kDropHandles,
                                           Act::kThrow, Act::kExit),
                         act_name);

}  // namespace
}  // namespace rondo
