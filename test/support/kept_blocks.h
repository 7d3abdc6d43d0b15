// SPDX-License-Identifier: MIT
#pragma once

#include "futures/internal/block_pool.h"
#include "test/support/allocation.h"

namespace rondo::test {

/// "Under a sanitizer nothing is kept, so that a use after free is found":
/// whether blocks of tasks and their like are kept for the next.
inline bool keeps_blocks() {
  detail::free_block(detail::allocate_block(64), 64);
  return allocations_of(
             [] { detail::free_block(detail::allocate_block(64), 64); }) == 0;
}

}  // namespace rondo::test
