// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "reactor/handle.h"

namespace rondo {

class EventLoop;

/// What an exception handler is told: asyncio's context dictionary.
struct ExceptionContext {
  ExceptionContext() = default;
  /// A context with a message alone.
  explicit ExceptionContext(std::string text) : message(std::move(text)) {}

  /// What happened: "Exception in callback f() at file.cc:9".
  std::string message;
  /// The exception, if there is one.
  std::exception_ptr exception;
  /// The callback that threw it, if one did.
  Handle handle;
  /// What else is known, as key and text: higher layers put the future, the
  /// task and the transport here.
  std::vector<std::pair<std::string, std::string>> extra;

  /// The names of what is present, sorted: {"exception", "handle",
  /// "message"}.
  std::vector<std::string> keys() const;
};

/// Called on the loop's thread. What it throws is logged and dropped, but for
/// SystemExit and KeyboardInterrupt, which leave run_forever().
using ExceptionHandler =
    UniqueFunction<void(EventLoop& loop, const ExceptionContext& context)>;

/// The text that the default exception handler logs: the message, then each
/// further key in order, the exception last.
std::string to_string(const ExceptionContext& context);

}  // namespace rondo
