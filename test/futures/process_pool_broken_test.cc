// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/process_pool.h"
#include "test/futures/bodies.h"
#include "test/support/scale.h"
#include "test/support/workers.h"

// Workers that die, whatever of (H6): each fails its own job, no other, and is
// replaced, and none is left as a zombie.

namespace rondo {
namespace {

using test::end_of;
using test::error_of;
using test::has_ended_soon;
using test::is_child;
using test::result_of;
using test::wait_for_end;

int twice(int n) { return 2 * n; }
::pid_t pid() { return ::getpid(); }
void exit_with(int status) { ::_exit(status); }
void raise_signal(int number) { ::raise(number); }
void wait_for_ever() {
  for (;;) ::pause();
}

/// What became of a job whose worker ended.
struct Broken {
  explicit Broken(const AnyFuture& future) {
    try {
      std::rethrow_exception(future.exception());
    } catch (const BrokenWorker& error) {
      text = error.what();
      pid = error.pid();
      status = error.exit_status();
      signal_number = error.signal_number();
    } catch (...) {
      ADD_FAILURE() << "another error: " << end_of(future);
    }
  }
  std::string text;
  ::pid_t pid = 0;
  std::optional<int> status;
  std::optional<int> signal_number;
};

template <class... Args>
Broken broken_by(EventLoop& loop, ProcessPool& pool, Args... args) {
  const auto future = pool.submit(loop, args...);
  EXPECT_TRUE(wait_for_end(loop, future));
  return Broken(future);
}

TEST(BrokenWorker, TellsWhoEndedAndHow) {
  ProcessPool pool(1);
  EventLoop loop;
  const ::pid_t first = result_of(loop, pool, pid);
  const Broken exited = broken_by(loop, pool, exit_with, 3);
  EXPECT_EQ(exited.pid, first);
  EXPECT_EQ(exited.status, 3);
  EXPECT_EQ(exited.signal_number, std::nullopt);
  EXPECT_EQ(exited.text.substr(exited.text.find(" exited")),
            " exited with status 3 while it ran "
            "rondo::exit_with()");
  const ::pid_t second = result_of(loop, pool, pid);
  const Broken killed = broken_by(loop, pool, raise_signal, SIGKILL);
  EXPECT_EQ(killed.pid, second);
  EXPECT_EQ(killed.status, std::nullopt);
  EXPECT_EQ(killed.signal_number, SIGKILL);
  EXPECT_EQ(killed.text, "worker " + std::to_string(second) +
                             " was killed by signal 9 (Killed) while it ran "
                             "rondo::raise_signal()");
  EXPECT_FALSE(is_child(first));
  EXPECT_FALSE(is_child(second));
}

TEST(BrokenWorker, IsWhatBecomesOfAllWaysToDie) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(broken_by(loop, pool, exit_with, 0).status, 0);
  for (const int number : {SIGSEGV, SIGABRT, SIGTERM, SIGBUS, SIGFPE}) {
    EXPECT_EQ(broken_by(loop, pool, raise_signal, number).signal_number,
              number);
  }
  // Its stack is unwound, and then there is nobody who could answer.
  EXPECT_EQ(broken_by(loop, pool, [] { ::pthread_exit(nullptr); }).status, 0);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

TEST(BrokenWorker, DoesNotDieOfACtrlC) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(error_of(loop, pool, raise_signal, SIGINT), "None");
}

TEST(BrokenWorker, DisturbsNoOtherJob) {
  ProcessPool pool(2);
  EventLoop loop;
  const Future<void> killed = pool.submit(loop, raise_signal, SIGKILL);
  const Future<int> beside = pool.submit(
      loop,
      [](int n) {
        ::usleep(20'000);  // until the other is surely dead
        return n;
      },
      7);
  std::vector<Future<int>> behind;
  for (int i = 0; i < 10; ++i) behind.push_back(pool.submit(loop, twice, i));
  ASSERT_TRUE(wait_for_end(loop, killed));
  ASSERT_TRUE(wait_for_end(loop, beside));
  EXPECT_EQ(Broken(killed).signal_number, SIGKILL);
  EXPECT_EQ(beside.result(), 7);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(wait_for_end(loop, behind[i]));
    EXPECT_EQ(behind[i].result(), 2 * i);
  }
  EXPECT_EQ(pool.worker_pids().size(), 2u);
}

TEST(BrokenWorker, IsReplacedWhenItDiesIdle) {
  ProcessPool pool(1);
  EventLoop loop;
  const ::pid_t worker = result_of(loop, pool, pid);
  ::kill(worker, SIGKILL);
  ASSERT_TRUE(run_until(loop, [&] {
    const std::vector<::pid_t> pids = pool.worker_pids();
    return pids.size() == 1 && pids[0] != worker;
  }));
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

// Nobody watches the workers yet: the loop comes with the first job.
TEST(BrokenWorker, FailsNoJobIfItWasDeadBefore) {
  ProcessPool pool(1);
  const ::pid_t worker = pool.worker_pids().at(0);
  ::kill(worker, SIGKILL);
  ::siginfo_t info;
  ASSERT_EQ(
      ::waitid(P_PID, static_cast<::id_t>(worker), &info, WEXITED | WNOWAIT),
      0);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  EXPECT_NE(pool.worker_pids().at(0), worker);
}

// H7: a user's own waitpid(-1).
TEST(BrokenWorker, MayHaveBeenReapedBySomebodyElse) {
  ProcessPool pool(1);
  EventLoop loop;
  const Future<void> future = pool.submit(loop, exit_with, 3);
  int status = 0;
  ASSERT_EQ(::waitpid(pool.worker_pids().at(0), &status, 0),
            pool.worker_pids().at(0));
  ASSERT_TRUE(wait_for_end(loop, future));
  const Broken broken(future);
  EXPECT_EQ(broken.status, std::nullopt);
  EXPECT_EQ(broken.signal_number, std::nullopt);
  EXPECT_NE(broken.text.find("ended, nobody knows how, while it ran"),
            std::string::npos);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

TEST(BrokenWorker, MayHaveClosedItsChannel) {
  ProcessPool pool(1);
  EventLoop loop;
  const auto close_all = [] {
    for (int fd = 3; fd < 64; ++fd) ::shutdown(fd, SHUT_RDWR);
    for (;;) ::pause();
  };
  EXPECT_EQ(broken_by(loop, pool, close_all).signal_number, SIGKILL);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

TEST(BrokenWorker, MayHaveWrittenNonsense) {
  ProcessPool pool(1);
  EventLoop loop;
  const auto write_all = [] {
    const std::string nonsense(64, '\xff');
    for (int fd = 3; fd < 64; ++fd) {
      ::send(fd, nonsense.data(), nonsense.size(), MSG_NOSIGNAL);
    }
    for (;;) ::pause();
  };
  const Broken broken = broken_by(loop, pool, write_all);
  EXPECT_NE(broken.text.find("(answer: Protocol error)"), std::string::npos);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

// One whose initializer fails is not forked over and over.
TEST(BrokenWorker, HasAnInitializerThatThrows) {
  ProcessPool pool(1, ProcessPoolOptions().initializer([] {
    ::close(STDERR_FILENO);  // where it says so
    throw std::runtime_error("no licence");
  }));
  EventLoop loop;
  EXPECT_EQ(broken_by(loop, pool, twice, 1).status, EXIT_FAILURE);
}

TEST(BrokenWorker, FailsTheJobThatItWasGivenIfItCannotBegin) {
  ProcessPool pool(2, ProcessPoolOptions().initializer([] { ::_exit(7); }));
  EventLoop loop;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 5; ++i) futures.push_back(pool.submit(loop, twice, i));
  for (const Future<int>& future : futures) {
    ASSERT_TRUE(wait_for_end(loop, future));
    EXPECT_EQ(Broken(future).status, 7);
  }
  EXPECT_EQ(pool.queued(), 0u);
}

/// Dies when it has sent so many bytes of an answer.
class DyingKernel : public LinuxKernel {
 public:
  ::pid_t fork() noexcept override {
    const ::pid_t pid = LinuxKernel::fork();
    in_worker_ = pid == 0;
    return pid;
  }
  ssize_t send(int fd, const void* data, std::size_t size,
               int flags) noexcept override {
    if (!in_worker_ || !deadly) {
      return LinuxKernel::send(fd, data, size, flags);
    }
    LinuxKernel::send(fd, data, std::min(size, bytes), flags);
    ::raise(SIGKILL);
    return -1;
  }

  std::size_t bytes = 0;
  bool deadly = true;

 private:
  bool in_worker_ = false;
};

TEST(BrokenWorker, MayDieAtEachByteOfItsAnswer) {
  DyingKernel kernel;
  EventLoop loop;
  constexpr std::size_t kAnswerBytes = 8 + 1 + sizeof(int);
  for (kernel.bytes = 0; kernel.bytes <= kAnswerBytes; ++kernel.bytes) {
    SCOPED_TRACE(kernel.bytes);
    ProcessPool pool(1, ProcessPoolOptions().kernel(kernel));
    const Future<int> future = pool.submit(loop, twice, 2);
    ASSERT_TRUE(wait_for_end(loop, future));
    if (kernel.bytes < kAnswerBytes) {
      EXPECT_EQ(Broken(future).signal_number, SIGKILL);
    } else {
      EXPECT_EQ(future.result(), 4) << "data comes before the bad news";
    }
  }
}

// The loop hears of the worker's end before it has seen the answer.
TEST(BrokenWorker, DeliversAnAnswerThatItGaveBefore) {
  class DeafOnce : public DyingKernel {
   public:
    ssize_t recv(int fd, void* data, std::size_t size,
                 int flags) noexcept override {
      if ((flags & MSG_DONTWAIT) == 0 || !deaf) {
        return DyingKernel::recv(fd, data, size, flags);
      }
      deaf = false;
      errno = EAGAIN;
      return -1;
    }
    bool deaf = true;
  };
  DeafOnce kernel;
  kernel.bytes = 1000;
  ProcessPool pool(1, ProcessPoolOptions().kernel(kernel));
  EventLoop loop;
  const ::pid_t worker = pool.worker_pids().at(0);
  const Future<int> future = pool.submit(loop, twice, 2);
  ::siginfo_t info;
  ASSERT_EQ(
      ::waitid(P_PID, static_cast<::id_t>(worker), &info, WEXITED | WNOWAIT),
      0);
  ASSERT_TRUE(wait_for_end(loop, future));
  EXPECT_EQ(end_of(future), "done");
}

TEST(BrokenWorker, MayDieInTheMiddleOfALargeRequest) {
  ProcessPool pool(1);
  EventLoop loop;
  const ::pid_t worker = result_of(loop, pool, pid);
  ::kill(worker, SIGSTOP);
  const auto length = [](const std::string& text) { return text.size(); };
  const Future<std::size_t> future =
      pool.submit(loop, length, std::string(3'000'000, 'x'));
  run_passes(loop, 5);
  EXPECT_FALSE(future.done());
  ::kill(worker, SIGKILL);
  ASSERT_TRUE(wait_for_end(loop, future));
  EXPECT_EQ(Broken(future).signal_number, SIGKILL);
  EXPECT_EQ(result_of(loop, pool, length, "abc"), 3u);
}

TEST(BrokenWorker, IsReplacedUnderAStormOfKills) {
  ProcessPool pool(3);
  EventLoop loop;
  const int rounds = static_cast<int>(test::scaled(100));
  int answered = 0, broken = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Future<int>> futures;
    for (int i = 0; i < 6; ++i) futures.push_back(pool.submit(loop, twice, i));
    const std::vector<::pid_t> pids = pool.worker_pids();
    ::kill(pids[static_cast<std::size_t>(round) % pids.size()], SIGKILL);
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(wait_for_end(loop, futures[i]));
      if (futures[i].exception() == nullptr) {
        EXPECT_EQ(futures[i].result(), 2 * i);
        ++answered;
      } else {
        EXPECT_EQ(Broken(futures[i]).signal_number, SIGKILL);
        ++broken;
      }
    }
  }
  EXPECT_EQ(answered + broken, 6 * rounds);
  EXPECT_LE(broken, rounds) << "one kill, one job";
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
}

// -- cancelling -------------------------------------------------------------

TEST(ProcessPoolCancel, PreventsAJobThatNoWorkerHas) {
  static bool ran = false;  // the worker's
  ProcessPool pool(1);
  EventLoop loop;
  const Future<int> first = pool.submit(loop, twice, 1);
  const Future<void> queued = pool.submit(loop, [] { ran = true; });
  const Future<void> also = pool.submit(loop, [] { ran = true; });
  EXPECT_EQ(pool.queued(), 2u);
  EXPECT_TRUE(queued.cancel("changed my mind"));
  EXPECT_TRUE(also.cancel());
  EXPECT_EQ(pool.queued(), 0u);
  EXPECT_EQ(end_of(queued), "CancelledError('changed my mind')");
  EXPECT_FALSE(result_of(loop, pool, [] { return ran; }));
  EXPECT_EQ(first.result(), 2);
}

TEST(ProcessPoolCancel, DropsTheResultOfAJobThatRuns) {
  static bool ran = false;  // the worker's
  ProcessPool pool(1);
  EventLoop loop;
  const ::pid_t worker = result_of(loop, pool, pid);
  const Future<void> runs = pool.submit(loop, [] { ran = true; });
  EXPECT_TRUE(runs.cancel());
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
  EXPECT_TRUE(result_of(loop, pool, [] { return ran; }));
  EXPECT_EQ(result_of(loop, pool, pid), worker);
  EXPECT_FALSE(runs.cancel());
}

TEST(ProcessPoolCancel, KillsTheWorkerIfSoAsked) {
  ProcessPool pool(1, ProcessPoolOptions().kill_on_cancel());
  EventLoop loop;
  const ::pid_t worker = result_of(loop, pool, pid);
  const Future<void> hangs = pool.submit(loop, wait_for_ever);
  EXPECT_TRUE(hangs.cancel());
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  EXPECT_NE(pool.worker_pids().at(0), worker);
  EXPECT_TRUE(has_ended_soon(worker));
}

TEST(ProcessPoolCancel, AfterTheEndIsNone) {
  ProcessPool pool(1);
  EventLoop loop;
  const Future<int> future = pool.submit(loop, twice, 1);
  ASSERT_TRUE(wait_for_end(loop, future));
  EXPECT_FALSE(future.cancel());
}

TEST(ProcessPoolCancel, KeepsAnAnswerThatSomebodyElseGave) {
  ProcessPool pool(1);
  EventLoop loop;
  const Future<int> future = pool.submit(loop, twice, 1);
  future.set_result(5);
  EXPECT_EQ(result_of(loop, pool, twice, 2), 4);
  EXPECT_EQ(future.result(), 5);
}

}  // namespace
}  // namespace rondo
