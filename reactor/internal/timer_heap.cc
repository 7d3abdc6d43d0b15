// SPDX-License-Identifier: MIT
#include "reactor/internal/timer_heap.h"

#include <algorithm>

#include "reactor/check.h"

namespace rondo::detail {
namespace {

constexpr std::size_t kChildren = 4;

std::size_t parent_of(std::size_t index) { return (index - 1) / kChildren; }
std::size_t first_child_of(std::size_t index) {
  return index * kChildren + 1;
}

}  // namespace

void TimerHeap::insert(TimerEntry* timer) {
  RONDO_CHECK(!timer->has(Entry::kArmed));
  // All that can fail comes first.
  if (free_slots_.empty()) {
    if (timers_.size() == timers_.capacity()) {
      const std::size_t capacity = std::max<std::size_t>(64, 2 * timers_.size());
      items_.reserve(capacity);
      positions_.reserve(capacity);
      free_slots_.reserve(capacity);
      timers_.reserve(capacity);
    }
    free_slots_.push_back(static_cast<std::uint32_t>(timers_.size()));
    timers_.push_back(nullptr);
    positions_.push_back(0);
  }
  timer->slot = free_slots_.back();
  free_slots_.pop_back();
  timers_[timer->slot] = timer;
  timer->order = next_order();
  timer->queued_when = timer->when;
  timer->flags |= Entry::kArmed;
  const Item item{timer->when, timer->order, timer->slot};
  items_.push_back(item);
  sift_up(items_.size() - 1, item);
}

void TimerHeap::remove(TimerEntry* timer) noexcept {
  RONDO_CHECK(timer->has(Entry::kArmed));
  timer->flags &= static_cast<std::uint8_t>(~Entry::kArmed);
  const std::size_t index = positions_[timer->slot];
  free_slots_.push_back(timer->slot);  // reserved by insert()
  const Item last = items_.back();
  items_.pop_back();
  if (index == items_.size()) return;
  // The last item takes the empty place, and may belong above or below it.
  if (index > 0 && before(last, items_[parent_of(index)])) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

void TimerHeap::settle() noexcept {
  while (!items_.empty()) {
    const Item& top = items_[0];
    TimerEntry* timer = timers_[top.slot];
    if (timer->order == top.order) return;
    timer->queued_when = timer->when;
    sift_down(0, {timer->when, timer->order, top.slot});
  }
}

void TimerHeap::move_earlier(TimerEntry* timer) noexcept {
  timer->queued_when = timer->when;
  sift_up(positions_[timer->slot], {timer->when, timer->order, timer->slot});
}

void TimerHeap::sift_up(std::size_t index, Item item) noexcept {
  while (index > 0) {
    const std::size_t parent = parent_of(index);
    if (!before(item, items_[parent])) break;
    place(index, items_[parent]);
    index = parent;
  }
  place(index, item);
}

void TimerHeap::sift_down(std::size_t index, Item item) noexcept {
  const std::size_t size = items_.size();
  for (;;) {
    const std::size_t first = first_child_of(index);
    if (first >= size) break;
    std::size_t soonest = first;
    const std::size_t end = std::min(first + kChildren, size);
    for (std::size_t child = first + 1; child < end; ++child) {
      if (before(items_[child], items_[soonest])) soonest = child;
    }
    if (!before(items_[soonest], item)) break;
    place(index, items_[soonest]);
    index = soonest;
  }
  place(index, item);
}

/// The numbers are used up, once in four thousand million timers: gives the
/// live ones 0, 1, 2... in the order that they have.
void TimerHeap::renumber() noexcept {
  // Lazily moved items first, so that all orders stand in items_. (A sorted
  // array is a heap.)
  for (Item& item : items_) {
    TimerEntry* timer = timers_[item.slot];
    timer->queued_when = item.when = timer->when;
    item.order = timer->order;
  }
  std::sort(items_.begin(), items_.end(), before);
  next_order_ = 0;
  for (std::size_t index = 0; index < items_.size(); ++index) {
    items_[index].order = timers_[items_[index].slot]->order = next_order_++;
    positions_[items_[index].slot] = static_cast<std::uint32_t>(index);
  }
}

}  // namespace rondo::detail
