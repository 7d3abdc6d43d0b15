// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "reactor/internal/cache_aligned.h"
#include "reactor/internal/entry_pool.h"

namespace rondo::detail {

/// The timers, soonest first. asyncio's `_scheduled`.
///
/// A 4-ary heap in one array with the deadline beside the number of the
/// timer, so that a comparison touches no timer. The root stands at index 3:
/// then four sisters begin at a multiple of four and share a cache line.
///
///   index     0 1 2 | 3    | 4  5  6  7 | 8 ... 11 | 12 ... 15 |
///             unused  root   its children  those of 4   of 5
///
/// positions_ tells where a timer is, by slot, so that it can be taken out.
///
/// Moving a deadline back is lazy: it is written into the timer alone, and
/// the item is corrected when it reaches the top (settle()). So for each
/// timer `queued_when` <= `when`, and a server that pushes an idle timeout
/// along with every message pays for one store.
class TimerHeap {
 public:
  explicit TimerHeap(EntryPool& timers) : timers_(timers) {}
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;

  bool empty() const noexcept { return end_ == kRoot; }
  std::size_t size() const noexcept { return end_ - kRoot; }

  /// Adds `timer` with its deadline `when`, behind all that have the same,
  /// and marks it as armed. Takes over one reference. Throws std::bad_alloc
  /// and changes nothing.
  void insert(TimerEntry* timer);

  /// Takes `timer` out, wherever it is. Its reference goes to the caller.
  void remove(TimerEntry* timer) noexcept;

  /// Gives `timer`, which is in the heap, another deadline: it now counts as
  /// made last. Allocates nothing.
  void reschedule(TimerEntry* timer, TimePoint when) noexcept {
    timer->when = when;
    timer->order = next_order();
    if (when < timer->queued_when) move_earlier(timer);
  }

  /// Brings the top up to date. After it, front() is the soonest timer.
  void settle() noexcept;

  /// The soonest timer. After settle(), when not empty.
  TimerEntry* front() const noexcept {
    return timers_.timer(items_[kRoot].slot());
  }
  /// Its deadline.
  TimePoint next_deadline() const noexcept { return items_[kRoot].when(); }

  /// Takes out all that are due at `now`, soonest first: take(timer), with the
  /// heap's reference.
  ///
  /// One by one that costs O(log n) each. When many are due (the machine was
  /// asleep, or a million timers were made for one moment), the rest is
  /// sorted in one go, which is some times faster; not if `one_by_one`, for a
  /// `take` that cannot be trusted to leave the heap alone.
  template <class Take>
  void take_due(TimePoint now, bool one_by_one, Take&& take) {
    std::size_t singles = kSinglesMin + size() / kSinglesShare;
    for (settle(); !empty() && next_deadline() <= now; settle()) {
      if (singles-- == 0 && !one_by_one) {
        const std::size_t end = end_;
        separate_due(now);
        for (std::size_t index = end_; index < end; ++index) {
          prefetch(index + kAhead < end ? index + kAhead : end - 1);
          TimerEntry* timer = timers_.timer(items_[index].slot());
          timer->clear(Entry::kArmed);
          take(timer);
        }
        return;
      }
      TimerEntry* timer = front();
      remove(timer);
      take(timer);
    }
  }

  /// All timers in no order, for a snapshot.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t index = kRoot; index < end_; ++index) {
      visit(*timers_.timer(items_[index].slot()));
    }
  }

  /// For tests: what `order` the next timer gets.
  void set_next_order(std::uint32_t order) noexcept { next_order_ = order; }

 private:
  /// Deadline, order and slot as one number, so that comparing two takes no
  /// branch that could be guessed wrong.
  class Item {
   public:
    Item() noexcept = default;
    Item(TimePoint when, std::uint32_t order, std::uint32_t slot) noexcept
        : low_(std::uint64_t{order} << 32 | slot),
          high_(when.time_since_epoch().count()) {}

    TimePoint when() const noexcept { return TimePoint(Duration(high_)); }
    std::uint32_t order() const noexcept {
      return static_cast<std::uint32_t>(low_ >> 32);
    }
    std::uint32_t slot() const noexcept {
      return static_cast<std::uint32_t>(low_);
    }
    friend bool operator<(const Item& a, const Item& b) noexcept {
      return a.number() < b.number();
    }

   private:
    __extension__ using Number = __int128;
    Number number() const noexcept { return Number{high_} << 64 | low_; }

    std::uint64_t low_;
    std::int64_t high_;
  };

  static constexpr std::size_t kRoot = 3;
  static constexpr std::size_t kChildren = 4;
  static std::size_t first_child_of(std::size_t index) {
    return kChildren * (index - kRoot + 1);
  }
  static std::size_t parent_of(std::size_t index) {
    return index / kChildren + kRoot - 1;
  }

  std::uint32_t next_order() noexcept {
    if (next_order_ == UINT32_MAX) [[unlikely]]
      renumber();
    return next_order_++;
  }

  // take_due() goes over to sorting after this many, and a share of all.
  static constexpr std::size_t kSinglesMin = 64;
  static constexpr std::size_t kSinglesShare = 32;
  // How many timers ahead memory is asked for what will be needed.
  static constexpr std::size_t kAhead = 8;

  // By force: g++ takes a function that only prefetches for one without
  // effect, and drops the calls.
  [[gnu::always_inline]] void prefetch(std::size_t index) const noexcept {
    const TimerEntry* timer = timers_.timer(items_[index].slot());
    __builtin_prefetch(timer);
    __builtin_prefetch(&timer->slot);  // its other end
  }
  void separate_due(TimePoint now) noexcept;

  void place(std::size_t index, const Item& item) noexcept {
    items_[index] = item;
    positions_[item.slot()] = static_cast<std::uint32_t>(index);
  }
  void reserve_for(const TimerEntry& timer) {
    if (end_ >= items_max_ || timer.slot >= positions_max_) [[unlikely]] {
      grow(timer.slot);
    }
  }
  void grow(std::uint32_t slot);
  void sift_up(std::size_t index, Item item) noexcept;
  void sift_down(std::size_t index, Item item) noexcept;
  void move_earlier(TimerEntry* timer) noexcept;
  void renumber() noexcept;

  EntryPool& timers_;
  Item* items_ = nullptr;               // item_memory_'s
  std::uint32_t* positions_ = nullptr;  // position_memory_'s
  std::size_t end_ = kRoot;             // one behind the last item
  std::size_t items_max_ = 0;
  std::size_t positions_max_ = 0;
  std::uint32_t next_order_ = 0;
  std::vector<Item, CacheAligned<Item>> item_memory_;
  std::vector<std::uint32_t> position_memory_;
};

}  // namespace rondo::detail
