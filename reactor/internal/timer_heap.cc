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

void TimerHeap::reserve_for(const TimerEntry& timer) {
  // Both by doubling, and each on its own: a failure leaves room to spare.
  if (end_ >= items_.size()) {
    items_.resize(std::max<std::size_t>(64, 2 * items_.size()));
  }
  if (timer.slot >= positions_.size()) {
    positions_.resize(std::max<std::size_t>(64, 2 * (timer.slot + 1)));
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
    index = static_cast<std::size_t>(soonest - items_.data());
  }
  place(index, item);
}

/// The numbers are used up, once in four thousand million timers: gives the
/// live ones 0, 1, 2... in the order that they have.
void TimerHeap::renumber() noexcept {
  Item* const begin = items_.data() + kRoot;
  Item* const end = items_.data() + end_;
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
