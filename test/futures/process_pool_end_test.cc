// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "futures/process_pool.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/child_process.h"
#include "test/support/descriptors.h"
#include "test/support/workers.h"

// How pools, loops and this process end with jobs out, and what a worker has
// of the process that it was forked from.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::end_of;
using test::has_ended_soon;
using test::is_child;
using test::result_of;
using test::thrown_by;
using test::wait_for_end;

int twice(int n) { return 2 * n; }
::pid_t pid() { return ::getpid(); }
void exit_with(int status) { ::_exit(status); }
void wait_for_ever() {
  for (;;) ::pause();
}

// -- the pool ends ----------------------------------------------------------

TEST(ProcessPoolEnd, EndsAndReapsItsWorkers) {
  const std::size_t descriptors = count_open_descriptors();
  std::vector<::pid_t> pids;
  {
    ProcessPool pool(3);
    pids = pool.worker_pids();
    for (const ::pid_t worker : pids) EXPECT_TRUE(is_child(worker));
  }
  for (const ::pid_t worker : pids) EXPECT_FALSE(is_child(worker));
  EXPECT_EQ(count_open_descriptors(), descriptors);
}

TEST(ProcessPoolEnd, CancelsTheFuturesOfJobsThatAreOut) {
  EventLoop loop;
  auto pool = std::make_unique<ProcessPool>(1);
  std::string order;
  const Future<int> running = pool->submit(loop, twice, 1);
  const Future<int> queued = pool->submit(loop, twice, 2);
  running.add_done_callback([&](const Future<int>&) { order += 'r'; });
  queued.add_done_callback([&](const Future<int>&) { order += 'q'; });
  pool.reset();
  EXPECT_TRUE(running.cancelled());
  EXPECT_TRUE(queued.cancelled());
  EXPECT_EQ(order, "") << "callbacks run from the loop";
  loop.run_once();
  EXPECT_EQ(order, "qr");
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ProcessPoolEnd, KillsAWorkerThatIsBusyForTooLong) {
  EventLoop loop;
  auto pool = std::make_unique<ProcessPool>(2, ProcessPoolOptions().grace(1ms));
  const Future<void> hangs = pool->submit(loop, wait_for_ever);
  const std::vector<::pid_t> pids = pool->worker_pids();
  pool.reset();
  for (const ::pid_t worker : pids) EXPECT_FALSE(is_child(worker));
  EXPECT_TRUE(hangs.cancelled());
}

