// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

#include "test/support/allocation.h"
#include "test/support/one_pass.h"

namespace rondo::test {

/// Holds a Talk (begin(), loop, end(), expect_complete()) again and again, the
/// first, the second ... allocation of it failing, until it needs no more. How
/// many failed.
template <class Talk>
int talk_without_memory(FailingAllocations::Mode mode) {
  int failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    Talk talk;
    bool fired = false;
    {
      const FailingAllocations failing(nth, mode);
      try {
        talk.begin();
      } catch (const std::bad_alloc&) {
      }
      for (int pass = 0; pass < 100; ++pass) {
        try {
          run_one_pass(talk.loop);
        } catch (const std::bad_alloc&) {
          // The loop may be run again.
        }
      }
      fired = failing.fired();
    }
    talk.end();
    if (!fired) {
      talk.expect_complete();
      return failures;
    }
    ++failures;
    if (::testing::Test::HasFailure()) return failures;
  }
}

}  // namespace rondo::test
