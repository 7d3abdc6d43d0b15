// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace rondo::test {

/// Whether an address or thread sanitizer is at work.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kIsSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kIsSanitized = false;
#endif

/// The part of a long test that is to be run: RONDO_TEST_SCALE, where 1 is
/// all of it. By default 1; less under a sanitizer, which slows each step
/// down by as much.
inline double scale() {
  if (const char* text = std::getenv("RONDO_TEST_SCALE")) {
    return std::strtod(text, nullptr);
  }
  return kIsSanitized ? 0.05 : 1;
}

/// `full` times scale(), at least 1.
inline std::size_t scaled(std::size_t full) {
  return std::max<std::size_t>(
      1, static_cast<std::size_t>(static_cast<double>(full) * scale()));
}

}  // namespace rondo::test
