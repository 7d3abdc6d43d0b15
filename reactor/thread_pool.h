// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>

#include "reactor/callback.h"
#include "reactor/clock.h"
#include "reactor/kernel.h"

namespace rondo {

class EventLoop;

/// Runs blocking work on threads and reports back to a loop.
///
///     ThreadPool pool(4);
///     pool.submit(loop, [=] { *text = read_file(path); },
///                 [=](std::exception_ptr error) { show(*text, error); });
///
/// Threads start when there is work and no idle one, up to the given number,
/// and are joined by shutdown(). Jobs start in the order submitted. A job's
/// captures are destroyed on its thread, a completion's on the loop's.
///
/// Threading: submit(), cancel() and shutdown() from any thread that may use
///   the loop given; jobs run on the pool's threads.
/// Lifetime: independent of the loop. If the loop is closed before a job is
///   done, the job's completion is destroyed on the worker, uncalled.
///
/// Source: concurrent.futures.ThreadPoolExecutor.
class ThreadPool {
 public:
  /// What runs on a thread. What it throws goes to the completion; one that
  /// ends its thread (pthread_exit(3)) is reported there as a RuntimeError.
  using Job = UniqueFunction<void()>;
  /// What runs on the loop afterwards, with the job's exception or null.
  using Completion = UniqueFunction<void(std::exception_ptr error)>;

  /// A submitted job. A small value; dropping it changes nothing.
  class Ticket {
   public:
    /// Means no job.
    Ticket() noexcept = default;
    /// Takes a job back that no thread has begun: then neither it nor its
    /// completion runs, and both are destroyed here. Returns false if it has
    /// begun (it goes on), is done, or was cancelled.
    bool cancel();

   private:
    friend class ThreadPool;
    struct Work;
    explicit Ticket(std::weak_ptr<Work> work) : work_(std::move(work)) {}
    std::weak_ptr<Work> work_;
  };

  /// A pool of up to `threads_max` threads, named `name`-0, `name`-1... for
  /// debuggers. Starts none yet. Throws std::invalid_argument for zero.
  explicit ThreadPool(std::size_t threads_max, std::string name = "rondo",
                      Kernel& kernel = linux_kernel());
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// As shutdown(), for as long as it takes; after a shutdown() that gave up,
  /// it does not wait again. Not on a thread of the pool.
  ~ThreadPool();

  /// Queues `job`; `on_done` runs on `loop` when it is done. Virtual time
  /// stands still meanwhile.
  /// Throws RuntimeError after shutdown() or for a closed loop, and
  /// std::system_error if there is no thread at all and none can be made
  /// (with some running, the job waits for them). Then nothing was queued.
  Ticket submit(EventLoop& loop, Job job, Completion on_done);

  /// Refuses further jobs, finishes those queued, and waits up to `timeout`
  /// for the threads. Returns whether all have ended; those that have not go
  /// on by themselves. Completions of jobs still run on their loops. Throws
  /// RuntimeError on a thread of the pool, which would wait for itself.
  bool shutdown(Duration timeout = Duration::max());

  /// How many threads there are.
  std::size_t thread_count() const;
  /// How many jobs no thread has begun.
  std::size_t queued() const;

 private:
  struct State;

  std::shared_ptr<State> state_;  // with each thread, which may be late
};

}  // namespace rondo
