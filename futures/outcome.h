// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "futures/errors.h"
#include "futures/internal/result_repr.h"
#include "futures/none.h"
#include "reactor/repr.h"

namespace rondo {

/// How a future ended: with a value, or with an exception (CancelledError
/// included). What gather() gives with return_exceptions.
template <class T>
class Outcome {
 public:
  /// A value.
  explicit Outcome(T value) : value_(std::move(value)) {}
  /// An exception; not null.
  explicit Outcome(std::exception_ptr error) : error_(std::move(error)) {}

  /// Whether it is a value.
  bool has_value() const noexcept { return value_.has_value(); }
  /// The value. Throws the exception if it is one.
  const T& value() const& {
    check();
    return *value_;
  }
  /// The value, moved out. Throws the exception if it is one.
  T value() && {
    check();
    return std::move(*value_);
  }
  /// The exception, or null if it is a value.
  std::exception_ptr exception() const noexcept { return error_; }

 private:
  void check() const {
    if (!has_value()) std::rethrow_exception(error_);
  }

  std::optional<T> value_;  // or else
  std::exception_ptr error_;
};

/// The value's or the exception's repr.
template <class T>
std::string to_string(const Outcome<T>& outcome) {
  return outcome.has_value() ? detail::repr_result(outcome.value())
                             : repr(outcome.exception());
}

}  // namespace rondo
