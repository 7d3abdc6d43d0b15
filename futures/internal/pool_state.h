// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "futures/internal/pool_job.h"
#include "futures/internal/pool_worker.h"
#include "futures/process_pool.h"
#include "reactor/remote_queue.h"

namespace rondo::detail {

/// A ProcessPool: its workers, the jobs that wait for one, and the loop that
/// watches both.
///
/// A job is out from submit() until its future has an answer or is cancelled:
/// first in the queue, then with a worker. An idle worker and a queued job
/// never stay side by side.
class PoolState final : public LoopBound {
 public:
  PoolState(std::size_t workers, const ProcessPoolOptions& options);
  ~PoolState() override;

  void submit(EventLoop& loop, PoolJob& job);
  /// Its future has been cancelled.
  void cancelled(PoolJob& job) noexcept;
  Future<void> shutdown(EventLoop& loop);
  std::vector<::pid_t> pids() const;
  std::size_t queued() const noexcept { return queued_; }

 private:
  using WorkerPtr = std::unique_ptr<PoolWorker>;

  void check_process() const;
  bool is_forked() const noexcept;
  bool is_on_its_thread() const noexcept;

  // The loop.
  void attach(EventLoop& loop);
  void detach() noexcept;
  void abandon() noexcept override;
  EventLoop& loop() const noexcept { return *home_->loop; }
  void watch(PoolWorker& worker);
  void unwatch_channel(PoolWorker& worker) noexcept;
  void unwatch(PoolWorker& worker) noexcept;

  // Workers.
  void start_worker();
  bool try_start_worker();
  PoolWorker* idle_worker() noexcept;
  void on_readable(PoolWorker& worker);
  void on_writable(PoolWorker& worker);
  void on_process_ended(PoolWorker& worker);
  void send(PoolWorker& worker);
  void complete(PoolWorker& worker);
  void end(PoolWorker& worker) noexcept;
  void bury(PoolWorker& worker, const WorkerProcess::End& how);
  void wait_for_ends() noexcept;
  bool wait_for_end(PoolWorker& worker, TimePoint until) noexcept;

  // Jobs.
  void enqueue(PoolJob& job) noexcept;
  void put_first(PoolJob& job) noexcept;
  void unqueue(PoolJob& job) noexcept;
  void dispatch();
  void give(PoolWorker& worker, PoolJob& job);
  void fail(PoolJob& job, std::exception_ptr error) noexcept;
  void fail_queued(const std::exception_ptr& error) noexcept;
  void settle(PoolJob& job, const std::string& answer) noexcept;
  void let_go(PoolJob& job) noexcept;
  void cancel_all() noexcept;
  void forget_all() noexcept;
  void go_on_ending() noexcept;

  const std::size_t wanted_;
  const ProcessPoolOptions options_;
  Kernel& kernel_;
  const unsigned process_;  // see is_forked()

  LoopState* home_ = nullptr;  // of the loop that it serves, with a reference
  std::shared_ptr<RemoteQueue> remote_;
  std::vector<WorkerPtr> workers_;
  PoolJob* first_ = nullptr;
  PoolJob* last_ = nullptr;
  std::size_t queued_ = 0;
  std::size_t jobs_out_ = 0;
  bool dispatching_ = false;
  bool complained_ = false;  // that a worker could not be made
  bool stopping_ = false;
  std::exception_ptr no_worker_;  // why none could be made
  Future<void> ended_;            // of shutdown()
};

}  // namespace rondo::detail
