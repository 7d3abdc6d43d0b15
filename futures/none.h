// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <type_traits>

namespace rondo {

/// What stands for a Future<void>'s result where values are listed: Python's
/// None.
class None {
 public:
  None() noexcept = default;
  /// There is only one.
  friend bool operator==(None, None) noexcept { return true; }
  /// As Python's repr.
  friend std::string to_string(None) { return "None"; }
};

/// T, or None for void.
template <class T>
using ValueOrNone = std::conditional_t<std::is_void_v<T>, None, T>;

}  // namespace rondo
