// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "test/net/subprocess_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using test::Calls;
using test::ChildRecorder;
using test::errno_of;
using test::finish;
using test::has_children;
using test::SubprocessPair;
using test::thrown_by;

// -- what a protocol throws ---------------------------------------------------

TEST(SubprocessFaults, WhatConnectionMadeThrowsClosesIt) {
  const auto recorder = std::make_shared<ChildRecorder>();
  recorder->on = [](std::string_view call) {
    if (call == "made") throw std::runtime_error("boom");
  };
  EventLoop loop;
  const Reports reports(loop);
  EXPECT_EQ(thrown_by([&] {
              finish(loop, subprocess_shell([&] { return recorder; },
                                            "exec sleep 100"));
            }),
            "std::runtime_error: boom");
  ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
  EXPECT_EQ(recorder->calls, (Calls{"made", "exited", "lost"}));
  EXPECT_EQ(describe(recorder->error), "std::runtime_error: boom");
  EXPECT_EQ(reports.messages,
            Calls{"Fatal error: protocol.connection_made() call failed."});
  EXPECT_FALSE(has_children());
}

TEST(SubprocessFaults, WhatOthersThrowIsReportedAndItGoesOn) {
  SubprocessPair pair("cat; exit 4",
                      SubprocessOptions().stdin(PIPE).stdout(PIPE));
  pair.recorder->on = [](std::string_view call) {
    if (call != "lost") throw 42;
  };
  pair.transport->get_pipe_transport(0)->write("x");
  pair.transport->get_pipe_transport(0)->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1], "x");
  EXPECT_EQ(pair.transport->get_returncode(), 4);
  Calls messages = pair.reports.messages;
  std::sort(messages.begin(), messages.end());
  EXPECT_EQ(messages, (Calls{"protocol.pipe_connection_lost() failed",
                             "protocol.pipe_connection_lost() failed",
                             "protocol.pipe_data_received() failed",
                             "protocol.process_exited() failed"}));
}

TEST(SubprocessFaults, SystemExitLeavesTheLoopAndItEndsAllTheSame) {
  for (const char* where : {"made", "data 1", "lost 1", "exited", "lost"}) {
    const auto recorder = std::make_shared<ChildRecorder>();
    EventLoop loop;
    recorder->on = [where](std::string_view call) {
      if (call == where) throw SystemExit(1);
    };
    auto task = subprocess_shell([&] { return recorder; }, "echo x",
                                 SubprocessOptions().stdout(PIPE))
                    .start(loop);
    EXPECT_THROW(run_until(loop, [] { return false; }), SystemExit) << where;
    EXPECT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }))
        << where;
    run_passes(loop, 2);
    EXPECT_TRUE(task.done());
    EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    EXPECT_FALSE(has_children());
  }
}

TEST(SubprocessFaults, MayBeClosedInAnyCallback) {
  for (const char* where :
       {"made", "data 1", "pause", "lost 0", "lost 1", "exited", "lost"}) {
    SubprocessPair pair("cat; exec sleep 0.01",
                        SubprocessOptions().stdin(PIPE).stdout(PIPE));
    const auto keep = pair.transport;
    pair.transport.reset();
    bool is_closed = false;
    const auto close = [&](std::string_view call) {
      if (call != where || std::exchange(is_closed, true)) return;
      keep->close();
    };
    close("made");
    pair.recorder->on = close;
    const auto input = keep->get_pipe_transport(0);
    input->write(std::string(1 << 20, 'x'));
    input->close();
    ASSERT_TRUE(pair.run_to_end()) << where;
    EXPECT_TRUE(is_closed) << where;
    for (const char* call : {"made", "lost 0", "lost 1", "exited", "lost"}) {
      EXPECT_EQ(pair.recorder->count(call), 1) << where << ": " << call;
    }
    EXPECT_FALSE(has_children());
  }
}

TEST(SubprocessFaults, WhatConnectionLostThrowsIsReported) {
  SubprocessPair pair("cat", SubprocessOptions().stdin(PIPE));
  pair.recorder->on = [](std::string_view call) {
    if (call == "lost") throw 42;
  };
  pair.transport->get_pipe_transport(0)->close();
  ASSERT_TRUE(pair.run_to_end());
  ASSERT_EQ(pair.reports.messages.size(), 1u);
  EXPECT_TRUE(pair.reports.messages[0].starts_with(
      "Exception in callback BaseSubprocessTransport._call_connection_lost()"))
      << pair.reports.messages[0];
}

// -- nothing is left ----------------------------------------------------------

TEST(SubprocessFaults, ALoopThatIsClosedKillsItsChildren) {
  std::weak_ptr<SubprocessTransport> gone;
  {
    SubprocessPair pair("exec sleep 100",
                        SubprocessOptions().stdin(PIPE).stdout(PIPE));
    gone = pair.transport;
    const auto kept = pair.transport;
    pair.loop.close();
    EXPECT_FALSE(has_children());  // waited for, too
    EXPECT_EQ(kept->get_returncode(), -SIGKILL);
    EXPECT_TRUE(kept->is_closing());
    EXPECT_EQ(pair.recorder->calls, Calls{"made"});
    EXPECT_THROW(kept->kill(), std::system_error);
    kept->close();
  }
  EXPECT_TRUE(gone.expired());
}

// A copy of this process has the loop, too, and the pidfd.
TEST(SubprocessFaults, AForkedCopyOfTheLoopLeavesTheChildrenAlone) {
  SubprocessPair pair("exec sleep 100");
  EXPECT_EQ(in_child([&] {
              pair.loop.close();
              return std::string("closed");
            }),
            "closed");
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.transport->get_returncode(), std::nullopt);
  pair.transport->terminate();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), -SIGTERM);
}

// Closed after so many passes, whatever has happened by then.
TEST(SubprocessFaults, ALoopMayBeClosedAtAnyTime) {
  for (int passes = 0; passes < 12; ++passes) {
    ScriptedKernel kernel;
    const auto recorder = std::make_shared<ChildRecorder>();
    {
      EventLoop loop(LoopOptions().kernel(kernel));
      const Reports reports(loop);
      auto task = subprocess_shell([&] { return recorder; }, "cat; exit 3",
                                   SubprocessOptions().stdin(PIPE).stdout(PIPE))
                      .start(loop);
      for (int pass = 0; pass < passes; ++pass) {
        if (pass == 3 && recorder->transport != nullptr) {
          recorder->transport->get_pipe_transport(0)->write("x");
        }
        if (pass == 5 && recorder->transport != nullptr) {
          recorder->transport->get_pipe_transport(0)->close();
        }
        loop.poll_events(std::chrono::milliseconds(20));
        loop.collect();
        loop.run_ready();
      }
      loop.close();
    }
    EXPECT_FALSE(has_children());
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(recorder.use_count(), 1);
  }
}

TEST(SubprocessFaults, DroppedItRunsOn) {
  const auto recorder = std::make_shared<ChildRecorder>();
  EventLoop loop;
  finish(loop, subprocess_shell([&] { return recorder; }, "echo still here",
                                SubprocessOptions().stdout(PIPE)));
  ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
  EXPECT_EQ(recorder->received[1], "still here\n");
}

TEST(SubprocessFaults, CancelledWhileItStartsItIsKilled) {
  const auto recorder = std::make_shared<ChildRecorder>();
  EventLoop loop;
  auto task =
      subprocess_shell([&] { return recorder; }, "exec sleep 100").start(loop);
  EXPECT_TRUE(has_children());
  task.cancel();
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_TRUE(task.cancelled());
  ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
  EXPECT_FALSE(has_children());
}

