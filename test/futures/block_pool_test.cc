// SPDX-License-Identifier: MIT
#include "futures/internal/block_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "test/support/allocation.h"
#include "test/support/kept_blocks.h"

namespace rondo::detail {
namespace {

using test::allocations_of;
using test::keeps_blocks;
using test::live_blocks;

// "a block that is freed is kept for the next of its size"
TEST(BlockPool, GivesABlockAgainThatWasFreed) {
  if (!keeps_blocks()) GTEST_SKIP() << "under a sanitizer nothing is kept";
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{24}, std::size_t{25}, kBlockBytesMax}) {
    void* const block = allocate_block(bytes);
    free_block(block, bytes);
    EXPECT_EQ(allocations_of([&] {
                void* const again = allocate_block(bytes);
                EXPECT_EQ(again, block);
                free_block(again, bytes);
              }),
              0u);
  }
}

TEST(BlockPool, SharesABlockAmongSizesOfOneClass) {
  if (!keeps_blocks()) GTEST_SKIP() << "under a sanitizer nothing is kept";
  void* const block = allocate_block(41);
  free_block(block, 41);
  void* const larger = allocate_block(56);
  EXPECT_EQ(larger, block);
  std::memset(larger, 0xff, 56);  // there is room for all of it
  free_block(larger, 56);
}

TEST(BlockPool, IsAlignedForAnything) {
  std::vector<void*> blocks;
  for (std::size_t bytes = 1; bytes <= kBlockBytesMax + 64; bytes += 7) {
    void* const block = allocate_block(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) %
                  __STDCPP_DEFAULT_NEW_ALIGNMENT__,
              0u);
    std::memset(block, 0xff, bytes);
    blocks.push_back(block);
  }
  std::size_t bytes = 1;
  for (void* block : blocks) {
    free_block(block, bytes);
    bytes += 7;
  }
}

// "Blocks of more than kBlockBytesMax are operator new's."
TEST(BlockPool, KeepsNoLargeBlocks) {
  const std::int64_t before = live_blocks();
  void* const block = allocate_block(kBlockBytesMax + 1);
  EXPECT_EQ(live_blocks(), before + 1);
  free_block(block, kBlockBytesMax + 1);
  EXPECT_EQ(live_blocks(), before);
}

// "One store per thread, given back when the thread ends; a block may be freed
// on another thread than it was taken on."
TEST(BlockPool, GivesItsBlocksBackWhenTheThreadEnds) {
  std::int64_t live = -1;
  std::thread([&] {
    // Out of the store's own end: what this thread frees last is not kept.
    struct Late {
      ~Late() {
        free_block(block, 64);
        if (*said == -1) *said = 0;
      }
      void* block = nullptr;
      std::int64_t* said = nullptr;
    };
    static thread_local Late late;  // destroyed after the store
    late.block = allocate_block(64);
    late.said = &live;
    std::vector<void*> blocks;
    for (int i = 0; i < 100; ++i) blocks.push_back(allocate_block(48));
    for (void* block : blocks) free_block(block, 48);
  }).join();
  EXPECT_EQ(live, 0);
}

TEST(BlockPool, TakesABlockOfAnotherThread) {
  void* block = nullptr;
  std::thread([&] { block = allocate_block(64); }).join();
  free_block(block, 64);
  void* const mine = allocate_block(64);
  std::thread([&] { free_block(mine, 64); }).join();
}

// "Throws std::bad_alloc."
TEST(BlockPool, ThrowsIfThereIsNoMemory) {
#ifndef RONDO_TEST_OPERATOR_NEW_IS_TAKEN
  std::vector<void*> blocks;
  blocks.reserve(10'000);
  {
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kFromThenOn);
    EXPECT_THROW(allocate_block(kBlockBytesMax + 1), std::bad_alloc);
    // What is in the store is given; then nothing is left.
    EXPECT_THROW(
        while (blocks.size() < blocks.capacity()) {
          blocks.push_back(allocate_block(kBlockBytesMax));
        },
        std::bad_alloc);
  }
  for (void* block : blocks) free_block(block, kBlockBytesMax);
#endif
}

}  // namespace
}  // namespace rondo::detail
