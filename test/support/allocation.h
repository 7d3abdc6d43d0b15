// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

// Counts what the program asks of operator new, and makes it fail on demand.
// Linking allocation.cc replaces the global operators of the whole binary,
// shared libraries included; under a sanitizer they still end in its malloc.
//
// All of it is per thread: a test sees its own allocations and no others'.

namespace rondo::test {

/// clang's thread sanitizer brings operators of its own, which cannot be
/// replaced: there every malloc(3) counts, and none can be made to fail.
#if defined(__clang__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_TEST_OPERATOR_NEW_IS_TAKEN 1
#endif
#endif

/// How often this thread has called operator new, failed calls counted.
std::uint64_t allocations() noexcept;

/// Blocks that this thread has allocated, less those that it has freed. A
/// thread that frees what another one made may be below zero.
std::int64_t live_blocks() noexcept;

/// The largest block that this thread has asked for since it last called
/// forget_largest_block().
std::size_t largest_block() noexcept;
void forget_largest_block() noexcept;

/// How often `operation()` calls operator new on this thread.
template <class Operation>
std::uint64_t allocations_of(Operation&& operation) {
  const std::uint64_t before = allocations();
  operation();
  return allocations() - before;
}

/// While it lives, allocations of this thread fail with std::bad_alloc: the
/// n-th from now, counted from 1, and, if so asked, all after it. At most one
/// of them at a time in a thread.
class FailingAllocations {
 public:
  enum class Mode { kOnce, kFromThenOn };

  FailingAllocations(std::uint64_t nth, Mode mode) noexcept;
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;
  ~FailingAllocations();

  /// Whether any has failed yet.
  bool fired() const noexcept;
};

}  // namespace rondo::test
