// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace rondo {

/// A call that the loop cannot take in its present state, in asyncio's words:
/// "Event loop is closed", "This event loop is already running".
class RuntimeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by a callback to leave run_forever() at once. As in Python it is no
/// std::exception, so that `catch (const std::exception&)` lets it pass, and
/// it does not go to the loop's exception handler. Callbacks of the same pass
/// that did not run yet stay for the next run.
class SystemExit {
 public:
  /// `code` is the exit status that the program is to end with.
  explicit SystemExit(int code = 0) noexcept : code_(code) {}
  /// The exit status given.
  int code() const noexcept { return code_; }

 private:
  int code_;
};

/// As SystemExit, for a Ctrl-C that is to end the run.
class KeyboardInterrupt {
 public:
  KeyboardInterrupt() noexcept = default;
};

/// "Type: message" of what `error` holds, the last line of a Python
/// traceback: `std::runtime_error: no route`. Never throws what it holds.
std::string describe(const std::exception_ptr& error);

}  // namespace rondo
