// SPDX-License-Identifier: MIT
#pragma once

namespace rondo::detail {

/// Prints the condition and where it stands to stderr, then aborts.
[[noreturn]] void check_failed(const char* condition, const char* file,
                               int line) noexcept;

}  // namespace rondo::detail

/// Aborts unless `condition` holds, in release builds too. For invariants of
/// our own, where going on would corrupt. Never for what the kernel answers
/// or what a peer sends: those are reported to whoever asked.
#define RONDO_CHECK(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::rondo::detail::check_failed(#condition, __FILE__, __LINE__))
