// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "reactor/internal/entry.h"

namespace rondo::detail {

/// Where entries come from: taking and giving back are a few instructions and
/// no system call. It grows by slabs and gives nothing back before its end,
/// so that a loop in steady state allocates nothing.
///
/// Entries stay constructed while they are free: what never changes (pool,
/// slot) is written once, and the free list runs through Entry::next.
///
/// An entry may outlive the loop, as a Handle does. So a pool is not
/// destroyed but retired: its memory goes when the last entry has come back.
class EntryPool {
 public:
  enum class Kind { kEntries, kTimers };
  struct Retire {
    void operator()(EntryPool* pool) const noexcept { pool->retire(); }
  };
  /// The owner's hold on a pool.
  using Ptr = std::unique_ptr<EntryPool, Retire>;

  /// An empty pool.
  static Ptr create(Kind kind) { return Ptr(new EntryPool(kind)); }
  EntryPool(const EntryPool&) = delete;
  EntryPool& operator=(const EntryPool&) = delete;

  /// A free entry, its callback empty; the rest is as the last use left it.
  /// A TimerEntry if the pool is one of timers. Throws std::bad_alloc.
  Entry* allocate() {
    if (free_ == nullptr) [[unlikely]]
      grow();
    Entry* entry = free_;
    free_ = entry->next;
    return entry;
  }

  /// Takes `entry` back; its callback is empty.
  void release(Entry* entry) noexcept {
    entry->next = free_;
    free_ = entry;
    if (retired_) [[unlikely]]
      release_after_retirement();
  }

  /// The timer that has this number.
  TimerEntry* timer(std::uint32_t slot) const noexcept {
    return static_cast<TimerEntry*>(slabs_[slot / kSlabEntries]) +
           slot % kSlabEntries;
  }

  /// How many entries are in use. Looks at every one.
  std::size_t in_use() const noexcept;

 private:
  static constexpr std::size_t kSlabEntries = 256;

  explicit EntryPool(Kind kind) noexcept : kind_(kind) {}
  ~EntryPool();
  void retire() noexcept;
  void release_after_retirement() noexcept;
  void grow();
  template <class T, class... Number>
  void carve(Number... first_number);

  Entry* free_ = nullptr;
  bool retired_ = false;
  const Kind kind_;
  std::vector<void*> slabs_;
  std::size_t in_use_after_retirement_ = 0;
};

}  // namespace rondo::detail
