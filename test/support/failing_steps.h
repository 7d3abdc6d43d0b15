// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <string>

#include "test/support/allocation.h"

namespace rondo::test {

/// What an operation does when an allocation in it fails.
enum class WithoutMemory {
  kThrows,   // std::bad_alloc, and nothing has changed
  kDegrades  // it succeeds all the same, in a documented way
};

/// Runs `operation` in a fresh Scene again and again, and fails its first,
/// second, third... allocation, each once and from then on, until none is
/// left to fail. A Scene has
///
///   std::string state()   what a failure must not change
///   void expect_works()   fails the test unless all goes on as if nothing
///                         had happened
///
/// and takes everything that was allocated with it when it goes. Returns how
/// many failures there were.
template <class Scene, class Operation>
int fail_each_allocation(WithoutMemory without_memory, Operation operation) {
  using Mode = FailingAllocations::Mode;
  const auto attempt = [&](std::uint64_t nth, Mode mode) {
    Scene scene;
    const std::string before = scene.state();
    bool fired = false;
    bool threw = false;
    {
      const FailingAllocations failing(nth, mode);
      try {
        operation(scene);
      } catch (const std::bad_alloc&) {
        threw = true;
      }
      fired = failing.fired();
    }
    if (threw) {
      EXPECT_EQ(scene.state(), before);
    }
    EXPECT_EQ(threw, fired && without_memory == WithoutMemory::kThrows);
    scene.expect_works();
    return fired;
  };
  attempt(UINT64_MAX, Mode::kOnce);  // fills what is kept for good
  int failures = 0;
  for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
    bool fired = true;
    for (std::uint64_t nth = 1; fired; ++nth) {
      SCOPED_TRACE("allocation " + std::to_string(nth) +
                   (mode == Mode::kOnce ? ", once" : ", from then on"));
      const std::int64_t live_before = live_blocks();
      fired = attempt(nth, mode);
      EXPECT_EQ(live_blocks(), live_before) << "leaked";
      if (fired) ++failures;
      if (::testing::Test::HasFailure()) return failures;
    }
  }
  return failures;
}

}  // namespace rondo::test
