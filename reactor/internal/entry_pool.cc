// SPDX-License-Identifier: MIT
#include "reactor/internal/entry_pool.h"

#include <new>

namespace rondo::detail {
namespace {

constexpr std::align_val_t kAlignment{alignof(TimerEntry)};
static_assert(sizeof(TimerEntry) == 2 * alignof(TimerEntry));

}  // namespace

EntryPool::~EntryPool() {
  // Every entry is free, so every callback is empty: nothing to destroy.
  for (void* slab : slabs_) ::operator delete(slab, kAlignment);
}

void EntryPool::grow() {
  // All that can fail comes first.
  if (slabs_.size() == slabs_.capacity()) slabs_.reserve(2 * slabs_.size() + 1);
  const bool timers = kind_ == Kind::kTimers;
  void* slab = ::operator new(
      kSlabEntries*(timers ? sizeof(TimerEntry) : sizeof(Entry)), kAlignment);
  const std::size_t first = slabs_.size() * kSlabEntries;
  slabs_.push_back(slab);
  // Backwards, so that they are handed out in the order of their addresses.
  for (std::size_t index = kSlabEntries; index-- > 0;) {
    Entry* entry =
        timers
            ? ::new (static_cast<TimerEntry*>(slab) + index)
                  TimerEntry(*this, static_cast<std::uint32_t>(first + index))
            : ::new (static_cast<Entry*>(slab) + index) Entry(*this);
    entry->next = free_;
    free_ = entry;
  }
}

std::size_t EntryPool::in_use() const noexcept {
  // A free entry has no reference. By slabs: the free list would lead through
  // memory in the order of the releases, a cache miss an entry.
  const bool timers = kind_ == Kind::kTimers;
  std::size_t count = 0;
  for (void* slab : slabs_) {
    for (std::size_t index = 0; index < kSlabEntries; ++index) {
      const Entry* entry = timers ? static_cast<TimerEntry*>(slab) + index
                                  : static_cast<Entry*>(slab) + index;
      if (entry->references > 0) ++count;
    }
  }
  return count;
}

void EntryPool::retire() noexcept {
  retired_ = true;
  in_use_after_retirement_ = in_use();
  if (in_use_after_retirement_ == 0) delete this;
}

void EntryPool::release_after_retirement() noexcept {
  if (--in_use_after_retirement_ == 0) delete this;
}

}  // namespace rondo::detail
