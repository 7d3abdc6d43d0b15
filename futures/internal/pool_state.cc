// SPDX-License-Identifier: MIT
#include "futures/internal/pool_state.h"

#include <exception>
#include <utility>

#include "futures/internal/remote_exception.h"
#include "reactor/errors.h"

// Jobs, the loop, and the two together. What becomes of workers stands in
// pool_workers.cc.

namespace rondo::detail {

// -- the pool's side ---------------------------------------------------------

void PoolState::submit(EventLoop& loop, PoolJob& job) {
  check_process();
  if (stopping_) {
    throw RuntimeError("cannot schedule new futures after shutdown");
  }
  attach(loop);
  if (workers_.empty()) start_worker();
  enqueue(job);
  dispatch();
}

void PoolState::cancelled(PoolJob& job) noexcept {
  if (job.queued) {
    unqueue(job);
  } else {
    for (const WorkerPtr& worker : workers_) {
      if (worker->job != &job) continue;
      worker->job = nullptr;
      if (options_.kill_on_cancel()) {
        worker->ending = true;
        worker->process.kill();
      }
    }
  }
  let_go(job);
  go_on_ending();
}

Future<void> PoolState::shutdown(EventLoop& loop) {
  check_process();
  attach(loop);
  stopping_ = true;
  if (!ended_) remote_->begin_external_work();
  if (!ended_ || ended_.done()) ended_ = Future<void>(loop);
  Future<void> ended = ended_;
  go_on_ending();
  return ended;
}

/// shutdown(): with nothing left to do, the workers end, and then it is done.
void PoolState::go_on_ending() noexcept {
  if (!stopping_ || jobs_out_ > 0) return;
  for (const WorkerPtr& worker : workers_) {
    if (!worker->idle()) continue;
    worker->ending = true;
    unwatch_channel(*worker);
    worker->process.close_channel();
  }
  if (!workers_.empty() || !ended_) return;
  remote_->end_external_work();
  const Future<void> ended = std::exchange(ended_, Future<void>());
  if (!ended.done()) ended.set_result();
}

std::vector<::pid_t> PoolState::pids() const {
  std::vector<::pid_t> pids;
  pids.reserve(workers_.size());
  for (const WorkerPtr& worker : workers_) {
    pids.push_back(worker->process.pid());
  }
  return pids;
}

// -- jobs --------------------------------------------------------------------

void PoolState::enqueue(PoolJob& job) noexcept {
  job.pool = this;
  job.future().add_reference();
  ++jobs_out_;
  remote_->begin_external_work();
  job.queued = true;
  job.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &job;
  last_ = &job;
  ++queued_;
}

void PoolState::put_first(PoolJob& job) noexcept {
  job.queued = true;
  job.next = first_;
  (first_ != nullptr ? first_->previous : last_) = &job;
  first_ = &job;
  ++queued_;
}

void PoolState::unqueue(PoolJob& job) noexcept {
  (job.previous != nullptr ? job.previous->next : first_) = job.next;
  (job.next != nullptr ? job.next->previous : last_) = job.previous;
  job.next = job.previous = nullptr;
  job.queued = false;
  --queued_;
}

/// Gives jobs to idle workers, and makes workers where some are wanting.
void PoolState::dispatch() {
  if (dispatching_) return;  // what fails below comes back here
  dispatching_ = true;
  while (first_ != nullptr) {
    PoolWorker* const worker = idle_worker();
    if (worker != nullptr) {
      PoolJob& job = *first_;
      unqueue(job);
      give(*worker, job);
    } else if (workers_.size() >= wanted_ || !try_start_worker()) {
      break;
    }
  }
  dispatching_ = false;
  // With others at work, a job waits for one of them.
  if (workers_.empty() && first_ != nullptr) fail_queued(no_worker_);
}

void PoolState::give(PoolWorker& worker, PoolJob& job) {
  worker.begin(job);
  send(worker);
}

void PoolState::settle(PoolJob& job, const std::string& answer) noexcept {
  std::exception_ptr error;
  try {
    ReadArchive in(answer);
    in.read<MessageSize>();
    if (in.read<AnswerKind>() == AnswerKind::kResult) {
      if (!job.future().done()) job.settle(in);
    } else {
      error = read_exception(in);
    }
  } catch (...) {
    error = std::current_exception();
  }
  if (error != nullptr) return fail(job, std::move(error));
  let_go(job);
}

void PoolState::fail(PoolJob& job, std::exception_ptr error) noexcept {
  if (!job.future().done()) job.future().set_exception(std::move(error));
  let_go(job);
}

void PoolState::fail_queued(const std::exception_ptr& error) noexcept {
  while (first_ != nullptr) {
    PoolJob& job = *first_;
    unqueue(job);
    fail(job, error);
  }
}

void PoolState::let_go(PoolJob& job) noexcept {
  job.pool = nullptr;
  --jobs_out_;
  if (remote_ != nullptr) remote_->end_external_work();
  job.future().release();
}

// -- the loop ----------------------------------------------------------------

void PoolState::attach(EventLoop& loop) {
  if (home_ != nullptr) {
    if (home_->loop == &loop) return;
    if (jobs_out_ > 0 || ended_) {
      throw RuntimeError("This process pool has jobs of another loop");
    }
    LoopAccess::check_usable(*home_->loop);
    detach();
  }
  home_ = &LoopState::of(loop);
  home_->add_reference();
  home_->link(*this);
  remote_ = loop.remote_queue();
  try {
    for (const WorkerPtr& worker : workers_) watch(*worker);
  } catch (...) {
    detach();
    throw;
  }
}

void PoolState::detach() noexcept {
  for (const WorkerPtr& worker : workers_) unwatch(*worker);
  remote_.reset();
  home_->unlink(*this);
  std::exchange(home_, nullptr)->release();
}

/// The loop closes: its futures stay pending, and nobody waits for them.
void PoolState::abandon() noexcept {
  forget_all();
  ended_ = Future<void>();
  detach();
}

void PoolState::forget_all() noexcept {
  while (first_ != nullptr) {
    PoolJob& job = *first_;
    unqueue(job);
    let_go(job);
  }
  for (const WorkerPtr& worker : workers_) {
    if (worker->job != nullptr) let_go(*std::exchange(worker->job, nullptr));
  }
}

void PoolState::cancel_all() noexcept {
  // Each comes back as cancelled().
  while (first_ != nullptr) first_->future().cancel(nullptr);
  for (const WorkerPtr& worker : workers_) {
    if (worker->job != nullptr) worker->job->future().cancel(nullptr);
  }
  if (!ended_) return;
  remote_->end_external_work();
  ended_.cancel();
}

}  // namespace rondo::detail
