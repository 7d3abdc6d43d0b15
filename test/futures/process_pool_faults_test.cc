// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "futures/process_pool.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/workers.h"

// What the kernel may refuse a ProcessPool.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::end_of;
using test::error_of;
using test::is_child;
using test::Lines;
using test::result_of;
using test::wait_for_end;

int twice(int n) { return 2 * n; }
::pid_t pid() { return ::getpid(); }
std::string echo(std::string text) { return text; }
void exit_with(int status) { ::_exit(status); }

ProcessPoolOptions on(Kernel& kernel) {
  return ProcessPoolOptions().kernel(kernel);
}

// -- no worker --------------------------------------------------------------

/// Remembers whom it forked.
class CountingKernel : public ScriptedKernel {
 public:
  ::pid_t fork() noexcept override {
    const ::pid_t pid = ScriptedKernel::fork();
    if (pid > 0) forked.push_back(pid);
    return pid;
  }
  std::vector<::pid_t> forked;
};

TEST(ProcessPoolFaults, ThrowsIfThereIsNoWorkerAtAll) {
  for (const auto& [call, error] :
       {std::pair(KernelCall::kSocketpair, EMFILE),
        std::pair(KernelCall::kFork, EAGAIN),
        std::pair(KernelCall::kPidfdOpen, EMFILE)}) {
    SCOPED_TRACE(to_string(call));
    CountingKernel kernel;
    kernel.fail(call, error);
    try {
      ProcessPool pool(2, on(kernel));
      ADD_FAILURE() << "made";
    } catch (const std::system_error& thrown) {
      EXPECT_EQ(thrown.code().value(), error);
      EXPECT_NE(std::string(thrown.what()).find(to_string(call)),
                std::string::npos);
    }
    EXPECT_TRUE(kernel.open_descriptors().empty());
    EXPECT_TRUE(kernel.ledger_errors().empty());
    EXPECT_EQ(kernel.forked.size(), call == KernelCall::kPidfdOpen ? 1u : 0u);
    for (const ::pid_t pid : kernel.forked) EXPECT_FALSE(is_child(pid));
  }
}

TEST(ProcessPoolFaults, KeepsTheWorkersThatThereAreAndTriesAgain) {
  LogCapture log;
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kSocketpair, EMFILE,
              {.from_call = 2, .times = ScriptedKernel::kForever});
  ProcessPool pool(3, on(kernel));
  EXPECT_EQ(pool.worker_pids().size(), 1u);
  EXPECT_EQ(log.lines(),
            Lines{"warning: process pool: no worker can be made: "
                  "error=socketpair for a worker: Too many open files "
                  "workers=1 wanted=3"});
  EventLoop loop;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(pool.submit(loop, twice, i));
  EXPECT_EQ(pool.worker_pids().size(), 1u);
  EXPECT_EQ(log.lines().size(), 1u) << "said once";
  kernel.stop_failing();
  futures.push_back(pool.submit(loop, twice, 4));
  EXPECT_EQ(pool.worker_pids().size(), 3u);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(wait_for_end(loop, futures[i]));
    EXPECT_EQ(futures[i].result(), 2 * i);
  }
}

