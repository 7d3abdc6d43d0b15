// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <new>

namespace rondo::detail {

/// An allocator for vectors that begin on a cache line.
template <class T>
struct CacheAligned {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  CacheAligned() noexcept = default;
  template <class U>
  explicit CacheAligned(const CacheAligned<U>&) noexcept {}

  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kLine));
  }
  void deallocate(T* memory, std::size_t) noexcept {
    ::operator delete(memory, kLine);
  }
  bool operator==(const CacheAligned&) const noexcept { return true; }
};

}  // namespace rondo::detail
