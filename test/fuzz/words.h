// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/future.h"
#include "futures/outcome.h"

// The words of a trace.

namespace rondo::fuzz {

/// What an operation gave, in words; none for Python's None.
using Text = std::optional<std::string>;

/// What the futures of a program hold.
class Value {
 public:
  Value() = default;
  explicit Value(Text words) : text(std::move(words)) {}

  friend bool operator<(const Value& a, const Value& b) {
    return a.text < b.text;
  }

  Text text;
};

/// Python's ValueError, as `raise` and `fail` raise it.
class ValueError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string show(bool value);
std::string show(const Value& value);
/// `ValueError('x')`, `CancelledError`, `ExceptionGroup[ValueError('x')]`.
std::string show(const std::exception_ptr& error);

template <class T>
std::string show(const Outcome<T>& outcome) {
  return outcome.has_value() ? show(outcome.value())
                             : show(outcome.exception());
}

template <class T>
std::string show(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) {
    if (text.size() > 1) text += ", ";
    text += show(value);
  }
  return text + "]";
}

/// `pending`, `result 1`, `exception ValueError('x')`, `cancelled ...`.
template <class T>
std::string state_of(const Future<T>& future) {
  if (!future.done()) return "pending";
  std::exception_ptr error;
  try {
    error = future.exception();
  } catch (const CancelledError&) {
    return "cancelled " + show(std::current_exception());
  }
  if (error != nullptr) return "exception " + show(error);
  return "result " + show(future.result());
}

}  // namespace rondo::fuzz
