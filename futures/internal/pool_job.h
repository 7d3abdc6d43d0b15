// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "futures/archive.h"
#include "futures/future.h"
#include "futures/internal/worker_process.h"
#include "reactor/callable_name.h"

namespace rondo::detail {

class PoolState;

/// What a worker process runs for a job: reads the arguments, writes the
/// result. The address of a function, which is the same in each worker, as all
/// are copies of this process.
using ServeJob = void (*)(ReadArchive& in, WriteArchive& out);

/// A job of a ProcessPool on its way: queued, or with a worker. The pool holds
/// a reference to its future as long.
class PoolJob {
 public:
  PoolJob() = default;
  PoolJob(const PoolJob&) = delete;
  PoolJob& operator=(const PoolJob&) = delete;
  virtual ~PoolJob() = default;

  virtual FutureState& future() noexcept = 0;
  /// Ends the future with what the worker wrote. Throws if that is not a
  /// result; then nothing has changed.
  virtual void settle(ReadArchive& answer) = 0;
  /// Of the function, for messages.
  virtual std::string name() const = 0;

  /// The message to the worker.
  std::string request;
  /// The pool that has it, or null.
  PoolState* pool = nullptr;
  // The pool's queue.
  PoolJob* next = nullptr;
  PoolJob* previous = nullptr;
  bool queued = false;
};

/// The job's future was cancelled.
void on_job_cancelled(PoolJob& job) noexcept;

template <class R, class F>
class PoolFuture final : public WithValue<FutureState, R>, public PoolJob {
 public:
  PoolFuture(LoopState& home, const F& function)
      : WithValue<FutureState, R>(home), function_(function) {}

  bool cancel(const std::exception_ptr& error) override {
    if (!this->cancel_pending(error)) return false;
    this->add_reference();  // the pool's may be the last
    on_job_cancelled(*this);
    this->release();
    return true;
  }
  FutureState& future() noexcept override { return *this; }
  void settle(ReadArchive& answer) override {
    this->add_reference();
    const Future<R> future(*this);
    if constexpr (std::is_void_v<R>) {
      future.set_result();
    } else {
      future.set_result(answer.read<R>());
    }
  }
  std::string name() const override { return callable_name(function_); }

 private:
  const F function_;
};

// -- calls as bytes ----------------------------------------------------------

/// As what an argument travels: text as a string, all else as it is.
template <class T>
using Travelling =
    std::conditional_t<std::is_same_v<std::decay_t<T>, const char*> ||
                           std::is_same_v<std::decay_t<T>, char*> ||
                           std::is_same_v<std::decay_t<T>, std::string_view>,
                       std::string, std::decay_t<T>>;

template <class T>
decltype(auto) travelling(const T& argument) {
  if constexpr (std::is_same_v<Travelling<T>, T>) {
    return (argument);
  } else {
    return Travelling<T>(argument);
  }
}

/// A function, or a lambda without captures.
template <class F>
inline constexpr bool kIsStateless =
    (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>) ||
    (std::is_empty_v<F> && std::is_trivially_copyable_v<F>);

template <class F, class... Args>
using JobResult = std::remove_cvref_t<std::invoke_result_t<F&, Args...>>;

/// In the worker.
template <class F, class... Args>
void serve_job(ReadArchive& in, WriteArchive& out) {
  F function = in.read<F>();
  // Braces: read from left to right.
  std::tuple<Args...> arguments{in.read<Args>()...};
  const auto call = [&](Args&... values) -> decltype(auto) {
    return std::invoke(function, std::move(values)...);
  };
  if constexpr (std::is_void_v<JobResult<F, Args...>>) {
    std::apply(call, arguments);
  } else {
    const JobResult<F, Args...> result = std::apply(call, arguments);
    out(result);
  }
}

/// In the parent.
template <class F, class... Args>
std::string job_request(const F& function, const Args&... arguments) {
  WriteArchive out = begin_message();
  const ServeJob serve = serve_job<F, Args...>;
  out(serve, function, arguments...);
  return end_message(std::move(out));
}

}  // namespace rondo::detail
