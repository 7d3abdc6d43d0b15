// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <string>
#include <vector>

namespace rondo {

/// Several exceptions at once: what a TaskGroup throws when tasks of it
/// failed, and race() when nobody won.
///
/// Source: ExceptionGroup of PEP 654.
class ExceptionGroup : public std::exception {
 public:
  /// Throws std::invalid_argument if `exceptions` is empty or holds a null.
  ExceptionGroup(std::string message,
                 std::vector<std::exception_ptr> exceptions);

  /// `unhandled errors in a TaskGroup (2 sub-exceptions)`, as Python's str().
  const char* what() const noexcept override { return what_.c_str(); }
  /// The text given.
  const std::string& message() const noexcept { return message_; }
  /// In the order in which they happened.
  const std::vector<std::exception_ptr>& exceptions() const noexcept {
    return exceptions_;
  }

 private:
  std::string message_;
  std::vector<std::exception_ptr> exceptions_;
  std::string what_;
};

/// As Python's repr: `ExceptionGroup('unhandled errors in a TaskGroup',
/// [ValueError('boom')])`.
std::string to_string(const ExceptionGroup& group);

}  // namespace rondo
