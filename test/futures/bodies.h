// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/errors.h"
#include "futures/task.h"
#include "reactor/errors.h"

// Hand-written task bodies for tests of what needs no coroutine.

namespace rondo::test {

using Lines = std::vector<std::string>;

/// A TaskBody out of a function that is stepped: `Step f(Resumption&)`.
template <class F>
class FunctionBody {
 public:
  using value_type = void;
  explicit FunctionBody(F function) : function_(std::move(function)) {}
  Step step(Resumption& resumption) { return function_(resumption); }
  void result() const noexcept {}
  static constexpr const char* kName = "body";

 private:
  F function_;
};

/// See FunctionBody.
template <class F>
FunctionBody<F> body(F function) {
  return FunctionBody<F>(std::move(function));
}

/// Ends in its first step, with `value`.
template <class T>
class Returns {
 public:
  using value_type = T;
  explicit Returns(T value) : value_(std::move(value)) {}
  Step step(Resumption& resumption) {
    resumption.check();
    return Step::done();
  }
  T result() { return std::move(value_); }
  static constexpr const char* kName = "returns";

 private:
  T value_;
};

/// Throws `E(text)` in its first step.
template <class E>
class Throws {
 public:
  using value_type = void;
  explicit Throws(std::string text) : text_(std::move(text)) {}
  Step step(Resumption& resumption) {
    resumption.check();
    throw E(text_);
  }
  void result() const noexcept {}
  static constexpr const char* kName = "throws";

 private:
  std::string text_;
};

/// What became of a wait: "done", or the exception's repr.
inline std::string end_of(const std::exception_ptr& error) {
  return error == nullptr ? "done" : repr(error);
}

/// What a future ended with, as text: its result is not looked at.
inline std::string end_of(const AnyFuture& future) {
  if (!future.done()) return "pending";
  return future.cancelled() ? repr(future.state()->failure())
                            : end_of(future.exception());
}

/// Waits for what never comes.
inline Step wait_for_ever(Resumption& resumption) {
  // A Step does not own what it names; the task does as soon as it has it.
  static thread_local AnyFuture kept;
  kept = Future<void>(resumption.loop());
  return Step::wait(kept);
}

/// Waits for `future` once, notes "name: how it ended", and ends likewise;
/// or, if told so, ends well whatever comes.
class Awaits {
 public:
  using value_type = void;
  Awaits(AnyFuture future, Lines& log, std::string name, bool swallows = false)
      : future_(std::move(future)),
        log_(&log),
        name_(std::move(name)),
        swallows_(swallows) {}
  Step step(Resumption& resumption) {
    if (!begun_) {
      resumption.check();
      begun_ = true;
      return Step::wait(future_);
    }
    const std::exception_ptr error = resumption.take_error();
    log_->push_back(name_ + ": " + end_of(error));
    if (!swallows_ && error != nullptr) std::rethrow_exception(error);
    return Step::done();
  }
  void result() const noexcept {}
  static constexpr const char* kName = "awaits";

 private:
  AnyFuture future_;
  Lines* log_;
  std::string name_;
  bool swallows_;
  bool begun_ = false;
};

/// `async with manager: block` without coroutines: enters in the first step,
/// steps `block` (a TaskBody of no result) until it ends, and leaves with what
/// it threw.
/// Manager is a Timeout or a TaskGroup.
template <class Manager, class Block>
class With {
 public:
  using value_type = void;
  With(Manager& manager, Block block)
      : manager_(&manager), block_(std::move(block)) {}

  Step step(Resumption& resumption) {
    if (!left_) {
      std::exception_ptr error;
      try {
        if (!entered_) {
          resumption.check();
          manager_->enter();
          entered_ = true;
        }
        const Step step = block_.step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
      } catch (...) {
        if (!entered_) throw;
        error = std::current_exception();
      }
      left_ = true;
      if constexpr (kIsOperation) {
        exit_.emplace(manager_->exit(std::move(error)));
      } else {
        error = manager_->exit(std::move(error));
        if (error != nullptr) std::rethrow_exception(error);
      }
    }
    if constexpr (kIsOperation) {
      return exit_->step(resumption);
    } else {
      return Step::done();
    }
  }
  void result() const noexcept {}
  static constexpr const char* kName = "with";

 private:
  using Exit = decltype(std::declval<Manager&>().exit(std::exception_ptr()));
  static constexpr bool kIsOperation =
      !std::is_same_v<Exit, std::exception_ptr>;

  Manager* manager_;
  Block block_;
  bool entered_ = false;
  bool left_ = false;
  std::optional<Exit> exit_;
};

/// What `operation()` throws, as its repr; "nothing" if it returns.
template <class Operation>
std::string thrown_by(Operation&& operation) {
  try {
    operation();
  } catch (...) {
    return repr(std::current_exception());
  }
  return "nothing";
}

}  // namespace rondo::test