TEST(ProcessPoolFaults, FailsWhatWaitsIfTheLastWorkerCannotBeReplaced) {
  LogCapture log;
  ScriptedKernel kernel;
  ProcessPool pool(1, on(kernel));
  EventLoop loop;
  const Future<void> dies = pool.submit(loop, exit_with, 3);
  const Future<int> waits = pool.submit(loop, twice, 1);
  kernel.fail(KernelCall::kFork, EAGAIN, {.times = ScriptedKernel::kForever});
  ASSERT_TRUE(wait_for_end(loop, waits));
  EXPECT_EQ(end_of(waits),
            "std::system_error('fork of a worker: Resource temporarily "
            "unavailable')");
  EXPECT_NE(end_of(dies).find("BrokenWorker"), std::string::npos);
  EXPECT_THROW(pool.submit(loop, twice, 1), std::system_error);
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
  kernel.stop_failing();
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

// -- the loop's side --------------------------------------------------------

TEST(ProcessPoolFaults, ThrowsIfTheLoopCannotWatchTheWorkers) {
  ProcessPool pool(2);
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  for (std::uint64_t nth = 1; nth <= 4; ++nth) {
    SCOPED_TRACE(nth);
    kernel.fail(KernelCall::kEpollAdd, ENOSPC, {.from_call = nth});
    EXPECT_THROW(pool.submit(loop, twice, 1), std::system_error);
    EXPECT_EQ(pool.queued(), 0u);
  }
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

TEST(ProcessPoolFaults, DropsAReplacementThatTheLoopCannotWatch) {
  LogCapture log;
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  ProcessPool pool(2);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  const Future<void> dies = pool.submit(loop, exit_with, 3);
  kernel.fail(KernelCall::kEpollAdd, ENOSPC, {.from_call = 2});
  ASSERT_TRUE(wait_for_end(loop, dies));
  EXPECT_NE(end_of(dies).find("BrokenWorker"), std::string::npos);
  EXPECT_EQ(log.lines().size(), 1u);
  EXPECT_EQ(pool.worker_pids().size(), 1u);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

TEST(ProcessPoolFaults, FailsAJobIfTheLoopCannotWatchForRoom) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  ProcessPool pool(1);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  ::kill(pool.worker_pids().at(0), SIGSTOP);
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  const Future<std::string> large =
      pool.submit(loop, echo, std::string(3'000'000, 'x'));
  ASSERT_TRUE(wait_for_end(loop, large));
  EXPECT_NE(end_of(large).find("Cannot allocate memory"), std::string::npos);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

// -- the channel ------------------------------------------------------------

TEST(ProcessPoolFaults, GoesOnAfterAnInterruption) {
  ScriptedKernel kernel;
  ProcessPool pool(1, on(kernel));
  EventLoop loop;
  for (const int error : {EINTR, EAGAIN}) {
    kernel.fail(KernelCall::kSend, error);
    EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
    kernel.fail(KernelCall::kRecv, error);
    EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  }
  EXPECT_EQ(kernel.failures(), 4u);
}

TEST(ProcessPoolFaults, BreaksAWorkerWhoseChannelFails) {
  ScriptedKernel kernel;
  ProcessPool pool(1, on(kernel));
  EventLoop loop;
  const ::pid_t first = result_of(loop, pool, pid);
  kernel.fail(KernelCall::kSend, ENOBUFS);
  EXPECT_NE(
      error_of(loop, pool, twice, 1).find("(send: No buffer space available)"),
      std::string::npos);
  kernel.fail(KernelCall::kRecv, ENOMEM);
  EXPECT_NE(
      error_of(loop, pool, twice, 1).find("(recv: Cannot allocate memory)"),
      std::string::npos);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  EXPECT_FALSE(is_child(first));
}

/// Hands over one byte a call, here and in the workers.
class MiserlyKernel : public LinuxKernel {
 public:
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override {
    return LinuxKernel::send(fd, data, std::min<std::size_t>(size, 1), flags);
  }
  ssize_t recv(int fd, void* data, std::size_t size,
               int flags) noexcept override {
    return LinuxKernel::recv(fd, data, std::min<std::size_t>(size, 1), flags);
  }
};

/// Interrupts every other call, here and in the workers.
class RestlessKernel : public LinuxKernel {
 public:
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override {
    return interrupts() ? -1 : LinuxKernel::send(fd, data, size, flags);
  }
  ssize_t recv(int fd, void* data, std::size_t size,
               int flags) noexcept override {
    return interrupts() ? -1 : LinuxKernel::recv(fd, data, size, flags);
  }

 private:
  bool interrupts() noexcept {
    odd_ = !odd_;
    if (odd_) errno = EINTR;
    return odd_;
  }
  bool odd_ = false;
};

TEST(ProcessPoolFaults, SendsAndReceivesInWhateverPieces) {
  MiserlyKernel miserly;
  RestlessKernel restless;
  for (Kernel* kernel :
       {static_cast<Kernel*>(&miserly), static_cast<Kernel*>(&restless)}) {
    ProcessPool pool(1, on(*kernel));
    EventLoop loop;
    const std::string text(2000, 'x');
    EXPECT_EQ(result_of(loop, pool, echo, text), text);
    EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  }
}

TEST(ProcessPoolFaults, DiscardsARequestThatIsTooLargeForAWorker) {
  class LyingKernel : public LinuxKernel {
   public:
    ssize_t send(int fd, const void* data, std::size_t size,
                 int flags) noexcept override {
      if (lies && (flags & MSG_DONTWAIT) != 0) {
        lies = false;
        // The size in front of it is more than a string can have.
        std::string message(static_cast<const char*>(data), size);
        message[7] = '\xc0';
        return LinuxKernel::send(fd, message.data(), size, flags);
      }
      return LinuxKernel::send(fd, data, size, flags);
    }
    bool lies = true;
  };
  LyingKernel kernel;
  EventLoop loop;
  auto pool = std::make_unique<ProcessPool>(1, on(kernel).grace(1ms));
  // It discards what comes, for ever.
  const Future<int> future = pool->submit(loop, twice, 2);
  run_passes(loop, 3);
  EXPECT_FALSE(future.done());
  pool.reset();
  EXPECT_TRUE(future.cancelled());
}

// -- the end ----------------------------------------------------------------

TEST(ProcessPoolFaults, ReapsThoughItIsInterrupted) {
  ScriptedKernel kernel;
  ProcessPool pool(1, on(kernel));
  EventLoop loop;
  kernel.fail(KernelCall::kWaitid, EINTR, {.times = 3});
  EXPECT_NE(error_of(loop, pool, exit_with, 3).find("exited with status 3"),
            std::string::npos);
}

TEST(ProcessPoolFaults, CallsAnEndUnknownThatTheKernelDoesNotTell) {
  ScriptedKernel kernel;
  ProcessPool pool(1, on(kernel));
  EventLoop loop;
  const ::pid_t worker = pool.worker_pids().at(0);
  kernel.fail(KernelCall::kWaitid, ECHILD);
  EXPECT_NE(error_of(loop, pool, exit_with, 3).find("nobody knows how"),
            std::string::npos);
  int status = 0;
  EXPECT_EQ(::waitpid(worker, &status, 0), worker);
}

TEST(ProcessPoolFaults, EndsThoughItCannotWait) {
  ScriptedKernel kernel;
  const ::pid_t worker = [&] {
    ProcessPool pool(1, on(kernel).grace(1min));
    kernel.fail(KernelCall::kPoll, ENOMEM, {.times = 2});
    EventLoop loop;
    pool.submit(loop, [] { ::usleep(5'000); });
    return pool.worker_pids().at(0);
  }();
  EXPECT_FALSE(is_child(worker));
  EXPECT_TRUE(kernel.open_descriptors().empty());
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

TEST(ProcessPoolFaults, DoesNotWaitForEverForAWorkerThatDoesNotEnd) {
  /// Nothing ever ends, and time flies.
  class StubbornKernel : public LinuxKernel {
   public:
    int waitid(int type, ::id_t id, ::siginfo_t* info,
               int options) noexcept override {
      if (!stubborn) return LinuxKernel::waitid(type, id, info, options);
      info->si_pid = 0;
      return 0;
    }
    int poll(::pollfd* fds, std::size_t count,
             int timeout_ms) noexcept override {
      if (!stubborn) return LinuxKernel::poll(fds, count, timeout_ms);
      now += std::int64_t{timeout_ms} * 1'000'000;
      return 0;
    }
    std::int64_t monotonic_ns() noexcept override {
      return stubborn ? now : LinuxKernel::monotonic_ns();
    }
    bool stubborn = false;
    std::int64_t now = 0;
  };
  LogCapture log;
  StubbornKernel kernel;
  ::pid_t worker = 0;
  {
    ProcessPool pool(1, on(kernel));
    worker = pool.worker_pids().at(0);
    kernel.stubborn = true;
  }
  EXPECT_EQ(log.lines(), Lines{"error: process pool: a worker does not end: "
                               "pid=" +
                               std::to_string(worker)});
  int status = 0;
  EXPECT_EQ(::waitpid(worker, &status, 0), worker);
}

}  // namespace
}  // namespace rondo
