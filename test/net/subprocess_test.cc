// SPDX-License-Identifier: MIT
#include "net/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "test/net/subprocess_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::Calls;
using test::ChildRecorder;
using test::errno_of;
using test::finish;
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
  SubprocessPair pair("exit 3");
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

// -- what it is given ---------------------------------------------------------

TEST(Subprocess, RunsInTheFolderAndEnvironmentGiven) {
  SubprocessPair pair(
      "pwd; env | sort | grep -v ^_ | grep -v ^PWD | grep -v ^SHLVL",
      SubprocessOptions().stdout(PIPE).cwd("/usr").env(
          {{"LANG", "C"}, {"PATH", "/usr/bin:/bin"}, {"X", "a=b c"}}));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1],
            "/usr\nLANG=C\nPATH=/usr/bin:/bin\nX=a=b c\n");
}

TEST(Subprocess, LooksAlongThePathOfTheEnvironmentGiven) {
  const auto output = [](const char* path) {
    return [path] {
      SubprocessOptions::Environment variables;
      if (path != nullptr) variables["PATH"] = path;
      SubprocessPair pair(argv("true"),
                          SubprocessOptions().stdout(PIPE).env(variables));
      EXPECT_TRUE(pair.run_to_end());
      EXPECT_EQ(pair.transport->get_returncode(), 0);
    };
  };
  EXPECT_EQ(thrown_by(output("/nowhere:/usr/bin:/bin")), "nothing");
  EXPECT_EQ(thrown_by(output(nullptr)), "nothing");  // Python's default
  EXPECT_EQ(thrown_by(output("/nowhere:")),
            "std::system_error: posix_spawn 'true': No such file or directory");
}

TEST(Subprocess, MayHaveASessionOfItsOwn) {
  for (const bool own : {false, true}) {
    SubprocessPair pair(
        "ps -o sid= -p $$ | tr -d ' '",
        SubprocessOptions().stdout(PIPE).start_new_session(own));
    const ::pid_t pid = pair.transport->get_pid();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.recorder->received[1],
              std::to_string(own ? pid : ::getsid(0)) + "\n");
  }
}

TEST(Subprocess, BeginsWithDefaultSignalsAndNoneBlocked) {
  // 32 and 33 are the C library's own.
  EXPECT_EQ(in_child([]() -> std::string {
              for (const int number : {SIGPIPE, SIGINT, SIGUSR1}) {
                ::signal(number, SIG_IGN);
              }
              ::sigset_t all;
              ::sigfillset(&all);
              ::sigprocmask(SIG_SETMASK, &all, nullptr);
              SubprocessPair pair("grep -E '^Sig(Blk|Ign)' /proc/self/status",
                                  SubprocessOptions().stdout(PIPE));
              pair.run_to_end();
              std::string text = pair.recorder->received[1];
              const std::size_t own = text.find("180000000");
              if (own != std::string::npos) text[own] = text[own + 1] = '0';
              return text;
            }),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Subprocess, HasNoDescriptorsOfOurs) {
  const UniqueFd leaky(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  ASSERT_TRUE(leaky);
  SubprocessPair pair("ls /proc/self/fd | tr '\\n' ' '",
                      SubprocessOptions().stdin(PIPE).stdout(PIPE));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[1], "0 1 2 3 ");  // ls reads the folder
}

TEST(Subprocess, DevNullAndStdoutAndDescriptors) {
  Pipe pipe;
  {
    SubprocessPair pair("cat; echo out; echo err >&2",
                        SubprocessOptions()
                            .stdin(DEVNULL)
                            .stdout(pipe.writer.get())
                            .stderr(STDOUT));
    pipe.writer.reset();  // the child has its own
    ASSERT_TRUE(pair.run_to_end());
  }
  EXPECT_EQ(read_text(pipe.reader.get()), "out\nerr\n");
  SubprocessPair pair("echo out; echo err >&2",
                      SubprocessOptions().stdout(DEVNULL).stderr(PIPE));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.recorder->received[2], "err\n");
}

/// Makes 0, 1 and 2 of a forked copy of this process what the test needs, and
/// gives what `command` does with them.
std::string with_own_streams(const std::function<void(SubprocessOptions&)>& set,
                             const char* command, bool close_ours) {
  Pipe in;
  Pipe out;
  Pipe err;
  write_text(in.writer.get(), "in");
  in.writer.reset();
  const std::string story = in_child([&] {
    ::dup2(in.reader.get(), 0);
    ::dup2(out.writer.get(), 1);
    ::dup2(err.writer.get(), 2);
    if (close_ours) {
      for (const int fd : {0, 1, 2}) ::close(fd);
    }
    SubprocessOptions options;
    set(options);
    SubprocessPair pair(command, options);
    pair.run_to_end();
    return pair.recorder->received[1] + "|" + pair.recorder->received[2];
  });
  return story + "|" + read_text(out.reader.get()) + "|" +
         read_text(err.reader.get());
}

// A number among the three that is to become another one of them is not
// overwritten before.
TEST(Subprocess, StreamsMayChangePlaces) {
  EXPECT_EQ(
      with_own_streams([](SubprocessOptions& o) { o.stdout(2).stderr(1); },
                       "cat; echo out; echo err >&2", false),
      "||err\n|inout\n");
  EXPECT_EQ(
      with_own_streams([](SubprocessOptions& o) { o.stdout(2).stderr(STDOUT); },
                       "cat; echo out; echo err >&2", false),
      "|||inout\nerr\n");
  EXPECT_EQ(
      with_own_streams(
          [](SubprocessOptions& o) { o.stdin(DEVNULL).stdout(1).stderr(PIPE); },
          "cat; echo out; echo err >&2", false),
      "|err\n|out\n|");
}

