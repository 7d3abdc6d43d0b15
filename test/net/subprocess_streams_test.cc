// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "futures/gather.h"
#include "net/process.h"
#include "test/net/subprocess_pair.h"
#include "test/support/allocation.h"
#include "test/support/scale.h"

namespace rondo {
namespace {

using test::Calls;
using test::errno_of;
using test::finish;
using test::has_children;
using test::scaled;
using test::thrown_by;

/// A loop with children. At the end nothing is left open, and none runs.
struct Children {
  ~Children() {
    loop.close();
    EXPECT_FALSE(has_children());
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  Process shell(std::string command,
                SubprocessOptions options = SubprocessOptions()) {
    return finish(
        loop, create_subprocess_shell(std::move(command), std::move(options)));
  }
  int returncode_of(const Process& process) {
    const Future<int> ended = process.wait();
    EXPECT_TRUE(run_until(loop, [&] { return ended.done(); }));
    return ended.result();
  }
  bool all_ended() {
    return run_until(loop, [&] { return loop.snapshot().descriptors.empty(); });
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
};

SubprocessOptions pipes() {
  return SubprocessOptions().stdin(PIPE).stdout(PIPE).stderr(PIPE);
}

TEST(Process, HasStreamsForItsPipesOnly) {
  Children children;
  const Process all = children.shell("exit 0", pipes());
  EXPECT_TRUE(all.stdin && all.stdout && all.stderr);
  const Process none = children.shell("exit 0");
  EXPECT_FALSE(none.stdin || none.stdout || none.stderr);
  EXPECT_FALSE(Process());
  EXPECT_EQ(to_string(Process()), "<Process>");
  EXPECT_EQ(to_string(none), "<Process " + std::to_string(none.pid()) + ">");
  EXPECT_EQ(none.transport().get_pid(), none.pid());
  EXPECT_TRUE(children.all_ended());
}

TEST(Process, StreamsAreReadAndWrittenWhileItRuns) {
  Children children;
  const Process cat = children.shell("cat; exit 7", pipes());
  cat.stdin.write("line 1\n");
  EXPECT_EQ(finish(children.loop, cat.stdout.readline()), "line 1\n");
  cat.stdin.write("line 2\nrest");
  cat.stdin.close();
  EXPECT_EQ(finish(children.loop, cat.stdout.read()), "line 2\nrest");
  EXPECT_EQ(finish(children.loop, cat.stderr.read()), "");
  EXPECT_EQ(children.returncode_of(cat), 7);
  EXPECT_EQ(cat.returncode(), 7);
  const Future<void> closed = cat.stdin.wait_closed();
  EXPECT_TRUE(run_until(children.loop, [&] { return closed.done(); }));
}

TEST(Process, ItsOutputMayBeReadAfterItsEnd) {
  Children children;
  const Process child = children.shell("echo late; exit 5", pipes());
  EXPECT_EQ(children.returncode_of(child), 5);
  EXPECT_EQ(finish(children.loop, child.stdout.read()), "late\n");
}

TEST(Process, SignalsReachIt) {
  Children children;
  const Process first = children.shell("exec sleep 100");
  const Process second = children.shell("exec sleep 100");
  const Process third = children.shell("exec sleep 100");
  first.terminate();
  second.kill();
  third.send_signal(SIGUSR1);
  EXPECT_EQ(children.returncode_of(first), -SIGTERM);
  EXPECT_EQ(children.returncode_of(second), -SIGKILL);
  EXPECT_EQ(children.returncode_of(third), -SIGUSR1);
  EXPECT_THROW(first.kill(), std::system_error);
}

TEST(Process, WaitIsDoneThoughAGrandchildKeepsThePipe) {
  Children children;
  const Process child = children.shell("sleep 100 & echo $!; exit 2", pipes());
  EXPECT_EQ(children.returncode_of(child), 2);
  const std::string line = finish(children.loop, child.stdout.readline());
  ::kill(std::stoi(line), SIGKILL);
  EXPECT_EQ(finish(children.loop, child.stdout.read()), "");
}

TEST(Process, AFullPipeHoldsUpTheChildNotTheMemory) {
  Children children;
  const Process child =
      children.shell("head -c 10000000 /dev/zero; echo done >&2", pipes());
  // Twice the limit is in the reader, the rest in the pipe and in the child.
  run_until(children.loop, [] { return false; }, std::chrono::seconds(0));
  run_passes(children.loop, 50);
  EXPECT_EQ(child.returncode(), std::nullopt);
  EXPECT_EQ(finish(children.loop, child.stdout.read()).size(), 10'000'000u);
  EXPECT_EQ(finish(children.loop, child.stderr.readline()), "done\n");
  EXPECT_EQ(children.returncode_of(child), 0);
}

// -- communicate --------------------------------------------------------------

TEST(Communicate, GivesBothOutputs) {
  Children children;
  const Process child = children.shell("cat; echo err >&2; exit 3", pipes());
  const ProcessOutput output = finish(children.loop, child.communicate("in"));
  EXPECT_EQ(output.stdout, "in");
  EXPECT_EQ(output.stderr, "err\n");
  EXPECT_EQ(child.returncode(), 3);
}

TEST(Communicate, GivesNothingForWhatIsNoPipe) {
  Children children;
  const Process child = children.shell("exit 0");
  const ProcessOutput output = finish(children.loop, child.communicate());
  EXPECT_EQ(output.stdout, std::nullopt);
  EXPECT_EQ(output.stderr, std::nullopt);
  EXPECT_EQ(thrown_by([&] { static_cast<void>(child.communicate("x")); }),
            "std::invalid_argument: communicate: stdin is no pipe");
}

TEST(Communicate, WithoutInputClosesStdin) {
  Children children;
  const Process cat = children.shell("cat", pipes());
  EXPECT_EQ(finish(children.loop, cat.communicate()).stdout, "");
}

TEST(Communicate, LargeBothWaysDoesNotDeadlock) {
  Children children;
  std::string input(scaled(20'000'000), ' ');
  for (std::size_t at = 0; at < input.size(); ++at) {
    input[at] = static_cast<char>('a' + at % 23);
  }
  const Process child = children.shell("tee /dev/stderr", pipes());
  const ProcessOutput output = finish(children.loop, child.communicate(input));
  EXPECT_TRUE(output.stdout == input);
  EXPECT_TRUE(output.stderr == input);
}

TEST(Communicate, AChildThatDoesNotReadItsInputIsNoError) {
  Children children;
  for (const char* command : {"exit 4", "exec 0<&-; sleep 0.05; exit 4",
                              "head -c 10 > /dev/null; exit 4"}) {
    const Process child = children.shell(command, pipes());
    const ProcessOutput output =
        finish(children.loop, child.communicate(std::string(1 << 20, 'x')));
    EXPECT_EQ(output.stdout, "");
    EXPECT_EQ(child.returncode(), 4);
  }
  const Process gone = children.shell("exit 4", pipes());
  EXPECT_EQ(children.returncode_of(gone), 4);
  EXPECT_EQ(finish(children.loop, gone.communicate("x")).stderr, "");
}

TEST(Communicate, AChildMayCloseItsOutputEarly) {
  Children children;
  const Process child = children.shell(
      "echo out; exec 1>&- 2>&-; cat > /dev/null; exit 9", pipes());
  const ProcessOutput output =
      finish(children.loop, child.communicate(std::string(1 << 20, 'x')));
  EXPECT_EQ(output.stdout, "out\n");
  EXPECT_EQ(child.returncode(), 9);
}

TEST(Communicate, CancelledItLeavesTheChildAndWhatItHasWritten) {
  Children children;
  // Says nothing until communicate() has closed its stdin.
  const Process sleeper =
      children.shell("cat; echo first; exec sleep 100", pipes());
  Task<ProcessOutput> waits = sleeper.communicate().start(children.loop);
  const auto reads = children.kernel.calls(KernelCall::kRead);
  EXPECT_TRUE(run_until(children.loop, [&] {
    return children.kernel.calls(KernelCall::kRead) > reads;
  }));
  waits.cancel();
  EXPECT_TRUE(run_until(children.loop, [&] { return waits.done(); }));
  EXPECT_TRUE(waits.cancelled());
  EXPECT_EQ(sleeper.returncode(), std::nullopt);
  Task<ProcessOutput> again = sleeper.communicate().start(children.loop);
  sleeper.terminate();
  EXPECT_TRUE(run_until(children.loop, [&] { return again.done(); }));
  EXPECT_EQ(again.result().stdout, "first\n");
  EXPECT_EQ(sleeper.returncode(), -SIGTERM);
}

TEST(Communicate, DestroyedWhileItWaitsItStopsReading) {
  Children children;
  const Process child = children.shell("exec sleep 100", pipes());
  {
    Task<ProcessOutput> waits = child.communicate("x").start(children.loop);
    run_passes(children.loop, 3);
    waits.cancel();
  }
  run_passes(children.loop, 5);
  // Nobody else reads now.
  Task<std::string> read = child.stdout.read().start(children.loop);
  child.kill();
  EXPECT_TRUE(run_until(children.loop, [&] { return read.done(); }));
  EXPECT_EQ(read.result(), "");
  EXPECT_EQ(children.reports.messages, Calls());
}

TEST(Communicate, AReadThatFailsIsThrown) {
  Children children;
  const Process child = children.shell("echo x; cat", pipes());
  children.kernel.fail(KernelCall::kRead, EIO,
                       {.times = ScriptedKernel::kForever});
  Task<ProcessOutput> task = child.communicate().start(children.loop);
  EXPECT_TRUE(run_until(children.loop, [&] { return task.done(); }));
  EXPECT_EQ(errno_of(task.exception()), EIO);
  children.kernel.stop_failing();
  child.transport().close();
  EXPECT_TRUE(children.all_ended());
}

// That the child does not read is no error; another one is.
TEST(Communicate, ThrowsWhatWritingFailsWith) {
  Children children;
  const Process child = children.shell("cat", pipes());
  children.kernel.fail(KernelCall::kWrite, EIO);
  EXPECT_EQ(thrown_by([&] {
              finish(children.loop,
                     child.communicate(std::string(200'000, 'x')));
            }),
            "std::system_error: write: Input/output error");
  EXPECT_TRUE(children.all_ended());
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
// A stream must not skip anything.
TEST(Communicate, WithoutMemoryForTheOutputTheStreamIsBroken) {
  Children children;
  const Process child =
      children.shell("echo ready; read line; head -c 50000 /dev/zero", pipes());
  EXPECT_EQ(finish(children.loop, child.stdout.readline()), "ready\n");
  child.stdin.write("go\n");
  EXPECT_EQ(child.stdin.transport().get_write_buffer_size(), 0u);
  bool fired = false;
  for (int pass = 0; pass < 1000 && !fired; ++pass) {
    children.loop.poll_events(std::chrono::milliseconds(20));
    children.loop.collect();
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kOnce);
    children.loop.run_ready();
    fired = failing.fired();
  }
  EXPECT_TRUE(fired);
  Task<std::string> read = child.stdout.read().start(children.loop);
  EXPECT_TRUE(run_until(children.loop, [&] { return read.done(); }));
  EXPECT_EQ(describe(read.exception()), "std::bad_alloc: std::bad_alloc");
  EXPECT_TRUE(children.all_ended());
}
#endif

// -- many ---------------------------------------------------------------------

TEST(Process, AHundredAtOnce) {
  Children children;
  const std::size_t count = scaled(100);
  std::vector<Process> all;
  std::vector<Task<ProcessOutput>> tasks;
  for (std::size_t index = 0; index < count; ++index) {
    const std::string number = std::to_string(index);
    all.push_back(children.shell("cat; exit " + number, pipes()));
    tasks.push_back(all.back().communicate(number).start(children.loop));
  }
  const auto gathered = gather(children.loop, tasks);
  ASSERT_TRUE(run_until(children.loop, [&] { return gathered.done(); }));
  for (std::size_t index = 0; index < count; ++index) {
    EXPECT_EQ(gathered.result()[index].stdout, std::to_string(index));
    EXPECT_EQ(all[index].returncode(), static_cast<int>(index));
  }
}

TEST(Process, ALoopThatIsClosedKillsAllOfThem) {
  Children children;
  for (std::size_t index = 0; index < scaled(20); ++index) {
    children.shell("exec sleep 100", pipes());
  }
  EXPECT_TRUE(has_children());
  children.loop.close();
  EXPECT_FALSE(has_children());
}

TEST(Process, RefusesALimitOfNothing) {
  EXPECT_THROW(static_cast<void>(create_subprocess_exec(
                   argv("true"), SubprocessOptions(), 0)),
               std::invalid_argument);
}

}  // namespace
}  // namespace rondo
