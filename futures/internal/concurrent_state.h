// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <typeinfo>
#include <vector>

#include "reactor/callable_name.h"
#include "reactor/callback.h"
#include "reactor/clock.h"
#include "reactor/internal/mutex.h"

namespace rondo::detail {

/// What all ConcurrentFutures share, whatever they hold.
///
///   pending --set_running_or_notify_cancel--> running
///   pending, running --claim, finish--------> finished
///   pending --cancel------------------------> cancelled
///
/// Threading: any thread. mutex_ is never held while something of the user's
///   runs, a value's constructor included: who is about to store one claims
///   the future first.
class ConcurrentState {
 public:
  /// What is called at the end, with the state itself.
  using DoneCallback =
      UniqueFunction<void(const std::shared_ptr<ConcurrentState>&)>;
  using StatePtr = std::shared_ptr<ConcurrentState>;

  ConcurrentState();
  ConcurrentState(const ConcurrentState&) = delete;
  ConcurrentState& operator=(const ConcurrentState&) = delete;
  virtual ~ConcurrentState();

  bool done() const noexcept;
  bool running() const noexcept;
  bool cancelled() const noexcept;

  static bool cancel(const StatePtr& state);
  bool set_running_or_notify_cancel();
  /// From now on it can only be finished or given back; throws
  /// InvalidStateError if it is done, or claimed.
  void claim();
  /// The value could not be stored.
  void give_back() noexcept;
  /// After claim(): a value is in its place, or `error` is not null.
  static void finish(const StatePtr& state, std::exception_ptr error);

  /// Waits until it is done. Throws TimeoutError.
  void wait(Duration timeout);
  /// After wait(): throws CancelledError if it was cancelled.
  std::exception_ptr exception() const;
  /// After wait(): throws if there is no value.
  void check_result() const;

  static void add_callback(const StatePtr& state, DoneCallback callback);

  std::string description() const;

 protected:
  virtual std::string result_type() const = 0;

 private:
  enum class Status : std::uint8_t {
    kPending,
    kRunning,
    kCancelled,
    kCancelledAndNotified,
    kFinished
  };

  bool is_done() const noexcept { return status_ >= Status::kCancelled; }
  bool is_cancelled() const noexcept {
    return is_done() && status_ != Status::kFinished;
  }
  bool become_cancelled(std::vector<DoneCallback>& callbacks);
  const char* try_claim() noexcept;
  static const char* describe(Status status) noexcept;
  static void call_all(const StatePtr& state,
                       std::vector<DoneCallback> callbacks);
  static void call(const StatePtr& state, DoneCallback& callback);

  mutable Mutex mutex_;
  ::pthread_cond_t ended_;
  Status status_ = Status::kPending;
  bool claimed_ = false;
  std::exception_ptr exception_;
  std::vector<DoneCallback> callbacks_;
};

/// One that holds a T.
template <class T>
class ConcurrentValue final : public ConcurrentState {
 public:
  std::optional<T> value;

 private:
  std::string result_type() const override { return type_name(typeid(T)); }
};

template <>
class ConcurrentValue<void> final : public ConcurrentState {
  std::string result_type() const override { return "None"; }
};

}  // namespace rondo::detail