TEST(ProcessPoolEnd, LetsABusyWorkerFinishItsJob) {
  Pipe pipe;
  ::fcntl(pipe.writer.get(), F_SETFD, 0);  // the worker is to have it
  EventLoop loop;
  {
    ProcessPool pool(1, ProcessPoolOptions().grace(1min));
    pool.submit(
        loop,
        [](int fd) {
          ::usleep(20'000);
          write_text(fd, "finished");
        },
        pipe.writer.get());
  }
  EXPECT_EQ(read_text(pipe.reader.get()), "finished");
}

// -- shutdown ---------------------------------------------------------------

TEST(ProcessPoolShutdown, FinishesWhatIsOutAndEndsTheWorkers) {
  EventLoop loop;
  ProcessPool pool(2);
  const std::vector<::pid_t> pids = pool.worker_pids();
  std::vector<Future<int>> futures;
  for (int i = 0; i < 6; ++i) futures.push_back(pool.submit(loop, twice, i));
  const Future<void> end = pool.shutdown(loop);
  EXPECT_EQ(thrown_by([&] { pool.submit(loop, twice, 1); }),
            "rondo::RuntimeError('cannot schedule new futures after "
            "shutdown')");
  ASSERT_TRUE(wait_for_end(loop, end));
  EXPECT_EQ(end_of(end), "done");
  for (int i = 0; i < 6; ++i) EXPECT_EQ(futures[i].result(), 2 * i);
  for (const ::pid_t worker : pids) EXPECT_FALSE(is_child(worker));
  EXPECT_TRUE(pool.worker_pids().empty());
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ProcessPoolShutdown, IsWaitedForByVirtualTime) {
  VirtualTimeLoop loop;
  ProcessPool pool(2);
  const Future<void> end = pool.shutdown(loop);
  const Future<void> again = pool.shutdown(loop);
  loop.run_until_idle();
  EXPECT_TRUE(end.done());
  EXPECT_TRUE(again.done());
  const Future<void> third = pool.shutdown(loop);
  EXPECT_TRUE(third.done());
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ProcessPoolShutdown, FinishesTheQueueThoughWorkersDie) {
  EventLoop loop;
  ProcessPool pool(1);
  pool.submit(loop, exit_with, 1).add_done_callback([](Future<void> f) {
    f.exception();
  });
  const Future<int> behind = pool.submit(loop, twice, 2);
  const Future<void> end = pool.shutdown(loop);
  ASSERT_TRUE(wait_for_end(loop, end));
  EXPECT_EQ(behind.result(), 4);
}

TEST(ProcessPoolShutdown, GoesOnIfItsFutureIsCancelled) {
  EventLoop loop;
  ProcessPool pool(1);
  pool.shutdown(loop).cancel();
  ASSERT_TRUE(run_until(loop, [&] { return pool.worker_pids().empty(); }));
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

TEST(ProcessPoolShutdown, WaitsForAJobWhoseFutureWasCancelled) {
  EventLoop loop;
  ProcessPool pool(1);
  const Future<int> dropped = pool.submit(loop, twice, 2);
  const Future<void> end = pool.shutdown(loop);
  dropped.cancel();
  ASSERT_TRUE(wait_for_end(loop, end));
  EXPECT_TRUE(pool.worker_pids().empty());
}

TEST(ProcessPoolShutdown, IsCancelledWithThePool) {
  EventLoop loop;
  auto pool = std::make_unique<ProcessPool>(1, ProcessPoolOptions().grace(1ms));
  pool->submit(loop, wait_for_ever);
  const Future<void> end = pool->shutdown(loop);
  pool.reset();
  EXPECT_TRUE(end.cancelled());
  EXPECT_EQ(loop.remote_queue()->external_work(), 0u);
}

// -- the loop ends ----------------------------------------------------------

TEST(ProcessPoolEnd, LeavesTheFuturesOfALoopThatClosesPending) {
  ProcessPool pool(1);
  const ::pid_t worker = pool.worker_pids().at(0);
  auto loop = std::make_unique<EventLoop>();
  const Future<::pid_t> running = pool.submit(*loop, pid);
  const Future<int> queued = pool.submit(*loop, twice, 2);
  loop->close();
  EXPECT_FALSE(running.done());
  EXPECT_FALSE(queued.done());
  EXPECT_EQ(pool.queued(), 0u);
  loop.reset();
  // The late answer is nobody's, least of all the next job's.
  EventLoop next;
  EXPECT_EQ(result_of(next, pool, twice, 21), 42);
  EXPECT_EQ(result_of(next, pool, pid), worker);
  EXPECT_FALSE(running.done());
}

TEST(ProcessPoolEnd, GoesOnWithAHalfSentRequestInTheNextLoop) {
  ProcessPool pool(1);
  const ::pid_t worker = pool.worker_pids().at(0);
  ::kill(worker, SIGSTOP);
  const auto length = [](const std::string& text) { return text.size(); };
  {
    EventLoop loop;
    pool.submit(loop, length, std::string(3'000'000, 'x'));
    run_passes(loop, 3);
  }
  ::kill(worker, SIGCONT);
  EventLoop next;
  EXPECT_EQ(result_of(next, pool, length, "abc"), 3u);
  EXPECT_EQ(pool.worker_pids().at(0), worker);
}

TEST(ProcessPoolEnd, MayComeBeforeOrAfterThatOfTheLoop) {
  for (const bool pool_first : {false, true}) {
    auto loop = std::make_unique<EventLoop>();
    auto pool =
        std::make_unique<ProcessPool>(2, ProcessPoolOptions().grace(1ms));
    const Future<void> out = pool->submit(*loop, wait_for_ever);
    const Future<void> end = pool->shutdown(*loop);
    run_passes(*loop, 2);
    if (pool_first) pool.reset();
    loop.reset();
    pool.reset();
    EXPECT_EQ(out.cancelled(), pool_first);
    EXPECT_EQ(end.cancelled(), pool_first);
  }
}

// The loop would go on to call a pool that is gone.
TEST(ProcessPoolEnd, OnAnotherThreadThanTheLoopsAborts) {
  const auto destroy_elsewhere = [] {
    EventLoop loop;
    auto pool = std::make_unique<ProcessPool>(1);
    pool->submit(loop, twice, 1);
    std::latch loop_runs(1), never(1);
    loop.call_soon([&] {
      loop_runs.count_down();
      never.wait();
    });
    std::thread other([&] { loop.run_forever(); });
    loop_runs.wait();
    pool.reset();
  };
  EXPECT_DEATH(destroy_elsewhere(), "is_on_its_thread");
}

// -- this process ends ------------------------------------------------------

/// Runs a pool in a child that ends without a word; the pid of its worker.
::pid_t orphan(bool busy) {
  const std::string told = in_child([busy] {
    auto* const pool = new ProcessPool(1);
    auto* const loop = new EventLoop;
    if (busy) pool->submit(*loop, wait_for_ever);
    return std::to_string(pool->worker_pids().at(0));
  });
  return std::stoi(told);
}

TEST(ProcessPoolEnd, LeavesNoWorkerBehindWhenThisProcessEnds) {
  EXPECT_TRUE(has_ended_soon(orphan(/*busy=*/false)));
  EXPECT_TRUE(has_ended_soon(orphan(/*busy=*/true)));
}

// -- what a worker has ------------------------------------------------------

std::string open_ones(std::vector<int> descriptors) {
  std::string text;
  for (const int fd : descriptors) {
    text += ::fcntl(fd, F_GETFD) >= 0 ? 'o' : '-';
  }
  return text;
}

TEST(ProcessPoolWorker, HasTheDescriptorsThatAnExecWouldLeave) {
  Pipe kept, closed;
  ::fcntl(kept.reader.get(), F_SETFD, 0);
  ::fcntl(closed.reader.get(), F_SETFD, FD_CLOEXEC);
  EventLoop open_loop;
  ProcessPool pool(2);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, open_ones,
                      std::vector<int>{0, 1, 2, kept.reader.get(),
                                       closed.reader.get(), open_loop.fd()}),
            "oooo--");
}

