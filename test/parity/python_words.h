// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "futures/errors.h"
#include "futures/exception_group.h"
#include "futures/future.h"
#include "futures/outcome.h"
#include "reactor/callable_name.h"
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

struct Error;

/// repr(): text in quotes, True and False, None, [1, 2], (1, 2), b'abc',
/// ValueError('bad').
template <class T>
std::string repr(const T& value);
inline std::string repr(const Bytes& bytes);
inline std::string repr(rondo::None);
inline std::string repr(const std::exception_ptr& error);
inline std::string repr(const Error& error);
template <class A, class B>
std::string repr(const std::pair<A, B>& pair);
template <class T>
std::string repr(const std::vector<T>& list);
/// What gather() gives: a list in Python.
template <class... T>
std::string repr(const std::tuple<T...>& list);
template <class T>
std::string repr(const rondo::Outcome<T>& outcome);

template <class T>
std::string repr(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return rondo::repr_whole_text(value);
  } else {
    return rondo::repr(value);
  }
}
inline std::string repr(const Bytes& bytes) {
  return "b" + rondo::repr_whole_text(bytes.data);
}
inline std::string repr(rondo::None) { return "None"; }
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
template <class... T>
std::string repr(const std::tuple<T...>& list) {
  std::string text;
  std::apply(
      [&](const T&... values) {
        ((text += (text.empty() ? "" : ", ") + repr(values)), ...);
      },
      list);
  return "[" + text + "]";
}
template <class T>
std::string repr(const rondo::Outcome<T>& outcome) {
  return outcome.has_value() ? repr(outcome.value())
                             : repr(outcome.exception());
}

template <class T>
inline constexpr bool kIsOutcome = false;
template <class T>
inline constexpr bool kIsOutcome<rondo::Outcome<T>> = true;

/// str(): text as it is, anything else by its own to_string() or as repr().
template <class T>
std::string str(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return std::string(std::string_view(value));
  } else if constexpr (rondo::detail::HasToString<T> && !kIsOutcome<T>) {
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
    [[maybe_unused]] const char* separator = "";
    ((line += separator + str(values), separator = " "), ...);
    line += end;
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
  }
  /// `print(..., end='; ')` is `print.ending("; ")(...)`.
  constexpr Print ending(const char* text) const { return Print{text}; }

  const char* end = "\n";
};
inline constexpr Print print;

/// '%.1f' % seconds.
inline std::string tenths(rondo::Duration duration) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f",
                std::chrono::duration<double>(duration).count());
  return text;
}

/// time.strftime(format): the time of day.
inline std::string strftime(const char* format) {
  const std::time_t now = std::time(nullptr);
  char text[40];
  const std::size_t size =
      std::strftime(text, sizeof text, format, std::localtime(&now));
  return std::string(text, size);
}

/// time.time().
inline double time() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// What a Numbered exception is besides.
struct HasNumber {
  virtual ~HasNumber() = default;
};
/// An exception whose argument is a number: `ValueError(1)`. Ours have a text.
template <class E>
struct Numbered : E, HasNumber {
  explicit Numbered(int number) : E(std::to_string(number)) {}
};

