// SPDX-License-Identifier: MIT
#include "reactor/handle.h"

#include <cstdio>
#include <new>

#include "reactor/internal/timer_heap.h"

namespace rondo {
namespace {

using detail::Entry;
using detail::TimerEntry;

/// `841.424468959`: seconds, all nine digits.
std::string seconds(TimePoint when) {
  const auto ns = when.time_since_epoch().count();
  const auto magnitude = ns < 0 ? 0 - static_cast<unsigned long long>(ns)
                                : static_cast<unsigned long long>(ns);
  char text[40];
  std::snprintf(text, sizeof text, "%s%llu.%09llu", ns < 0 ? "-" : "",
                magnitude / 1'000'000'000, magnitude % 1'000'000'000);
  return text;
}

}  // namespace

void Handle::cancel() noexcept {
  if (entry_ == nullptr) return;
  // What the captures own may own this very handle.
  const Handle guard(*this);
  detail::cancel(guard.entry_);
}

bool TimerHandle::reschedule(TimePoint when) {
  TimerEntry* entry = timer();
  if (entry == nullptr || entry->has(Entry::kCancelled)) return false;
  if (entry->has(Entry::kArmed)) {
    entry->heap->reschedule(entry, when);
    return true;
  }
  // Already moved to the ready queue, or running: back into the heap. Its
  // place in the queue, if any, is passed over, as it is armed again.
  if (!entry->has(Entry::kQueued | Entry::kRunning)) return false;
  const TimePoint before = std::exchange(entry->when, when);
  try {
    entry->heap->insert(entry);
  } catch (...) {
    entry->when = before;
    throw;
  }
  detail::add_reference(entry);
  return true;
}

std::string to_string(const Handle& handle) {
  const Entry* entry = handle.entry_;
  if (entry == nullptr) return "<Handle none>";
  const bool is_timer = entry->has(Entry::kTimer);
  std::string text = is_timer ? "<TimerHandle" : "<Handle";
  const bool cancelled = entry->has(Entry::kCancelled);
  if (cancelled) text += " cancelled";
  if (!cancelled && !entry->callback) text += " done";
  if (is_timer) {
    text += " when=" + seconds(static_cast<const TimerEntry*>(entry)->when);
  }
  if (entry->callback) {
    try {
      text += " " + entry->callback.description();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {
      text += " <its description threw>";
    }
  }
  // The library's own, such as a task's step, have no place.
  if (entry->where.line() != 0 && (entry->callback || !cancelled)) {
    text += std::string(" at ") + entry->where.file_name() + ":" +
            std::to_string(entry->where.line());
  }
  return text + ">";
}

}  // namespace rondo