TEST(Subprocess, PipesMayHaveTheNumbersOfStreams) {
  EXPECT_EQ(with_own_streams(
                [](SubprocessOptions& o) {
                  o.stdin(DEVNULL).stdout(PIPE).stderr(PIPE);
                },
                "cat; echo out; echo err >&2", true),
            "out\n|err\n||");
}

// -- what is refused ----------------------------------------------------------

TEST(Subprocess, NamesTheProgramThatCannotBeRun) {
  const auto starting = [](std::vector<std::string> words,
                           const SubprocessOptions& options =
                               SubprocessOptions()) {
    return [words, options] { SubprocessPair pair(words, options); };
  };
  EXPECT_EQ(thrown_by(starting({"no-such-command-here"})),
            "std::system_error: posix_spawn 'no-such-command-here': No such "
            "file or directory");
  EXPECT_EQ(thrown_by(starting({"/etc/passwd", "x"})),
            "std::system_error: posix_spawn '/etc/passwd': Permission denied");
  EXPECT_EQ(thrown_by(starting({"true"}, SubprocessOptions().cwd("/nowhere"))),
            "std::system_error: posix_spawn 'true' in '/nowhere': No such file "
            "or directory");
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, RefusesWhatMakesNoSense) {
  const auto factory = [] { return std::make_shared<ChildRecorder>(); };
  const auto with = [&](std::vector<std::string> words,
                        SubprocessOptions options = SubprocessOptions()) {
    return thrown_by([&] {
      static_cast<void>(subprocess_exec(factory, words, std::move(options)));
    });
  };
  EXPECT_EQ(with({}), "std::invalid_argument: subprocess: no program");
  EXPECT_EQ(with({""}), "std::invalid_argument: subprocess: no program");
  const std::string with_nul("a\0b", 3);
  const std::string nul_error = "std::invalid_argument: embedded null byte";
  EXPECT_EQ(with({"a", with_nul}), nul_error);
  EXPECT_EQ(with({"a"}, SubprocessOptions().cwd(with_nul)), nul_error);
  EXPECT_EQ(with({"a"}, SubprocessOptions().env({{"A", with_nul}})), nul_error);
  for (const char* name : {"", "A=B"}) {
    EXPECT_EQ(with({"a"}, SubprocessOptions().env({{name, ""}})),
              "std::invalid_argument: illegal environment variable name");
  }
  EXPECT_EQ(with({"a"}, SubprocessOptions().stdout(STDOUT)),
            "std::invalid_argument: STDOUT can only be used for stderr");
  EXPECT_EQ(with({"a"}, SubprocessOptions().stdin(-1)),
            "std::invalid_argument: Invalid file descriptor: -1");
}

// -- what a protocol throws ---------------------------------------------------

TEST(Subprocess, WhatConnectionMadeThrowsClosesIt) {
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

TEST(Subprocess, WhatOthersThrowIsReportedAndItGoesOn) {
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

TEST(Subprocess, SystemExitLeavesTheLoopAndItEndsAllTheSame) {
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

// -- nothing is left ----------------------------------------------------------

TEST(Subprocess, ALoopThatIsClosedKillsItsChildren) {
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

// Closed after so many passes, whatever has happened by then.
TEST(Subprocess, ALoopMayBeClosedAtAnyTime) {
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
    }
    EXPECT_FALSE(has_children());
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(recorder.use_count(), 1);
  }
}

TEST(Subprocess, DroppedItRunsOn) {
  const auto recorder = std::make_shared<ChildRecorder>();
  EventLoop loop;
  finish(loop, subprocess_shell([&] { return recorder; }, "echo still here",
                                SubprocessOptions().stdout(PIPE)));
  ASSERT_TRUE(run_until(loop, [&] { return recorder->count("lost") > 0; }));
  EXPECT_EQ(recorder->received[1], "still here\n");
}

TEST(Subprocess, CancelledWhileItStartsItIsKilled) {
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

TEST(Subprocess, AnyCallMayFailOnce) {
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

TEST(Subprocess, AChildThatCannotBeWatchedIsReaped) {
  for (const KernelCall call : {KernelCall::kPidfdOpen, KernelCall::kEpollAdd,
                                KernelCall::kSpawn, KernelCall::kPipe}) {
    EXPECT_TRUE(try_with_failing(call, EMFILE, 1, ScriptedKernel::kForever));
  }
}

TEST(Subprocess, ASignalThatFailsIsSentByNumber) {
  SubprocessPair pair("exec sleep 100");
  pair.kernel.fail(KernelCall::kPidfdSendSignal, EPERM);
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.transport->get_returncode(), -SIGKILL);
}

// It has become another user's, say.
TEST(Subprocess, OneThatMayNotBeKilledDoesNotHoldUpTheLoop) {
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

TEST(Subprocess, AnInterruptedWaitIsMadeAgain) {
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

TEST(Subprocess, AnyAllocationMayFail) {
  std::uint64_t nth = 1;
  while (try_without_memory(nth)) {
    ASSERT_FALSE(::testing::Test::HasFailure()) << nth;
    ++nth;
  }
  EXPECT_GT(nth, 20u);
}
#endif

TEST(Subprocess, SaysWhatItIs) {
  SubprocessPair pair("exit 3", SubprocessOptions().stdin(PIPE));
  const std::string pid = std::to_string(pair.transport->get_pid());
  EXPECT_EQ(to_string(*pair.transport),
            "<_UnixSubprocessTransport pid=" + pid + " running stdin=" +
                to_string(*pair.transport->get_pipe_transport(0)) + ">");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_TRUE(to_string(*pair.transport)
                  .starts_with("<_UnixSubprocessTransport closed pid=" + pid +
                               " returncode=3 stdin=<"));
}

TEST(Subprocess, ProtocolMayBeChanged) {
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
