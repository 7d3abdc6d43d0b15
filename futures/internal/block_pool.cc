// SPDX-License-Identifier: MIT
#include "futures/internal/block_pool.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RONDO_KEEP_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RONDO_KEEP_BLOCKS 0
#endif
#endif
#ifndef RONDO_KEEP_BLOCKS
#define RONDO_KEEP_BLOCKS 1
#endif

namespace rondo::detail {

constinit thread_local BlockStore block_store{};

namespace {

using Phase = BlockStore::Phase;

/// Gives the memory back when the thread ends.
struct Keeper {
  Keeper() noexcept { block_store.phase = Phase::kOpen; }
  ~Keeper() {
    block_store.phase = Phase::kClosed;  // later blocks are not kept
    for (BlockStore::Block*& list : block_store.free) {
      while (list != nullptr) {
        BlockStore::Block* block = list;
        list = block->next;
        ::operator delete(block);
      }
    }
  }
};

}  // namespace

void* allocate_new_block(std::size_t bytes) {
  if (RONDO_KEEP_BLOCKS && bytes <= kBlockBytesMax) {
    bytes = BlockStore::bytes_of(BlockStore::class_of(bytes));
  }
  return ::operator new(bytes);
}

void free_block_slowly(void* block, std::size_t bytes) noexcept {
  if constexpr (RONDO_KEEP_BLOCKS) {
    if (block_store.phase == Phase::kNew) {
      thread_local const Keeper keeper;
      static_cast<void>(keeper);
      // Not with a block that is too large: that would come here again.
      if (bytes <= kBlockBytesMax) return free_block(block, bytes);
    }
  }
  ::operator delete(block);
}

}  // namespace rondo::detail