/// The dispositions of some signals, and whether SIGTERM is blocked.
std::string signals() {
  std::string text;
  for (const int number : {SIGUSR1, SIGUSR2, SIGINT, SIGALRM}) {
    struct ::sigaction action;
    ::sigaction(number, nullptr, &action);
    text += action.sa_handler == SIG_DFL   ? 'd'
            : action.sa_handler == SIG_IGN ? 'i'
                                           : 'h';
  }
  ::sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return text + (::sigismember(&mask, SIGTERM) != 0 ? 'b' : '-');
}

TEST(ProcessPoolWorker, HasTheSignalsThatAnExecWouldLeave) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [] {});
  loop.add_signal_handler(SIGINT, [] {});
  const auto before = ::signal(SIGUSR2, SIG_IGN);
  const auto alarm_before = ::signal(SIGALRM, [](int) {});
  ::sigset_t term, mask;
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &term, &mask);
  {
    ProcessPool pool(1);
    EXPECT_EQ(signals(), "hihhb") << "here nothing has changed";
    EXPECT_EQ(result_of(loop, pool, signals), "diid-");
  }
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::signal(SIGUSR2, before);
  ::signal(SIGALRM, alarm_before);
}

TEST(ProcessPoolWorker, PrintsWhatItPrintsOnce) {
  Pipe pipe;
  in_child([&] {
    ::dup2(pipe.writer.get(), STDOUT_FILENO);
    std::printf("before ");
    {
      ProcessPool pool(2);
      EventLoop loop;
      result_of(loop, pool, [] { return std::printf("job "); });
      std::printf("between ");
      result_of(loop, pool, [] { return std::printf("another "); });
    }
    std::fflush(stdout);
    return std::string();
  });
  const std::string printed = read_text(pipe.reader.get());
  EXPECT_EQ(printed, "before job another between ");
}

}  // namespace
}  // namespace rondo
