// SPDX-License-Identifier: MIT
#include "futures/process_pool.h"

#include <stdexcept>

#include "futures/internal/pool_state.h"

namespace rondo {

namespace detail {

void on_job_cancelled(PoolJob& job) noexcept {
  if (job.pool != nullptr) job.pool->cancelled(job);
}

}  // namespace detail

ProcessPool::ProcessPool(std::size_t workers, const ProcessPoolOptions& options)
    : state_(workers > 0 ? std::make_unique<detail::PoolState>(workers, options)
                         : nullptr) {
  if (state_ == nullptr) {
    throw std::invalid_argument("max_workers must be greater than 0");
  }
}

ProcessPool::~ProcessPool() = default;

void ProcessPool::submit_job(EventLoop& loop, detail::PoolJob& job) {
  state_->submit(loop, job);
}

Future<void> ProcessPool::shutdown(EventLoop& loop) {
  return state_->shutdown(loop);
}

std::vector<::pid_t> ProcessPool::worker_pids() const { return state_->pids(); }

std::size_t ProcessPool::queued() const noexcept { return state_->queued(); }

}  // namespace rondo
