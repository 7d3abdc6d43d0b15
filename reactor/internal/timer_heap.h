// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "reactor/internal/entry.h"

namespace rondo::detail {

/// The timers, soonest first. asyncio's `_scheduled`.
///
/// A 4-ary heap in one array, the deadline beside the number of the timer:
/// a comparison touches no timer, and four children lie in one cache line.
///
///   items_      {when, order, slot} in heap order
///   positions_  slot -> index in items_, so that a timer can be taken out
///   timers_     slot -> TimerEntry
///
/// Moving a deadline back is lazy: it is written into the timer alone, and
/// the item is corrected when it reaches the top (settle()). So for each
/// timer `queued_when` <= `when`, and a server that pushes an idle timeout
/// along with every message pays for one store.
class TimerHeap {
 public:
  bool empty() const noexcept { return items_.empty(); }
  std::size_t size() const noexcept { return items_.size(); }

  /// Adds `timer` with its deadline `when`, behind all that have the same.
  /// Takes over one reference. Throws std::bad_alloc and changes nothing.
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
  TimerEntry* front() const noexcept { return timers_[items_[0].slot]; }
  /// Its deadline.
  TimePoint next_deadline() const noexcept { return items_[0].when; }

  /// All timers in no order, for a snapshot.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Item& item : items_) visit(*timers_[item.slot]);
  }

  /// For tests: what `order` the next timer gets.
  void set_next_order(std::uint32_t order) noexcept { next_order_ = order; }

 private:
  struct Item {
    TimePoint when;
    std::uint32_t order;
    std::uint32_t slot;
  };

  static bool before(const Item& a, const Item& b) noexcept {
    return a.when < b.when || (a.when == b.when && a.order < b.order);
  }

  std::uint32_t next_order() noexcept {
    if (next_order_ == UINT32_MAX) renumber();
    return next_order_++;
  }

  void place(std::size_t index, const Item& item) noexcept {
    items_[index] = item;
    positions_[item.slot] = static_cast<std::uint32_t>(index);
  }
  void sift_up(std::size_t index, Item item) noexcept;
  void sift_down(std::size_t index, Item item) noexcept;
  void move_earlier(TimerEntry* timer) noexcept;
  void renumber() noexcept;

  std::vector<Item> items_;
  std::vector<std::uint32_t> positions_;
  std::vector<TimerEntry*> timers_;
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t next_order_ = 0;
};

}  // namespace rondo::detail
