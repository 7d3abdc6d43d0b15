// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/archive.h"
#include "futures/future.h"
#include "futures/internal/pool_job.h"
#include "futures/remote_error.h"
#include "reactor/clock.h"
#include "reactor/kernel.h"

namespace rondo {

/// How a ProcessPool is to behave, as a chain of setters.
class ProcessPoolOptions {
 public:
  /// All defaults.
  ProcessPoolOptions() noexcept = default;
  /// Is called first in each worker: to open what jobs need. A worker in which
  /// it throws ends. None by default.
  ProcessPoolOptions& initializer(void (*value)()) noexcept {
    initializer_ = value;
    return *this;
  }
  /// Whether cancelling the future of a job that runs kills its worker. By
  /// default it does not: the job goes on, and its result is dropped.
  ProcessPoolOptions& kill_on_cancel(bool value = true) noexcept {
    kill_on_cancel_ = value;
    return *this;
  }
  /// How long the pool's destructor waits, of real time, for workers that are
  /// busy, before it kills them. One second by default.
  ProcessPoolOptions& grace(Duration value) noexcept {
    grace_ = value;
    return *this;
  }
  /// The kernel for its processes. It outlives the pool.
  ProcessPoolOptions& kernel(Kernel& value) noexcept {
    kernel_ = &value;
    return *this;
  }

  /// What was set, or the default.
  void (*initializer() const noexcept)() { return initializer_; }
  /// What was set, or the default.
  bool kill_on_cancel() const noexcept { return kill_on_cancel_; }
  /// What was set, or the default.
  Duration grace() const noexcept { return grace_; }
  /// What was set, or the default.
  Kernel& kernel() const noexcept { return *kernel_; }

 private:
  void (*initializer_)() = nullptr;
  bool kill_on_cancel_ = false;
  Duration grace_ = std::chrono::seconds(1);
  Kernel* kernel_ = &linux_kernel();
};

/// Runs functions in other processes: what may crash, leak or hang does so
/// there.
///
///     int main() {
///       ProcessPool pool(4);               // before threads and loops
///       EventLoop loop;
///       Future<std::string> html = pool.submit(loop, render, document);
///
/// The workers are forked when the pool is made: copies of this program as it
/// is then. So make it early, before there are threads (a lock that one of
/// them holds stays held in the copy), large data and open connections. A
/// worker keeps stdin, stdout, stderr and the descriptors that are not
/// close-on-exec; signals have their default actions there, SIGINT none, for
/// Ctrl-C goes to all of a terminal's processes and the parent is to decide.
///
/// A job is a function, or a lambda without captures, with arguments and a
/// result that an archive can carry (see WriteArchive). It changes nothing in
/// this process. Each worker runs one at a time; jobs wait in the order in
/// which they were submitted. stdout is flushed behind each job.
///
/// What a job throws ends its future: the standard library's exceptions and
/// rondo's as themselves, another type as RemoteError. A worker that ends, by
/// a signal, by exit(3) or because somebody broke it, fails its own job with
/// BrokenWorker, no other, and is replaced. (In Python it breaks the pool, and
/// all its jobs.) A replacement is forked from the program as it is at that
/// time. A worker that dies before its first job is replaced when the next job
/// comes, so one whose initializer fails is not forked over and over.
///
/// Cancelling a future prevents a job that no worker has. See
/// ProcessPoolOptions::kill_on_cancel() for one that runs.
///
/// If the loop closes with jobs out, their futures stay pending; queued jobs
/// are dropped, and what a busy worker answers is. The pool may then serve
/// another loop. If the pool is destroyed, the futures of all jobs that are
/// out are cancelled; idle workers end, busy ones when their job is done, and
/// those that are busy for longer than grace() are killed. If this process
/// ends, however it does, its workers are killed.
///
/// Threading: belongs to the thread of the loop that it serves; destroying it
///   while another thread runs that loop aborts. The workers end with the
///   thread that made them (PR_SET_PDEATHSIG of prctl(2)).
/// Errors: system calls that fail are reported to whoever asked.
/// Cost: two descriptors a worker.
///
/// Source: concurrent.futures.ProcessPoolExecutor, in the place that
/// asyncio's run_in_executor() gives it.
class ProcessPool {
 public:
  /// Forks `workers` processes. If there are fewer to be had, that is logged,
  /// and the rest is tried again when jobs wait. Throws std::system_error if
  /// there is none at all, std::invalid_argument for zero.
  explicit ProcessPool(std::size_t workers, const ProcessPoolOptions& options =
                                                ProcessPoolOptions());
  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;
  /// See the class. Waits for the workers' end, so none is left as a zombie.
  ~ProcessPool();

  /// Queues a call of `function(arguments...)`, and gives a future of its
  /// result. Virtual time stands still meanwhile. A `const char*` or a
  /// std::string_view travels as std::string.
  /// Throws RuntimeError after shutdown(), in a forked child, for a closed
  /// loop, or while jobs of another loop are out; std::system_error if there
  /// is no worker and none can be made; what serialise() throws. Then nothing
  /// was queued.
  template <class F, class... Args>
    requires std::invocable<std::decay_t<F>&, detail::Travelling<Args>...>
  auto submit(EventLoop& loop, F&& function, Args&&... arguments) {
    using Function = std::decay_t<F>;
    static_assert(detail::kIsStateless<Function>,
                  "a job is a function or a lambda without captures: hand "
                  "over arguments instead");
    using R = detail::JobResult<Function, detail::Travelling<Args>...>;
    detail::LoopAccess::check_usable(loop);
    const Function& called = function;
    auto* job = new detail::PoolFuture<R, Function>(detail::LoopState::of(loop),
                                                    called);
    Future<R> future(*job);
    job->request = detail::job_request<Function, detail::Travelling<Args>...>(
        called, detail::travelling(arguments)...);
    submit_job(loop, *job);
    return future;
  }

  /// Refuses further jobs, finishes those that are out, and gives a future
  /// that is done when all workers have ended. Throws RuntimeError as
  /// submit().
  Future<void> shutdown(EventLoop& loop);

  /// The workers that live.
  std::vector<::pid_t> worker_pids() const;
  /// How many jobs no worker has.
  std::size_t queued() const noexcept;

 private:
  void submit_job(EventLoop& loop, detail::PoolJob& job);

  const std::unique_ptr<detail::PoolState> state_;
};

/// Calls `function(arguments...)` in another process, and gives a future of
/// its result: pool.submit(), under asyncio's name.
template <class F, class... Args>
  requires std::invocable<std::decay_t<F>&, detail::Travelling<Args>...>
auto run_in_executor(EventLoop& loop, ProcessPool& pool, F&& function,
                     Args&&... arguments) {
  return pool.submit(loop, std::forward<F>(function),
                     std::forward<Args>(arguments)...);
}

}  // namespace rondo
