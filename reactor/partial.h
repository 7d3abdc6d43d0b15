// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "reactor/callable_name.h"
#include "reactor/repr.h"

namespace rondo {

/// A function and the arguments that it will be called with, both readable as
/// data: that is what a lambda hides and a debugger wants to see.
///
/// Arguments are kept by value; std::ref keeps a reference. They are handed
/// on as lvalues, so the object can be called again.
template <class F, class... Args>
class BoundCall {
 public:
  /// Keeps a copy of each.
  template <class G, class... Values>
  explicit BoundCall(G&& function, std::tuple<Values...> arguments)
      : function_(std::forward<G>(function)),
        arguments_(std::move(arguments)) {}

  /// The function, as functools.partial's `func`.
  const F& func() const noexcept { return function_; }
  /// The arguments in order, as functools.partial's `args`.
  const std::tuple<Args...>& args() const noexcept { return arguments_; }
  /// Gives both away.
  std::pair<F, std::tuple<Args...>> take() && {
    return {std::move(function_), std::move(arguments_)};
  }

  /// Calls func() with args(), then `more`.
  template <class... More>
  decltype(auto) operator()(More&&... more) {
    return std::apply(
        [&](auto&... arguments) -> decltype(auto) {
          return std::invoke(function_, arguments...,
                             std::forward<More>(more)...);
        },
        arguments_);
  }

  /// `f(2, 'x')`.
  std::string description() const {
    std::string text;
    if constexpr (requires { function_.bound_description(); }) {
      text = function_.bound_description();  // f(2)(3): a call of a partial
    } else {
      text = callable_name(function_);
    }
    return text + arguments_description();
  }

  /// `(2, 'x')`, each argument by repr().
  std::string arguments_description() const {
    std::string text = "(";
    std::apply(
        [&](const auto&... arguments) {
          [[maybe_unused]] const char* separator = "";
          ((text += separator, text += repr(arguments), separator = ", "), ...);
        },
        arguments_);
    return text + ")";
  }

 private:
  F function_;
  std::tuple<Args...> arguments_;
};

/// A BoundCall that prints itself as asyncio prints a functools.partial that
/// is called without further arguments: `f(2)()`.
template <class F, class... Args>
class Partial : public BoundCall<F, Args...> {
 public:
  using BoundCall<F, Args...>::BoundCall;
  /// `f(2)`.
  std::string bound_description() const {
    return BoundCall<F, Args...>::description();
  }
  /// `f(2)()`.
  std::string description() const { return bound_description() + "()"; }
};

/// functools.partial: `f` with its first arguments given. A partial of a
/// partial is one with both their arguments, as in Python.
template <class F, class... Args>
auto partial(F&& f, Args&&... args) {
  return Partial<std::decay_t<F>, std::decay_t<Args>...>(
      std::forward<F>(f),
      std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...));
}

/// See the other partial().
template <class F, class... Inner, class... Args>
auto partial(Partial<F, Inner...> inner, Args&&... args) {
  auto [function, first] = std::move(inner).take();
  return Partial<F, Inner..., std::decay_t<Args>...>(
      std::move(function),
      std::tuple_cat(std::move(first), std::tuple<std::decay_t<Args>...>(
                                           std::forward<Args>(args)...)));
}

/// A call to be made later: `call_soon(call(f, 2))` is asyncio's
/// `call_soon(f, 2)` and prints as such: `<Handle f(2) at file.cc:8>`.
template <class F, class... Args>
auto call(F&& f, Args&&... args) {
  return BoundCall<std::decay_t<F>, std::decay_t<Args>...>(
      std::forward<F>(f),
      std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...));
}

}  // namespace rondo
