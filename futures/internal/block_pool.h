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
inline constexpr std::size_t kBlockBytesMax = 1024;

/// Throws std::bad_alloc.
void* allocate_block(std::size_t bytes);
/// `bytes` is what allocate_block() was told.
void free_block(void* block, std::size_t bytes) noexcept;

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
