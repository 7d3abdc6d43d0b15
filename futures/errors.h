// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "reactor/errors.h"

namespace rondo {

/// A Future or a Task was cancelled: what awaiting it throws, and what is
/// thrown inside a task to cancel it.
///
/// As in Python it is no std::exception, so that `catch (const
/// std::exception&)` lets it pass. Who catches it takes a decision: asyncio's
/// advice is to clean up and to throw it on.
class CancelledError final {
 public:
  /// As cancel() without a message.
  CancelledError() noexcept = default;
  /// As cancel(message).
  explicit CancelledError(std::string message) : message_(std::move(message)) {}
  /// What cancel() was given, if anything. Python's args.
  const std::optional<std::string>& message() const noexcept {
    return message_;
  }

 private:
  std::optional<std::string> message_;
};

/// A Future in the wrong state for the call: "Result is not set.".
class InvalidStateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The time given was not enough.
class TimeoutError : public std::runtime_error {
 public:
  /// Without a text, as asyncio throws it.
  TimeoutError() : std::runtime_error("") {}
  using std::runtime_error::runtime_error;
};

/// Whether `error` holds a CancelledError. Throws nothing, allocates nothing.
bool is_cancelled_error(const std::exception_ptr& error) noexcept;

/// Whether `error` holds a SystemExit or a KeyboardInterrupt, which end the
/// run of a loop.
bool is_exit_error(const std::exception_ptr& error) noexcept;

/// Python's repr of an exception: `ValueError('bad')` there,
/// `std::invalid_argument('bad')` here. Never throws what it holds.
std::string repr(const std::exception_ptr& error);

}  // namespace rondo
