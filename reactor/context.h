// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "reactor/callback.h"

namespace rondo {

namespace detail {

/// Values by the number of their ContextVar. Never changed once made, so that
/// copying a context is copying a pointer.
class ContextMap;
using ContextMapPtr = std::shared_ptr<const ContextMap>;
using ContextValue = std::shared_ptr<const void>;

/// How many ContextVars there are: while there is none nobody looks further.
inline constinit std::atomic<std::size_t> context_variables{0};
inline bool contexts_in_use() noexcept {
  return context_variables.load(std::memory_order_relaxed) != 0;
}

/// One ContextVar's number, and its count among them.
class ContextNumber {
 public:
  ContextNumber() noexcept;
  ContextNumber(const ContextNumber&) = delete;
  ContextNumber& operator=(const ContextNumber&) = delete;
  ~ContextNumber() {
    context_variables.fetch_sub(1, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_;
};

ContextValue get_context_value(std::uint64_t variable);
/// Returns what it was before.
ContextValue set_context_value(std::uint64_t variable, ContextValue value);
/// What this thread sees now becomes `map`; returns what it was.
ContextMapPtr exchange_context(ContextMapPtr map) noexcept;
const ContextMapPtr& current_context() noexcept;
/// Makes `callback` run in the context that is current now. One allocation.
void bind_to_context(Callback& callback);
/// The callback inside one that was bound, or itself.
Callback& unbound(Callback& callback) noexcept;

/// While it lives, `map` is this thread's context; what changed in it is then
/// in `map`.
class InContext {
 public:
  explicit InContext(ContextMapPtr& map) noexcept
      : map_(map), outer_(exchange_context(std::move(map))) {}
  InContext(const InContext&) = delete;
  InContext& operator=(const InContext&) = delete;
  ~InContext() { map_ = exchange_context(std::move(outer_)); }

 private:
  ContextMapPtr& map_;
  ContextMapPtr outer_;
};

}  // namespace detail

/// The values of all context variables at one moment. Cheap to copy.
///
/// Source: contextvars.Context (PEP 567).
class Context {
 public:
  /// Without any value.
  Context() noexcept = default;

  /// Calls `function` with these values; what it changes stays in this one.
  template <class F>
  decltype(auto) run(F&& function) {
    const detail::InContext scope(map_);
    return std::forward<F>(function)();
  }

  /// The values that this thread sees now.
  friend Context copy_context() noexcept {
    Context context;
    context.map_ = detail::current_context();
    return context;
  }
  /// For the library.
  detail::ContextMapPtr& map() noexcept { return map_; }

 private:
  detail::ContextMapPtr map_;
};

/// The values that this thread sees now. contextvars.copy_context().
Context copy_context() noexcept;

/// A variable with a value of its own in each task: a request's number, a
/// trace.
///
/// A task begins with a copy of the values that its maker saw; what it sets is
/// seen by itself and by what it awaits and makes. A callback runs with the
/// values of the moment it was registered. Make it before the loop runs, as a
/// global. Costs nothing in a program that has none; else one allocation for
/// each set() and each callback.
///
/// Threading: any; each thread has its own values.
/// Source: contextvars.ContextVar (PEP 567).
template <class T>
class ContextVar {
 public:
  /// What set() gives, for reset().
  class Token {
   private:
    friend ContextVar;
    explicit Token(detail::ContextValue old) noexcept : old_(std::move(old)) {}
    detail::ContextValue old_;
    bool used_ = false;
  };

  /// Without a default: get() may throw.
  explicit ContextVar(std::string name) : name_(std::move(name)) {}
  /// With one.
  ContextVar(std::string name, T value)
      : name_(std::move(name)), default_(std::move(value)) {}
  ContextVar(const ContextVar&) = delete;
  ContextVar& operator=(const ContextVar&) = delete;

  /// What it was made with.
  const std::string& name() const noexcept { return name_; }

  /// The value here and now, or the default. Throws std::out_of_range if there
  /// is neither (Python's LookupError).
  T get() const {
    if (const auto value = detail::get_context_value(number_.value())) {
      return *static_cast<const T*>(value.get());
    }
    if (!default_) {
      throw std::out_of_range("ContextVar '" + name_ + "' has no value");
    }
    return *default_;
  }
  /// The value here and now, or `otherwise`, whatever the default.
  T get(T otherwise) const {
    if (const auto value = detail::get_context_value(number_.value())) {
      return *static_cast<const T*>(value.get());
    }
    return otherwise;
  }
  /// Sets it for this task, or this callback, and what it makes from now on.
  Token set(T value) {
    return Token(detail::set_context_value(
        number_.value(), std::make_shared<const T>(std::move(value))));
  }
  /// Puts back what was there before that set(). Throws std::runtime_error the
  /// second time.
  void reset(Token& token) {
    if (token.used_) {
      throw std::runtime_error("ContextVar '" + name_ +
                               "': Token has already been used once");
    }
    token.used_ = true;
    detail::set_context_value(number_.value(), std::move(token.old_));
  }

 private:
  const std::string name_;
  const detail::ContextNumber number_;
  const std::optional<T> default_;
};

}  // namespace rondo
