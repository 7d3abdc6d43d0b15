// SPDX-License-Identifier: MIT
#include "reactor/internal/timer_heap.h"

#include <algorithm>

#include "reactor/check.h"

namespace rondo::detail {

void TimerHeap::insert(TimerEntry* timer) {
  RONDO_CHECK(!timer->has(Entry::kArmed));
  reserve_for(*timer);  // all that can fail
  timer->order = next_order();
  timer->queued_when = timer->when;
  timer->set(Entry::kArmed);
  sift_up(end_++, {timer->when, timer->order, timer->slot});
}

void TimerHeap::grow(std::uint32_t slot) {
  // Both by doubling, and each on its own: a failure leaves room to spare.
  const std::size_t items = std::max<std::size_t>(64, 2 * items_max_);
  if (end_ >= items_max_) {
    item_memory_.resize(items);
    items_ = item_memory_.data();
    items_max_ = items;
  }
  if (slot >= positions_max_) {
    const std::size_t positions =
        std::max<std::size_t>(64, std::size_t{2} * (slot + 1));
    position_memory_.resize(positions);
    positions_ = position_memory_.data();
    positions_max_ = positions;
  }
}

void TimerHeap::remove(TimerEntry* timer) noexcept {
  RONDO_CHECK(timer->has(Entry::kArmed));
  timer->clear(Entry::kArmed);
  const std::size_t index = positions_[timer->slot];
  const Item last = items_[--end_];
  if (index == end_) return;
  // The last item takes the empty place, and may belong above or below it.
  if (index > kRoot && last < items_[parent_of(index)]) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

void TimerHeap::settle() noexcept {
  while (!empty()) {
    const Item top = items_[kRoot];
    TimerEntry* timer = timers_.timer(top.slot());
    if (timer->order == top.order()) return;
    timer->queued_when = timer->when;
    sift_down(kRoot, {timer->when, timer->order, timer->slot});
  }
}

void TimerHeap::move_earlier(TimerEntry* timer) noexcept {
  timer->queued_when = timer->when;
  sift_up(positions_[timer->slot], {timer->when, timer->order, timer->slot});
}

void TimerHeap::sift_up(std::size_t index, Item item) noexcept {
  while (index > kRoot) {
    const std::size_t parent = parent_of(index);
    if (!(item < items_[parent])) break;
    place(index, items_[parent]);
    index = parent;
  }
  place(index, item);
}

void TimerHeap::sift_down(std::size_t index, Item item) noexcept {
  for (;;) {
    const std::size_t first = first_child_of(index);
    if (first >= end_) break;
    const Item* child = &items_[first];
    const Item* soonest = child;
    // Which of the grandchildren will be looked at next turns out late. They
    // lie side by side, four cache lines.
    for (std::size_t line = 0; line < kChildren; ++line) {
      __builtin_prefetch(items_ + first_child_of(first) + line * kChildren);
    }
    if (first + kChildren <= end_) {
      // The usual case as a tournament: no loop, no branch.
      const Item* left = child[1] < child[0] ? child + 1 : child;
      const Item* right = child[3] < child[2] ? child + 3 : child + 2;
      soonest = *right < *left ? right : left;
    } else {
      for (std::size_t next = 1; first + next < end_; ++next) {
        if (child[next] < *soonest) soonest = child + next;
      }
    }
    if (!(*soonest < item)) break;
    place(index, *soonest);
    if (index < first_child_of(kRoot + 1)) prefetch(index);  // at the top soon
    index = static_cast<std::size_t>(soonest - items_);
  }
  place(index, item);
}

/// Leaves what is due at `now` sorted behind the heap, from end_ on.
void TimerHeap::separate_due(TimePoint now) noexcept {
  Item* const begin = items_ + kRoot;
  Item* const end = items_ + end_;
  // What was moved back may not be due after all: looked up in the timer.
  for (std::size_t index = kRoot; index < end_; ++index) {
    if (items_[index].when() > now) continue;
    prefetch(std::min(index + kAhead, end_ - 1));
    TimerEntry* timer = timers_.timer(items_[index].slot());
    timer->queued_when = timer->when;
    items_[index] = {timer->when, timer->order, timer->slot};
  }
  Item* const due = std::partition(
      begin, end, [now](const Item& item) { return item.when() > now; });
  std::sort(due, end);
  // What stays becomes a heap again, from the last parent up (Floyd).
  end_ = static_cast<std::size_t>(due - items_);
  for (std::size_t index = kRoot; index < end_; ++index) {
    place(index, items_[index]);
  }
  if (size() < 2) return;
  for (std::size_t index = parent_of(end_ - 1); index >= kRoot; --index) {
    sift_down(index, items_[index]);
  }
}

/// The numbers are used up, once in four thousand million timers: gives the
/// live ones 0, 1, 2... in the order that they have.
void TimerHeap::renumber() noexcept {
  Item* const begin = items_ + kRoot;
  Item* const end = items_ + end_;
  // Lazily moved items first, so that all orders stand in items_. (A sorted
  // array is a heap.)
  for (Item* item = begin; item != end; ++item) {
    TimerEntry* timer = timers_.timer(item->slot());
    timer->queued_when = timer->when;
    *item = {timer->when, timer->order, timer->slot};
  }
  std::sort(begin, end);
  next_order_ = 0;
  for (std::size_t index = kRoot; index < end_; ++index) {
    TimerEntry* timer = timers_.timer(items_[index].slot());
    timer->order = next_order_++;
    place(index, {timer->when, timer->order, timer->slot});
  }
}

}  // namespace rondo::detail
