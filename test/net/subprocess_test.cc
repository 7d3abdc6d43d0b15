// SPDX-License-Identifier: MIT
#include "net/subprocess.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <string>
#include <utility>

#include "test/net/subprocess_pair.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::Calls;
using test::has_children;
using test::SubprocessPair;
using test::thrown_by;

// -- what a protocol is told --------------------------------------------------

TEST(Subprocess, ToldInOrder) {
  SubprocessPair pair(
      "read line; echo out; echo err >&2; exit 3",
      SubprocessOptions().stdin(PIPE).stdout(PIPE).stderr(PIPE));
  EXPECT_EQ(pair.recorder->calls, Calls{"made"});
  EXPECT_EQ(pair.transport->get_returncode(), std::nullopt);
  pair.transport->get_pipe_transport(0)->write("go\n");
  EXPECT_GT(pair.transport->get_pid(), 0);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1], "out\n");
  EXPECT_EQ(pair.recorder->received[2], "err\n");
  EXPECT_EQ(pair.transport->get_returncode(), 3);
  const Calls& calls = pair.recorder->calls;
  EXPECT_EQ(calls.front(), "made");
  EXPECT_EQ(calls.back(), "lost");
  EXPECT_EQ(pair.recorder->count("exited"), 1);
  for (const char* call : {"lost 0", "lost 1", "lost 2"}) {
    EXPECT_EQ(pair.recorder->count(call), 1) << call;
  }
  EXPECT_LT(pair.recorder->index("data 1"), pair.recorder->index("lost 1"));
  EXPECT_EQ(pair.recorder->error, nullptr);
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.transport->get_protocol(), nullptr);
}

TEST(Subprocess, StdinIsWrittenThroughItsPipe) {
  SubprocessPair pair("tr a-z A-Z",
                      SubprocessOptions().stdin(PIPE).stdout(PIPE));
  const auto input = pair.transport->get_pipe_transport(0);
  ASSERT_NE(input, nullptr);
  EXPECT_NE(pair.transport->get_pipe_transport(1), nullptr);
  EXPECT_EQ(pair.transport->get_pipe_transport(2), nullptr);
  EXPECT_EQ(pair.transport->get_pipe_transport(3), nullptr);
  EXPECT_EQ(pair.transport->get_pipe_transport(-1), nullptr);
  input->write("shout");
  input->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1], "SHOUT");
  EXPECT_EQ(pair.recorder->count("lost 0"), 1);
}

TEST(Subprocess, PausesAndResumesWriting) {
  SubprocessPair pair("cat", SubprocessOptions().stdin(PIPE).stdout(PIPE));
  const std::string large(1 << 20, 'x');
  pair.transport->get_pipe_transport(0)->write(large);
  EXPECT_EQ(pair.recorder->count("pause"), 1);
  ASSERT_TRUE(run_until(pair.loop,
                        [&] { return pair.recorder->received[1] == large; }));
  EXPECT_EQ(pair.recorder->count("resume"), 1);
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), -SIGKILL);
}

TEST(Subprocess, WithoutPipesThereIsTheExitAlone) {
  SubprocessPair pair("exit 0");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->calls, (Calls{"made", "exited", "lost"}));
}

// -- how it ends --------------------------------------------------------------

TEST(Subprocess, ReturncodeIsTheStatusOrTheSignal) {
  for (const int status : {0, 1, 77, 255}) {
    SubprocessPair pair("exit " + std::to_string(status));
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.transport->get_returncode(), status);
  }
  for (const int number : {SIGTERM, SIGKILL, SIGUSR1, SIGABRT}) {
    SubprocessPair pair("ulimit -c 0; kill -" + std::to_string(number) + " $$");
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.transport->get_returncode(), -number);
  }
}

TEST(Subprocess, SignalsReachIt) {
  using Call = void (*)(SubprocessTransport&);
  for (const auto& [call, number] :
       {std::pair(Call([](SubprocessTransport& t) { t.terminate(); }), SIGTERM),
        std::pair(Call([](SubprocessTransport& t) { t.kill(); }), SIGKILL),
        std::pair(Call([](SubprocessTransport& t) { t.send_signal(SIGINT); }),
                  SIGINT)}) {
    SubprocessPair pair("exec sleep 100");
    call(*pair.transport);
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.transport->get_returncode(), -number);
    EXPECT_EQ(thrown_by([&, &f = call] { f(*pair.transport); }),
              "std::system_error: send_signal " + std::to_string(number) +
                  " to process " + std::to_string(pair.transport->get_pid()) +
                  ": No such process");
  }
}

TEST(Subprocess, ASignalThatIsNoneIsRefused) {
  SubprocessPair pair("exec sleep 100");
  EXPECT_TRUE(thrown_by([&] {
                pair.transport->send_signal(12345);
              }).ends_with("Invalid argument"));
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
}

TEST(Subprocess, CloseKillsItAndClosesItsPipes) {
  SubprocessPair pair(
      "exec sleep 100",
      SubprocessOptions().stdin(PIPE).stdout(PIPE).stderr(PIPE));
  pair.transport->get_pipe_transport(0)->write(std::string(1 << 20, 'x'));
  pair.transport->close();
  pair.transport->close();
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.recorder->count("lost"), 0);  // never out of its own call
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), -SIGKILL);
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, CloseOfOneThatHasEndedSendsNothing) {
  SubprocessPair pair("exit 5", SubprocessOptions().stdin(PIPE));
  ASSERT_TRUE(run_until(
      pair.loop, [&] { return pair.transport->get_returncode().has_value(); }));
  const auto signals = pair.kernel.calls(KernelCall::kPidfdSendSignal);
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), 5);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kPidfdSendSignal), signals);
}

TEST(Subprocess, WaitIsDoneForAllWhoAsk) {
  SubprocessPair pair("exec sleep 100");
  const Future<int> first = pair.transport->wait();
  const Future<int> second = pair.transport->wait();
  first.cancel();  // nobody else's
  pair.transport->kill();
  ASSERT_TRUE(run_until(pair.loop, [&] { return second.done(); }));
  EXPECT_TRUE(first.cancelled());
  EXPECT_EQ(second.result(), -SIGKILL);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->wait().result(), -SIGKILL);
}

// The child's own child has its stdout, too.
TEST(Subprocess, AGrandchildMayKeepThePipeOpen) {
  SubprocessPair pair("sleep 100 & echo $!", SubprocessOptions().stdout(PIPE));
  const Future<int> ended = pair.transport->wait();
  ASSERT_TRUE(run_until(pair.loop, [&] { return ended.done(); }));
  ASSERT_TRUE(run_until(pair.loop,
                        [&] { return pair.recorder->received[1].size() > 1; }));
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.recorder->count("exited"), 1);
  EXPECT_EQ(pair.recorder->count("lost 1"), 0);
  EXPECT_EQ(pair.recorder->count("lost"), 0);
  ::kill(std::stoi(pair.recorder->received[1]), SIGKILL);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->count("lost 1"), 1);
}

TEST(Subprocess, CloseDoesNotWaitForAGrandchild) {
  SubprocessPair pair("sleep 100 & echo $!", SubprocessOptions().stdout(PIPE));
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return pair.transport->get_returncode().has_value() &&
           !pair.recorder->received[1].empty();
  }));
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  ::kill(std::stoi(pair.recorder->received[1]), SIGKILL);
}

TEST(Subprocess, AChildMayCloseItsPipesAndRunOn) {
  SubprocessPair pair("exec 1>&- 0<&-; exec sleep 100",
                      SubprocessOptions().stdin(PIPE).stdout(PIPE));
  ASSERT_TRUE(run_until(pair.loop, [&] {
    return pair.recorder->count("lost 0") == 1 &&
           pair.recorder->count("lost 1") == 1;
  }));
  EXPECT_EQ(pair.recorder->count("exited"), 0);
  EXPECT_EQ(pair.transport->get_returncode(), std::nullopt);
  pair.transport->terminate();
  ASSERT_TRUE(pair.run_to_end());
}

TEST(Subprocess, SomebodyElseHasWaitedForIt) {
  SubprocessPair pair("read line; exit 3", SubprocessOptions().stdin(PIPE));
  const auto input = pair.transport->get_pipe_transport(0);
  input->write("go\n");
  EXPECT_EQ(input->get_write_buffer_size(), 0u);  // it is on its way
  ::siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<::id_t>(pair.transport->get_pid()),
                     &info, WEXITED),
            0);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), 255);
}

TEST(Subprocess, AProgramThatIgnoresSigchldGetsNoReturncode) {
  EXPECT_EQ(in_child([]() -> std::string {
              ::signal(SIGCHLD, SIG_IGN);
              std::string told;
              for (int count = 0; count < 5; ++count) {
                SubprocessPair pair("exit 3");
                pair.run_to_end();
                told += std::to_string(
                            pair.transport->get_returncode().value_or(-1)) +
                        " ";
              }
              return told;
            }),
            "255 255 255 255 255 ");
}

}  // namespace
}  // namespace rondo
