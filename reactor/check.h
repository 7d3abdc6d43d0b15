// SPDX-License-Identifier: MIT
#pragma once

namespace rondo::detail {

/// Prints the condition and where it stands to stderr, then aborts.
[[noreturn]] void check_failed(const char* condition, const char* file,
                               int line) noexcept;

}  // namespace rondo::detail

/// For functions that catch abi::__forced_unwind, the way of pthread_exit(3)
/// and pthread_cancel(3): there is no object behind that reference, which a
/// sanitizer takes for a null pointer.
/// Not inline either, as the caller is sanitized. (The build of ours that has
/// this check has the address sanitizer too.)
#if defined(__SANITIZE_ADDRESS__)
#define RONDO_CATCHES_FORCED_UNWIND [[gnu::noinline, gnu::no_sanitize("null")]]
#else
/// See above.
#define RONDO_CATCHES_FORCED_UNWIND
#endif

/// Aborts unless `condition` holds, in release builds too. For invariants of
/// our own, where going on would corrupt. Never for what the kernel answers
/// or what a peer sends: those are reported to whoever asked.
#define RONDO_CHECK(condition)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::rondo::detail::check_failed(#condition, __FILE__, __LINE__))
