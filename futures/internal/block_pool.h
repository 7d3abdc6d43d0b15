// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <new>

namespace rondo::detail {

/// Memory for futures, tasks and coroutine frames, which come and go by the
/// thousand: a block that is freed is kept for the next of its size, so a
/// program in steady state allocates nothing.
///
/// One store per thread, given back when the thread ends; a block may be freed
/// on another thread than it was taken on. Blocks of more than kBlockBytesMax
/// are operator new's. Under a sanitizer nothing is kept, so that a use after
/// free is found.
inline constexpr std::size_t kBlockBytesMax = 1016;

/// What this thread keeps, by size. No constructor and no destructor, so that
/// each access is one instruction.
struct BlockStore {
  struct Block {
    Block* next;
  };
  enum class Phase : unsigned char { kNew, kOpen, kClosed };

  /// The sizes are 24, 40, 56...: what malloc's chunks of 32, 48, 64... have
  /// room for.
  static constexpr std::size_t kClasses = kBlockBytesMax / 16;
  static constexpr std::size_t class_of(std::size_t bytes) {
    return bytes <= 24 ? 0 : (bytes - 24 + 15) / 16;
  }
  static constexpr std::size_t bytes_of(std::size_t size_class) {
    return 24 + 16 * size_class;
  }

  Block* free[kClasses];
  Phase phase;
};
static_assert(BlockStore::class_of(kBlockBytesMax) + 1 == BlockStore::kClasses);
static_assert(BlockStore::bytes_of(BlockStore::class_of(41)) == 56);

extern constinit thread_local BlockStore block_store;

void* allocate_new_block(std::size_t bytes);
void free_block_slowly(void* block, std::size_t bytes) noexcept;

/// Throws std::bad_alloc.
inline void* allocate_block(std::size_t bytes) {
  if (bytes <= kBlockBytesMax) {
    BlockStore::Block*& list = block_store.free[BlockStore::class_of(bytes)];
    if (BlockStore::Block* const block = list) [[likely]] {
      list = block->next;
      return block;
    }
  }
  return allocate_new_block(bytes);
}

/// `bytes` is what allocate_block() was told.
inline void free_block(void* block, std::size_t bytes) noexcept {
  if (bytes <= kBlockBytesMax && block_store.phase == BlockStore::Phase::kOpen)
      [[likely]] {
    BlockStore::Block*& list = block_store.free[BlockStore::class_of(bytes)];
    list = ::new (block) BlockStore::Block{list};
    return;
  }
  free_block_slowly(block, bytes);
}

/// Puts a class's objects there.
struct InBlockPool {
  static void* operator new(std::size_t bytes) { return allocate_block(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    free_block(block, bytes);
  }
  // A value that asks for more than malloc's alignment has it from elsewhere.
  static void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return ::operator new(bytes, alignment);
  }
  static void operator delete(void* block, std::size_t bytes,
                              std::align_val_t alignment) noexcept {
    ::operator delete(block, bytes, alignment);
  }
};

}  // namespace rondo::detail