/// What Python calls our exception, and its text:
///
///   rondo::CancelledError                   CancelledError
///   rondo::InvalidStateError                InvalidStateError
///   rondo::TimeoutError                     TimeoutError
///   rondo::RuntimeError                     RuntimeError
///   rondo::ExceptionGroup                   ExceptionGroup
///   rondo::SystemExit                       SystemExit
///   rondo::KeyboardInterrupt                KeyboardInterrupt
///   std::out_of_range                       KeyError
///   std::invalid_argument "a callable
///     object was expected by ...", "...
///     invalid exception object"             TypeError
///   std::invalid_argument                   ValueError
///   std::length_error                       ValueError
///   std::system_error with EPERM or EACCES  PermissionError
///   with ENOENT                             FileNotFoundError
///   with EPIPE                              BrokenPipeError
///   with ECONNREFUSED, ECONNRESET           ConnectionRefusedError, ...
///   another std::system_error               OSError
///   std::runtime_error itself               OSError
///   anything else                           its own name
///
/// The text is what() unchanged, but for a KeyError, which Python shows as a
/// repr, and for a system_error: Python has the number and strerror() in it,
/// ours the operation and its subject besides.
struct Error {
  /// Of the exception that is being handled.
  Error() {
    try {
      throw;
    } catch (const rondo::CancelledError& error) {
      set("CancelledError", error.message().value_or(""));
      if (error.message()) shown = type + "(" + repr(text) + ")";
    } catch (const rondo::InvalidStateError& error) {
      set("InvalidStateError", error.what());
    } catch (const rondo::TimeoutError& error) {
      set("TimeoutError", error.what());
    } catch (const rondo::RuntimeError& error) {
      set("RuntimeError", error.what());
    } catch (const rondo::ExceptionGroup& error) {
      set("ExceptionGroup", error.what());
      shown = type + "(" + repr(error.message()) + ", " +
              repr(error.exceptions()) + ")";
    } catch (const rondo::SystemExit& error) {
      set("SystemExit", std::to_string(error.code()));
      shown = type + "(" + text + ")";
    } catch (const rondo::KeyboardInterrupt&) {
      set("KeyboardInterrupt", "");
    } catch (const std::out_of_range& error) {
      set("KeyError", error.what());
      if (text.empty()) return;
      if (dynamic_cast<const HasNumber*>(&error) == nullptr) text = repr(text);
      shown = type + "(" + text + ")";
    } catch (const std::invalid_argument& error) {
      const std::string_view what = error.what();
      const bool is_type = what.starts_with("a callable object was expected") ||
                           what.ends_with("invalid exception object");
      set(is_type ? "TypeError" : "ValueError", error.what());
      if (dynamic_cast<const HasNumber*>(&error))
        shown = type + "(" + text + ")";
    } catch (const std::length_error& error) {
      set("ValueError", error.what());
    } catch (const std::system_error& error) {
      set(name_of(error.code().value()),
          "[Errno " + std::to_string(error.code().value()) + "] " +
              error.code().message());
    } catch (const std::exception& error) {
      const bool is_plain = typeid(error) == typeid(std::runtime_error);
      set(is_plain ? "OSError" : rondo::type_name(typeid(error)), error.what());
    }
  }

  /// `RuntimeError`: type(e).__name__.
  std::string type;
  /// `Event loop is closed`: str(e).
  std::string text;
  /// `RuntimeError('Event loop is closed')`: repr(e).
  std::string shown;

 private:
  /// Python's name of an OSError.
  static const char* name_of(int error_number) {
    switch (error_number) {
      case EPERM:
      case EACCES:
        return "PermissionError";
      case ENOENT:
        return "FileNotFoundError";
      case EPIPE:
        return "BrokenPipeError";
      case ECONNREFUSED:
        return "ConnectionRefusedError";
      case ECONNRESET:
        return "ConnectionResetError";
      default:
        return "OSError";
    }
  }
  void set(std::string name, std::string says) {
    type = std::move(name);
    text = std::move(says);
    shown = type + "(" + (text.empty() ? "" : repr(text)) + ")";
  }
};
/// `RuntimeError: Event loop is closed`.
inline std::string to_string(const Error& error) {
  return error.type + ": " + error.text;
}
/// `ValueError('second')`.
inline std::string repr(const Error& error) { return error.shown; }
/// The same of a stored exception.
inline Error error_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    return {};
  }
}
inline std::string repr(const std::exception_ptr& error) {
  return error == nullptr ? "None" : repr(error_of(error));
}

/// A set of futures, for wait(): `{a, b}`.
template <class... Futures>
std::vector<rondo::AnyFuture> set(const Futures&... futures) {
  return {rondo::AnyFuture(futures)...};
}

/// e.args of a CancelledError: `()` or `('the message',)`.
inline std::string args(const rondo::CancelledError& error) {
  return error.message() ? "(" + repr(*error.message()) + ",)" : "()";
}

/// Runs a script as the interpreter does. An exception that leaves it is
/// printed to stderr, and the exit status is 1; a SystemExit has its own, and
/// a KeyboardInterrupt is death by SIGINT.
template <class Script>
int run_script(Script script) {
  try {
    script();
    return 0;
  } catch (const rondo::SystemExit& exit) {
    return exit.code();
  } catch (...) {
    const Error error;
    std::fprintf(stderr, "%s\n", to_string(error).c_str());
    if (error.type == "KeyboardInterrupt") {
      std::signal(SIGINT, SIG_DFL);
      std::raise(SIGINT);
    }
    return 1;
  }
}

}  // namespace python
