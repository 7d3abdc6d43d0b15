// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <vector>

#include "bench/support/harness.h"

namespace bench {

/// A floor for timers: a 4-ary heap of {deadline, timer} in one array of a
/// fixed size. The callback is stored in the timer, a timer can be cancelled
/// wherever it stands. No counted handles, no order among equal deadlines, no
/// captures that need a destructor.
///
/// Moving a deadline back is one store, and the heap is corrected when the
/// timer comes to its top; moving it forward sifts.
class FloorHeap {
 public:
  struct Timer {
    void (*call)(void* captures);
    alignas(void*) std::byte captures[40];
    std::int64_t when;
    std::uint32_t index;  // in the heap
    Timer* next_free;
  };

  explicit FloorHeap(std::size_t timers_max)
      : items_(static_cast<Item*>(std::malloc(timers_max * sizeof(Item)))),
        timers_(static_cast<Timer*>(std::malloc(timers_max * sizeof(Timer)))),
        unused_(timers_),
        end_(timers_ + timers_max) {}
  FloorHeap(const FloorHeap&) = delete;
  FloorHeap& operator=(const FloorHeap&) = delete;
  ~FloorHeap() {
    std::free(items_);
    std::free(timers_);
  }

  template <class F>
  Timer* call_at(std::int64_t when, F callable) {
    static_assert(sizeof(F) <= sizeof(Timer::captures));
    static_assert(std::is_trivially_copyable_v<F>);
    Timer* timer = free_;
    if (timer != nullptr) {
      free_ = timer->next_free;
    } else if (unused_ != end_) {
      timer = unused_++;
    } else {
      fail("no timer left");
    }
    timer->call = [](void* captures) { (*static_cast<F*>(captures))(); };
    ::new (static_cast<void*>(timer->captures)) F(callable);
    timer->when = when;
    sift_up(size_++, {when, timer});
    return timer;
  }

  void cancel(Timer* timer) {
    remove(timer->index);
    put_back(timer);
  }

  void reschedule(Timer* timer, std::int64_t when) {
    timer->when = when;
    const std::uint32_t index = timer->index;
    if (when < items_[index].when) sift_up(index, {when, timer});
  }

  std::size_t size() const { return size_; }
  /// Not when empty. Too early, if that timer was moved back meanwhile.
  std::int64_t next_deadline() const { return items_[0].when; }

  /// Calls what is due.
  void run_due(std::int64_t now) {
    while (size_ > 0 && items_[0].when <= now) {
      Timer* timer = items_[0].timer;
      if (timer->when > items_[0].when) {
        sift_down(0, {timer->when, timer});
        continue;
      }
      remove(0);
      timer->call(timer->captures);
      put_back(timer);
    }
  }

 private:
  struct Item {
    std::int64_t when;
    Timer* timer;
  };

  void put_back(Timer* timer) {
    timer->next_free = free_;
    free_ = timer;
  }
  void place(std::size_t index, Item item) {
    items_[index] = item;
    item.timer->index = static_cast<std::uint32_t>(index);
  }
  void remove(std::size_t index) {
    const Item last = items_[--size_];
    if (index == size_) return;
    if (index > 0 && last.when < items_[(index - 1) / 4].when) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }
  void sift_up(std::size_t index, Item item) {
    while (index > 0) {
      const std::size_t parent = (index - 1) / 4;
      if (items_[parent].when <= item.when) break;
      place(index, items_[parent]);
      index = parent;
    }
    place(index, item);
  }
  void sift_down(std::size_t index, Item item) {
    for (;;) {
      const std::size_t first = index * 4 + 1;
      if (first >= size_) break;
      const std::size_t end = first + 4 < size_ ? first + 4 : size_;
      std::size_t soonest = first;
      for (std::size_t child = first + 1; child < end; ++child) {
        if (items_[child].when < items_[soonest].when) soonest = child;
      }
      if (item.when <= items_[soonest].when) break;
      place(index, items_[soonest]);
      index = soonest;
    }
    place(index, item);
  }

  Item* items_;
  std::size_t size_ = 0;
  Timer* timers_;
  Timer* unused_;
  Timer* end_;
  Timer* free_ = nullptr;
};

}  // namespace bench
