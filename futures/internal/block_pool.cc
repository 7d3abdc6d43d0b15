// SPDX-License-Identifier: MIT
#include "futures/internal/block_pool.h"

#include <new>

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

namespace {

constexpr std::size_t kGranule = 16;
constexpr std::size_t kClasses = kBlockBytesMax / kGranule;

struct FreeBlock {
  FreeBlock* next;
};

enum class Phase : unsigned char { kNew, kOpen, kClosed };

// No constructor and no destructor, so that each access is one instruction;
// Keeper is what gives the memory back.
struct Store {
  FreeBlock* free[kClasses];
  Phase phase;
};
constinit thread_local Store store{};

struct Keeper {
  Keeper() noexcept { store.phase = Phase::kOpen; }
  ~Keeper() {
    store.phase = Phase::kClosed;  // later blocks of this thread are not kept
    for (FreeBlock*& list : store.free) {
      while (list != nullptr) {
        FreeBlock* block = list;
        list = block->next;
        ::operator delete(block);
      }
    }
  }
};

[[maybe_unused]] bool open_store() noexcept {
  if (store.phase == Phase::kNew) {
    thread_local const Keeper keeper;
    static_cast<void>(keeper);
  }
  return store.phase == Phase::kOpen;
}

constexpr std::size_t class_of(std::size_t bytes) {
  return (bytes + kGranule - 1) / kGranule - 1;
}

}  // namespace

void* allocate_block(std::size_t bytes) {
  if constexpr (RONDO_KEEP_BLOCKS) {
    if (bytes <= kBlockBytesMax && bytes > 0) [[likely]] {
      FreeBlock*& list = store.free[class_of(bytes)];
      if (FreeBlock* block = list) [[likely]] {
        list = block->next;
        return block;
      }
      return ::operator new((class_of(bytes) + 1) * kGranule);
    }
  }
  return ::operator new(bytes);
}

void free_block(void* block, std::size_t bytes) noexcept {
  if constexpr (RONDO_KEEP_BLOCKS) {
    if (bytes <= kBlockBytesMax && bytes > 0 &&
        (store.phase == Phase::kOpen || open_store())) [[likely]] {
      FreeBlock*& list = store.free[class_of(bytes)];
      list = ::new (block) FreeBlock{list};
      return;
    }
  }
  ::operator delete(block);
}

}  // namespace rondo::detail
