// SPDX-License-Identifier: MIT
#include "reactor/internal/entry.h"

#include "reactor/internal/entry_pool.h"
#include "reactor/internal/timer_heap.h"

namespace rondo::detail {

void destroy(Entry* entry) noexcept {
  entry->callback.reset();
  entry->pool->release(entry);
}

void cancel(Entry* entry) noexcept {
  if (entry->has(Entry::kCancelled)) return;
  entry->set(Entry::kCancelled);
  const bool was_armed = entry->has(Entry::kArmed);
  if (was_armed) {
    auto* timer = static_cast<TimerEntry*>(entry);
    timer->heap->remove(timer);
  }
  if (!entry->has(Entry::kRunning)) entry->callback.reset();
  if (was_armed) drop_reference(entry);
}

}  // namespace rondo::detail