/// Starts a child while the n-th `call` fails, and ends it. Nothing is left,
/// whatever it was. Returns whether any call has failed.
bool try_with_failing(KernelCall call, int error_number, std::uint64_t nth,
                      std::uint64_t times) {
  ScriptedKernel kernel;
  const auto recorder = std::make_shared<ChildRecorder>();
  bool has_failed = false;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    const Reports reports(loop);
    // Closed last: it ends the command if nobody else does.
    auto task = subprocess_shell(
        [&] { return recorder; }, "cat; exit 3",
        SubprocessOptions().stdin(PIPE).stdout(PIPE).stderr(PIPE));
    kernel.fail(call, error_number, {.from_call = nth, .times = times});
    auto started = std::move(task).start(loop);
    EXPECT_TRUE(run_until(loop, [&] { return started.done(); }));
    if (started.exception() == nullptr) {
      const auto input = started.result().transport->get_pipe_transport(0);
      input->write("x");
      input->close();
      EXPECT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
    } else {
      EXPECT_EQ(errno_of(started.exception()), error_number);
    }
    run_passes(loop, 3);
    EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    has_failed = kernel.failures() > 0;
    EXPECT_FALSE(has_children());
  }
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  EXPECT_EQ(kernel.ledger_errors(), Calls());
  EXPECT_EQ(recorder.use_count(), 1);
  return has_failed;
}

TEST(SubprocessFaults, AnyCallMayFailOnce) {
  for (const KernelCall call :
       {KernelCall::kPipe, KernelCall::kSetBlocking, KernelCall::kSpawn,
        KernelCall::kPidfdOpen, KernelCall::kEpollAdd, KernelCall::kEpollModify,
        KernelCall::kEpollRemove, KernelCall::kRead, KernelCall::kWrite,
        KernelCall::kSignalMask, KernelCall::kWaitid, KernelCall::kClose}) {
    std::uint64_t fired = 0;
    for (std::uint64_t nth = 1;; ++nth) {
      if (!try_with_failing(call, ENOMEM, nth, 1)) break;
      ++fired;
      ASSERT_FALSE(::testing::Test::HasFailure())
          << to_string(call) << " " << nth;
    }
    EXPECT_GE(fired, call == KernelCall::kEpollModify ? 0u : 1u)
        << to_string(call);
  }
}

TEST(SubprocessFaults, AChildThatCannotBeWatchedIsReaped) {
  for (const KernelCall call : {KernelCall::kPidfdOpen, KernelCall::kEpollAdd,
                                KernelCall::kSpawn, KernelCall::kPipe}) {
    EXPECT_TRUE(try_with_failing(call, EMFILE, 1, ScriptedKernel::kForever));
  }
}

TEST(SubprocessFaults, AChildThatIsGoneBeforeItIsWatchedHasNoReturncode) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const auto recorder = std::make_shared<ChildRecorder>();
  kernel.fail(KernelCall::kPidfdOpen, ESRCH);
  const auto transport =
      finish(loop, subprocess_shell([&] { return recorder; }, "exit 3"))
          .transport;
  ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
  EXPECT_EQ(recorder->calls, (Calls{"made", "exited", "lost"}));
  EXPECT_EQ(transport->get_returncode(), 255);
  EXPECT_EQ(::waitpid(transport->get_pid(), nullptr, 0), transport->get_pid());
}

TEST(SubprocessFaults, ASignalThatFailsIsSentByNumber) {
  SubprocessPair pair("exec sleep 100");
  pair.kernel.fail(KernelCall::kPidfdSendSignal, EPERM);
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), -SIGKILL);
}

// It has become another user's, say.
TEST(SubprocessFaults, OneThatMayNotBeKilledDoesNotHoldUpTheLoop) {
  ::pid_t pid = 0;
  {
    SubprocessPair pair("exec sleep 100");
    pid = pair.transport->get_pid();
    pair.kernel.fail(KernelCall::kPidfdSendSignal, EPERM,
                     {.times = ScriptedKernel::kForever});
    pair.kernel.fail(KernelCall::kKill, EPERM,
                     {.times = ScriptedKernel::kForever});
    pair.loop.close();
  }
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
}

