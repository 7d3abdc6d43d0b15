// SPDX-License-Identifier: MIT
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "futures/internal/pool_state.h"
#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/internal/log.h"

// The workers of a ProcessPool: how they begin, what is heard of them, and how
// they end.

namespace rondo::detail {
namespace {

using Progress = PoolWorker::Progress;

/// How often this process was forked off: a pool belongs to the one that made
/// it, and a copy of it must leave the workers alone.
std::atomic<unsigned> forks{0};

unsigned current_process() {
  static const int once =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
  static_cast<void>(once);
  return forks.load();
}

/// "worker 12 was killed by signal 9 (Killed) while it ran work()".
std::exception_ptr broken_worker(const PoolWorker& worker,
                                 const WorkerProcess::End& how) {
  const ::pid_t pid = worker.process.pid();
  std::string text = "worker " + std::to_string(pid);
  if (how.signal_number) {
    text += " was killed by signal " + std::to_string(*how.signal_number) +
            " (" + ::strsignal(*how.signal_number) + ")";
  } else if (how.status) {
    text += " exited with status " + std::to_string(*how.status);
  } else {
    text += " ended, nobody knows how,";
  }
  text += " while it ran " + worker.job->name() + "()";
  if (!worker.broken().empty()) text += " (" + worker.broken() + ")";
  return std::make_exception_ptr(
      BrokenWorker(text, pid, how.status, how.signal_number));
}

}  // namespace

// -- how they begin ----------------------------------------------------------

PoolState::PoolState(std::size_t workers, const ProcessPoolOptions& options)
    : wanted_(workers),
      options_(options),
      kernel_(options.kernel()),
      process_(current_process()) {
  workers_.reserve(workers);
  start_worker();
  while (workers_.size() < wanted_ && try_start_worker()) {
  }
}

bool PoolState::is_forked() const noexcept {
  return process_ != current_process();
}

void PoolState::check_process() const {
  if (!is_forked()) return;
  throw RuntimeError(
      "This process pool belongs to the parent process: make a new one after "
      "fork()");
}

void PoolState::start_worker() {
  auto worker = std::make_unique<PoolWorker>(kernel_, options_.initializer());
  if (home_ != nullptr) {
    try {
      watch(*worker);
    } catch (...) {
      worker->process.kill();
      wait_for_end(*worker, TimePoint::max());
      throw;
    }
  }
  workers_.push_back(std::move(worker));
  complained_ = false;
}

/// Says so once if there is none to be had.
bool PoolState::try_start_worker() {
  try {
    start_worker();
    return true;
  } catch (const std::exception& error) {
    no_worker_ = std::current_exception();
    if (std::exchange(complained_, true)) return false;
    log_safely([&] {
      log().warn(
          "process pool: no worker can be made: error={} workers={} wanted={}",
          error.what(), workers_.size(), wanted_);
    });
    return false;
  }
}

PoolWorker* PoolState::idle_worker() noexcept {
  for (const WorkerPtr& worker : workers_) {
    if (worker->idle()) return worker.get();
  }
  return nullptr;
}

// -- what is heard of them ---------------------------------------------------

void PoolState::watch(PoolWorker& worker) {
  try {
    loop().add_reader(worker.process.process_fd(),
                      [this, &worker] { on_process_ended(worker); });
    if (worker.process.channel() < 0) return;
    loop().add_reader(worker.process.channel(),
                      [this, &worker] { on_readable(worker); });
    if (worker.sending()) send(worker);
  } catch (...) {
    unwatch(worker);
    throw;
  }
}

void PoolState::unwatch_channel(PoolWorker& worker) noexcept {
  const int channel = worker.process.channel();
  if (home_ == nullptr || channel < 0) return;
  loop().remove_reader(channel);
  if (std::exchange(worker.writer, false)) loop().remove_writer(channel);
}

void PoolState::unwatch(PoolWorker& worker) noexcept {
  unwatch_channel(worker);
  if (home_ != nullptr) loop().remove_reader(worker.process.process_fd());
}

void PoolState::on_readable(PoolWorker& worker) {
  switch (worker.receive()) {
    case Progress::kDone:
      complete(worker);
      dispatch();
      break;
    case Progress::kBroken:
      end(worker);
      break;
    default:
      break;
  }
}

void PoolState::on_writable(PoolWorker& worker) { send(worker); }

void PoolState::send(PoolWorker& worker) {
  const int channel = worker.process.channel();
  switch (worker.send()) {
    case Progress::kDone:
      if (std::exchange(worker.writer, false)) loop().remove_writer(channel);
      break;
    case Progress::kRefused:
      // It had ended before; the job, unless cancelled, is none of its.
      if (PoolJob* const job = worker.job) {
        worker.undo();
        put_first(*job);
      }
      end(worker);
      dispatch();
      break;
    case Progress::kBroken:
      end(worker);
      break;
    default:
      if (worker.writer) break;
      try {
        loop().add_writer(channel, [this, &worker] { on_writable(worker); });
        worker.writer = true;
      } catch (const std::system_error& error) {
        if (worker.job != nullptr) {
          fail(*std::exchange(worker.job, nullptr), std::current_exception());
        }
        end(worker);
      }
      break;
  }
}

void PoolState::complete(PoolWorker& worker) {
  const std::string answer = worker.take_answer();
  if (PoolJob* const job = std::exchange(worker.job, nullptr)) {
    settle(*job, answer);
  }
  go_on_ending();
}

// -- how they end ------------------------------------------------------------

/// Its channel is of no use any more: it ends, if it has not yet, and then
/// its pidfd says so.
void PoolState::end(PoolWorker& worker) noexcept {
  worker.ending = true;
  unwatch_channel(worker);
  worker.process.close_channel();
  worker.process.kill();
}

void PoolState::on_process_ended(PoolWorker& worker) {
  // It may have answered before.
  worker.ending = true;
  if (worker.busy && worker.process.channel() >= 0) {
    Progress progress;
    do {
      progress = worker.receive();
    } while (progress == Progress::kGoesOn);
    if (progress == Progress::kDone) complete(worker);
  }
  if (const auto how = worker.process.reap()) bury(worker, *how);
}

void PoolState::bury(PoolWorker& worker, const WorkerProcess::End& how) {
  if (worker.job != nullptr) {
    const std::exception_ptr error = broken_worker(worker, how);
    fail(*std::exchange(worker.job, nullptr), error);
  }
  const bool has_worked = worker.busy || worker.served;
  unwatch(worker);
  std::erase_if(workers_,
                [&](const WorkerPtr& w) { return w.get() == &worker; });
  // One that never did anything may not be able to: see the class.
  if (has_worked && !stopping_ && workers_.size() < wanted_) try_start_worker();
  dispatch();
  go_on_ending();
}

bool PoolState::is_on_its_thread() const noexcept {
  if (home_ == nullptr) return true;
  try {
    LoopAccess::check_usable(loop());
    return true;
  } catch (const RuntimeError&) {
    return false;
  }
}

PoolState::~PoolState() {
  if (is_forked()) {
    forget_all();
    if (home_ != nullptr) detach();
    return;
  }
  // Or the loop, which another thread runs, would call a pool that is gone.
  RONDO_CHECK(is_on_its_thread());
  cancel_all();
  if (home_ != nullptr) detach();
  wait_for_ends();
}

void PoolState::wait_for_ends() noexcept {
  for (const WorkerPtr& worker : workers_) {
    worker->process.close_channel();
    if (worker->ending) worker->process.kill();
  }
  const auto now = [this] {
    return TimePoint(Duration(kernel_.monotonic_ns()));
  };
  const TimePoint end = saturating_add(now(), options_.grace());
  for (const WorkerPtr& worker : workers_) {
    if (wait_for_end(*worker, end)) continue;
    worker->process.kill();
    // That takes no time, unless a disk or a network file system holds it.
    constexpr Duration kPatience = std::chrono::seconds(5);
    if (wait_for_end(*worker, saturating_add(now(), kPatience))) continue;
    log_safely([&] {
      log().error("process pool: a worker does not end: pid={}",
                  worker->process.pid());
    });
  }
}

/// Whether it has ended, and been reaped, before `until`.
bool PoolState::wait_for_end(PoolWorker& worker, TimePoint until) noexcept {
  while (!worker.process.reap()) {
    const TimePoint now(Duration(kernel_.monotonic_ns()));
    if (now >= until) return false;
    constexpr Duration kLongest = std::chrono::seconds(1);
    const Duration left = std::min(kLongest, saturating_difference(until, now));
    const auto left_ms =
        std::chrono::ceil<std::chrono::milliseconds>(left).count();
    ::pollfd process{worker.process.process_fd(), POLLIN, 0};
    if (kernel_.poll(&process, 1, static_cast<int>(left_ms)) < 0 &&
        errno != EINTR) {
      kernel_.sleep_ns(1'000'000);
    }
  }
  return true;
}

}  // namespace rondo::detail
