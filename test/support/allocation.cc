// SPDX-License-Identifier: MIT
#include "test/support/allocation.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace rondo::test {
namespace {

/// Plain data, so that it is there from a thread's first instruction to its
/// last: operator new is called in both.
struct ThreadState {
  std::uint64_t allocations;
  std::uint64_t deallocations;
  std::size_t largest_block;
  std::uint64_t fail_from;  // in terms of `allocations`; zero: none fails
  std::uint64_t fail_to;
  bool fired;
};

constinit thread_local ThreadState state{};

[[maybe_unused]] bool is_to_fail() noexcept {
  if (state.fail_from == 0 || state.allocations < state.fail_from ||
      state.allocations > state.fail_to) {
    return false;
  }
  state.fired = true;
  return true;
}

void count_allocation(std::size_t size) noexcept {
  ++state.allocations;
  state.largest_block = std::max(state.largest_block, size);
}

void count_deallocation() noexcept { ++state.deallocations; }

}  // namespace

std::uint64_t allocations() noexcept { return state.allocations; }

std::int64_t live_blocks() noexcept {
  return static_cast<std::int64_t>(state.allocations - state.deallocations);
}

std::size_t largest_block() noexcept { return state.largest_block; }
void forget_largest_block() noexcept { state.largest_block = 0; }

FailingAllocations::FailingAllocations(std::uint64_t nth, Mode mode) noexcept {
  state.fired = false;
  state.fail_from = state.allocations + nth;
  state.fail_to = mode == Mode::kOnce ? state.fail_from : UINT64_MAX;
}

FailingAllocations::~FailingAllocations() { state.fail_from = 0; }

bool FailingAllocations::fired() const noexcept { return state.fired; }

}  // namespace rondo::test

#ifdef RONDO_TEST_OPERATOR_NEW_IS_TAKEN

// -- what the sanitizer calls for each malloc and free ------------------------

extern "C" {
void __sanitizer_malloc_hook(const volatile void*, std::size_t size) {
  rondo::test::count_allocation(size);
}
void __sanitizer_free_hook(const volatile void* memory) {
  if (memory != nullptr) rondo::test::count_deallocation();
}
}

#else

// -- the global operators ----------------------------------------------------

namespace {

/// Null if it fails. `alignment` is zero where malloc's will do.
void* allocate(std::size_t size, std::size_t alignment) noexcept {
  rondo::test::count_allocation(size);
  void* memory = nullptr;
  if (!rondo::test::is_to_fail()) {
    const std::size_t at_least_one = std::max<std::size_t>(size, 1);
    memory =
        alignment == 0
            ? std::malloc(at_least_one)
            // aligned_alloc(3) wants a multiple of the alignment.
            : std::aligned_alloc(alignment, (at_least_one + alignment - 1) /
                                                alignment * alignment);
  }
  // What failed will not be freed: it counts on both sides.
  if (memory == nullptr) rondo::test::count_deallocation();
  return memory;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void deallocate(void* memory) noexcept {
  if (memory == nullptr) return;
  rondo::test::count_deallocation();
  std::free(memory);
}

std::size_t number(std::align_val_t alignment) noexcept {
  return static_cast<std::size_t>(alignment);
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, number(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, number(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment,
                   const std::nothrow_t&) noexcept {
  return allocate(size, number(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment,
                     const std::nothrow_t&) noexcept {
  return allocate(size, number(alignment));
}

void operator delete(void* memory) noexcept { deallocate(memory); }
void operator delete[](void* memory) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t) noexcept { deallocate(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  deallocate(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  deallocate(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  deallocate(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::align_val_t,
                     const std::nothrow_t&) noexcept {
  deallocate(memory);
}
void operator delete[](void* memory, std::align_val_t,
                       const std::nothrow_t&) noexcept {
  deallocate(memory);
}

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN
