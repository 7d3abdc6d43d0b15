// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "test/support/allocation.h"
#include "test/support/cancel_everywhere.h"

namespace rondo::test {

/// What tests of locks and queues share.
struct SyncWorld : World {
  void expect_sound() override {}

  /// Its to_string(), without the address.
  template <class Primitive>
  static std::string text(const Primitive& primitive) {
    std::string text = to_string(primitive);
    const std::size_t digits = text.find("0x") + 2;
    const std::size_t end = text.find_first_not_of("0123456789abcdef", digits);
    return text.replace(digits, end - digits, "*");
  }

  /// Fails the test if `round()`, done once before, allocates.
  template <class Round>
  static void expect_no_allocation(Round&& round) {
    round();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
    // Under a sanitizer no block is kept for the next time.
    EXPECT_EQ(allocations_of(round), 0u);
#endif
  }

  /// What the tasks did.
  std::string order;
};

}  // namespace rondo::test
