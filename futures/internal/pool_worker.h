// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include "futures/internal/pool_job.h"
#include "futures/internal/worker_process.h"

namespace rondo::detail {

/// A worker of a ProcessPool, as the pool has it: its process, the job that it
/// runs, and how far the two messages have come. One request is sent, one
/// answer is received, and nothing else ever.
class PoolWorker {
 public:
  /// How far a message has come.
  enum class Progress {
    kDone,     // all of it
    kWaits,    // for the channel to be ready again
    kGoesOn,   // there is more, but others are to have their turn
    kRefused,  // the worker had gone before it was sent anything
    kBroken    // see broken()
  };

  PoolWorker(Kernel& kernel, void (*initializer)())
      : process(kernel, initializer), kernel_(kernel) {}

  /// Whether it can be given a job.
  bool idle() const noexcept { return !busy && !ending; }
  /// Takes the job's request.
  void begin(PoolJob& next) noexcept;
  /// Undoes that, for kRefused.
  void undo() noexcept;
  /// Sends what the channel takes.
  Progress send() noexcept;
  /// Whether there is something left to send.
  bool sending() const noexcept { return sent_ < request_.size(); }
  /// Receives what there is.
  Progress receive();
  /// After receive() was done: the archive. It is idle then.
  std::string take_answer() noexcept;
  /// What kBroken was for, if it was not the worker's end.
  const std::string& broken() const noexcept { return broken_; }

  WorkerProcess process;
  /// The job that it runs; null if that was cancelled.
  PoolJob* job = nullptr;
  /// It has a request that it has not answered.
  bool busy = false;
  /// It has answered once.
  bool served = false;
  /// It has been killed, or its channel closed.
  bool ending = false;
  /// The loop watches the channel for room.
  bool writer = false;

 private:
  Progress fail(const char* operation, int error);
  bool complete() const noexcept;
  bool has_sane_size() const noexcept;

  Kernel& kernel_;
  std::string request_;
  std::size_t sent_ = 0;
  std::string answer_;
  std::string broken_;
};

}  // namespace rondo::detail
