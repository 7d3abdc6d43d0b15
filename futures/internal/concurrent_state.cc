// SPDX-License-Identifier: MIT
#include "futures/internal/concurrent_state.h"

#include <cxxabi.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "futures/errors.h"
#include "reactor/callable_name.h"
#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/internal/log.h"
#include "reactor/kernel.h"

namespace rondo::detail {

ConcurrentState::ConcurrentState() {
  ::pthread_condattr_t attributes;
  ::pthread_condattr_init(&attributes);
  ::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  ::pthread_cond_init(&ended_, &attributes);
  ::pthread_condattr_destroy(&attributes);
}

ConcurrentState::~ConcurrentState() { ::pthread_cond_destroy(&ended_); }

// -- how it ends -------------------------------------------------------------

bool ConcurrentState::cancel(const StatePtr& state) {
  std::vector<DoneCallback> callbacks;
  const bool cancelled = state->become_cancelled(callbacks);
  call_all(state, std::move(callbacks));
  return cancelled;
}

/// Puts those who are to be told, the first time, into `callbacks`.
bool ConcurrentState::become_cancelled(std::vector<DoneCallback>& callbacks) {
  const MutexLock lock(mutex_);
  if (claimed_ || status_ == Status::kRunning || status_ == Status::kFinished) {
    return false;
  }
  if (is_cancelled()) return true;
  status_ = Status::kCancelled;
  callbacks.swap(callbacks_);
  ::pthread_cond_broadcast(&ended_);
  return true;
}

bool ConcurrentState::set_running_or_notify_cancel() {
  const MutexLock lock(mutex_);
  switch (status_) {
    case Status::kCancelled:
      status_ = Status::kCancelledAndNotified;
      return false;
    case Status::kPending:
      if (claimed_) break;
      status_ = Status::kRunning;
      return true;
    default:
      break;
  }
  throw RuntimeError("Future in unexpected state");
}

void ConcurrentState::claim() {
  const char* const status = try_claim();
  if (status == nullptr) return;
  throw InvalidStateError(std::string(status) + ": " + description());
}

/// Null, or Python's name of the state that it is in.
const char* ConcurrentState::try_claim() noexcept {
  const MutexLock lock(mutex_);
  if (status_ == Status::kCancelled) return "CANCELLED";
  if (status_ == Status::kCancelledAndNotified) return "CANCELLED_AND_NOTIFIED";
  if (status_ == Status::kFinished || claimed_) return "FINISHED";
  claimed_ = true;
  return nullptr;
}

void ConcurrentState::give_back() noexcept {
  const MutexLock lock(mutex_);
  claimed_ = false;
}

void ConcurrentState::finish(const StatePtr& state, std::exception_ptr error) {
  std::vector<DoneCallback> callbacks;
  {
    const MutexLock lock(state->mutex_);
    state->exception_ = std::move(error);
    state->status_ = Status::kFinished;
    callbacks.swap(state->callbacks_);
    ::pthread_cond_broadcast(&state->ended_);
  }
  call_all(state, std::move(callbacks));
}

// -- what became of it -------------------------------------------------------

bool ConcurrentState::done() const noexcept {
  const MutexLock lock(mutex_);
  return is_done();
}

bool ConcurrentState::running() const noexcept {
  const MutexLock lock(mutex_);
  return status_ == Status::kRunning;
}

bool ConcurrentState::cancelled() const noexcept {
  const MutexLock lock(mutex_);
  return is_cancelled();
}

void ConcurrentState::wait(Duration timeout) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  const TimePoint now(Duration(linux_kernel().monotonic_ns()));
  const TimePoint end = saturating_add(now, timeout);
  const std::int64_t end_ns = end.time_since_epoch().count();
  const timespec deadline = {.tv_sec = end_ns / kNsPerSecond,
                             .tv_nsec = end_ns % kNsPerSecond};
  const MutexLock lock(mutex_);
  while (!is_done()) {
    if (timeout <= Duration::zero()) throw TimeoutError();
    if (end == TimePoint::max()) {
      ::pthread_cond_wait(&ended_, mutex_.native());
    } else if (::pthread_cond_timedwait(&ended_, mutex_.native(), &deadline) ==
                   ETIMEDOUT &&
               !is_done()) {
      throw TimeoutError();
    }
  }
}

std::exception_ptr ConcurrentState::exception() const {
  const MutexLock lock(mutex_);
  if (is_cancelled()) throw CancelledError();
  return exception_;
}

void ConcurrentState::check_result() const {
  if (const std::exception_ptr error = exception()) {
    std::rethrow_exception(error);
  }
}

// -- callbacks ---------------------------------------------------------------

void ConcurrentState::add_callback(const StatePtr& state,
                                   DoneCallback callback) {
  {
    const MutexLock lock(state->mutex_);
    if (!state->is_done()) {
      state->callbacks_.push_back(std::move(callback));
      return;
    }
  }
  call(state, callback);
}

void ConcurrentState::call_all(const StatePtr& state,
                               std::vector<DoneCallback> callbacks) {
  for (DoneCallback& callback : callbacks) call(state, callback);
}

RONDO_CATCHES_FORCED_UNWIND void ConcurrentState::call(const StatePtr& state,
                                                       DoneCallback& callback) {
  try {
    callback(state);
  } catch (const abi::__forced_unwind&) {
    throw;  // pthread_exit(3): swallowing it aborts the program
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    log_safely([&] {
      log().error("exception calling callback for {}\n{}", state->description(),
                  rondo::describe(error));
    });
  }
}

// -- text --------------------------------------------------------------------

const char* ConcurrentState::describe(Status status) noexcept {
  switch (status) {
    case Status::kPending:
      return "pending";
    case Status::kRunning:
      return "running";
    case Status::kFinished:
      return "finished";
    default:
      return "cancelled";
  }
}

std::string ConcurrentState::description() const {
  Status status;
  std::exception_ptr error;
  {
    const MutexLock lock(mutex_);
    status = status_;
    error = exception_;
  }
  char address[24];
  std::snprintf(address, sizeof address, "%p", static_cast<const void*>(this));
  std::string text =
      std::string("<Future at ") + address + " state=" + describe(status);
  if (status == Status::kFinished) {
    text += error != nullptr
                ? " raised " + type_name(*error.__cxa_exception_type())
                : " returned " + result_type();
  }
  return text + ">";
}

}  // namespace rondo::detail
