// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/clock.h"
#include "reactor/errors.h"
#include "reactor/repr.h"

// What a twin needs to print as its Python original prints. It changes words,
// never behaviour: which exception is thrown and what it says is the
// library's.

namespace python {

/// A bytes object, for its repr: b'abc'.
struct Bytes {
  explicit Bytes(std::string value) : data(std::move(value)) {}
  std::string data;
};

/// repr(): text in quotes, True and False, [1, 2], (1, 2), b'abc'.
template <class T>
std::string repr(const T& value) {
  return rondo::repr(value);
}
inline std::string repr(const Bytes& bytes) {
  return "b" + rondo::repr_text(bytes.data);
}
template <class A, class B>
std::string repr(const std::pair<A, B>& pair) {
  return "(" + repr(pair.first) + ", " + repr(pair.second) + ")";
}
template <class T>
std::string repr(const std::vector<T>& list) {
  std::string text = "[";
  for (std::size_t i = 0; i < list.size(); ++i) {
    text += (i > 0 ? ", " : "") + repr(list[i]);
  }
  return text + "]";
}

/// str(): text as it is, anything else as repr() or as its own to_string().
template <class T>
std::string str(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return std::string(std::string_view(value));
  } else if constexpr (rondo::detail::HasToString<T>) {
    return to_string(value);
  } else {
    return repr(value);
  }
}

/// print() as an object, so that it can be handed to call_soon().
struct Print {
  template <class... Values>
  void operator()(const Values&... values) const {
    std::string line;
    ((line += (line.empty() ? "" : " ") + str(values)), ...);
    std::puts(line.c_str());
    std::fflush(stdout);
  }
};
inline constexpr Print print;

/// '%.1f' % seconds.
inline std::string tenths(rondo::Duration duration) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f",
                std::chrono::duration<double>(duration).count());
  return text;
}

/// What Python calls our exception, and its text:
///
///   rondo::RuntimeError                     RuntimeError
///   std::invalid_argument "a callable
///     object was expected by ..."           TypeError
///   std::invalid_argument                   ValueError
///   std::system_error with EPERM or EACCES  PermissionError
///   another std::system_error               OSError
///
/// The text is what() unchanged, but for a system_error: Python has the number
/// and strerror() in it, ours the operation and its subject besides.
struct Error {
  /// Of the exception that is being handled.
  Error() {
    try {
      throw;
    } catch (const rondo::RuntimeError& error) {
      *this = {"RuntimeError", error.what()};
    } catch (const std::invalid_argument& error) {
      const std::string_view what = error.what();
      const bool is_type = what.starts_with("a callable object was expected");
      *this = {is_type ? "TypeError" : "ValueError", std::string(what)};
    } catch (const std::system_error& error) {
      const bool refused = error.code() == std::errc::permission_denied ||
                           error.code() == std::errc::operation_not_permitted;
      *this = {refused ? "PermissionError" : "OSError",
               "[Errno " + std::to_string(error.code().value()) + "] " +
                   error.code().message()};
    }
  }
  Error(std::string python_type, std::string says)
      : type(std::move(python_type)), text(std::move(says)) {}

  std::string type;
  std::string text;
};
/// `RuntimeError: Event loop is closed`.
inline std::string to_string(const Error& error) {
  return error.type + ": " + error.text;
}
/// `ValueError('second')`.
inline std::string repr(const Error& error) {
  return error.type + "(" + rondo::repr_text(error.text) + ")";
}
/// The same of a stored exception.
inline Error error_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    return {};
  }
}

}  // namespace python