TEST(SubprocessFaults, AnInterruptedWaitIsMadeAgain) {
  SubprocessPair pair("exit 6");
  pair.kernel.fail(KernelCall::kWaitid, EINTR, {.times = 3});
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), 6);
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
/// Starts a child and ends it while the n-th allocation fails. Returns whether
/// one has failed.
bool try_without_memory(std::uint64_t nth) {
  const std::size_t open = count_open_descriptors();
  const auto recorder = std::make_shared<ChildRecorder>();
  bool fired = false;
  {
    EventLoop loop;
    const Reports reports(loop);
    auto exec = subprocess_shell([&] { return recorder; }, "echo x; exit 3",
                                 SubprocessOptions().stdin(PIPE).stdout(PIPE));
    Task<Subprocess> task;
    {
      const test::FailingAllocations failing(
          nth, test::FailingAllocations::Mode::kOnce);
      try {
        task = std::move(exec).start(loop);
      } catch (const std::bad_alloc&) {
        // There is no task.
      }
      EXPECT_TRUE(run_until(loop, [&] {
        return (!task || task.done()) && recorder->transport == nullptr;
      }));
      fired = failing.fired();
    }
    if (task) task.exception();
    EXPECT_TRUE(
        run_until(loop, [&] { return loop.snapshot().descriptors.empty(); }));
    run_passes(loop, 3);
    EXPECT_FALSE(has_children());
  }
  EXPECT_EQ(count_open_descriptors(), open);
  EXPECT_EQ(recorder.use_count(), 1);
  return fired;
}

TEST(SubprocessFaults, AnyAllocationMayFail) {
  std::uint64_t nth = 1;
  while (try_without_memory(nth)) {
    ASSERT_FALSE(::testing::Test::HasFailure()) << nth;
    ++nth;
  }
  EXPECT_GT(nth, 20u);
}
#endif

TEST(SubprocessFaults, SaysWhatItIs) {
  SubprocessPair pair("read line; exit 3", SubprocessOptions().stdin(PIPE));
  const std::string pid = std::to_string(pair.transport->get_pid());
  EXPECT_EQ(to_string(*pair.transport),
            "<_UnixSubprocessTransport pid=" + pid + " running stdin=" +
                to_string(*pair.transport->get_pipe_transport(0)) + ">");
  pair.transport->get_pipe_transport(0)->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_TRUE(to_string(*pair.transport)
                  .starts_with("<_UnixSubprocessTransport closed pid=" + pid +
                               " returncode=3 stdin=<"));
}

TEST(SubprocessFaults, DebugModeTellsOfItsLife) {
  std::string pid;
  std::vector<std::string> lines;
  {
    const LogCapture log;
    EventLoop loop;
    loop.set_debug(true);
    const auto recorder = std::make_shared<ChildRecorder>();
    const auto transport =
        finish(loop,
               subprocess_exec([&] { return recorder; }, argv("sleep", "100")))
            .transport;
    pid = std::to_string(transport->get_pid());
    transport->close();
    ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
    lines = log.lines();
  }
  const std::string child = "<_UnixSubprocessTransport closed pid=" + pid;
  for (const std::string& line :
       {"debug: process created: program=sleep pid=" + pid,
        "warning: close running child process: kill " + child + " running>",
        "info: " + child + " returncode=-9> exited: returncode=-9"}) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), line), 1) << line;
  }
}

TEST(SubprocessFaults, ProtocolMayBeChanged) {
  SubprocessPair pair("cat", SubprocessOptions().stdin(PIPE).stdout(PIPE));
  EXPECT_EQ(pair.transport->get_protocol(), pair.recorder);
  EXPECT_THROW(pair.transport->set_protocol(nullptr), std::invalid_argument);
  const auto other = std::make_shared<ChildRecorder>();
  pair.transport->set_protocol(other);
  pair.transport->get_pipe_transport(0)->write("x");
  pair.transport->get_pipe_transport(0)->close();
  ASSERT_TRUE(run_until(pair.loop, [&] { return other->count("lost") > 0; }));
  EXPECT_EQ(other->received[1], "x");
  EXPECT_EQ(pair.recorder->calls, Calls{"made"});
  pair.transport->set_protocol(pair.recorder);  // too late
}

}  // namespace
}  // namespace rondo
