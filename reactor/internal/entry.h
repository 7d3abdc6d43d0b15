// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <source_location>
#include <utility>

#include "reactor/callback.h"
#include "reactor/clock.h"

namespace rondo::detail {

class EntryPool;
class TimerHeap;

/// What a Handle points to and the loop runs: a callback, where it was
/// scheduled, and what has become of it.
///
/// Counted by hand, without atomics: one loop, one thread. Each of these
/// holds one reference: every Handle, the ready queue while it is queued, the
/// timer heap while it is armed, the fd table while it is registered there.
/// At zero it goes back to its pool, which keeps it constructed.
///
/// The states, as combinations of the flags:
///
///   queued               will run in this pass
///   armed                will be queued when its deadline comes
///   armed | queued       was queued, then moved by reschedule(): its place in
///                        the queue is passed over
///   running              its callback is on the stack
///   running | armed      moved by reschedule() out of its own callback
///   cancelled (| any)    never runs again; captures gone unless running
///   none                 has run, captures gone; or an fd waiting for events
struct Entry {
  enum Flag : std::uint8_t {
    kQueued = 1,
    kArmed = 2,
    kRunning = 4,
    kCancelled = 8,
    kRepeats = 16,  // an fd's or a signal's: runs each time it is queued
    kTimer = 32,    // is a TimerEntry
  };

  explicit Entry(EntryPool& owner) noexcept : pool(&owner) {}
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  bool has(unsigned flag) const noexcept { return (flags & flag) != 0; }
  void set(unsigned flag) noexcept {
    flags = static_cast<std::uint8_t>(flags | flag);
  }
  void clear(unsigned flag) noexcept {
    flags = static_cast<std::uint8_t>(flags & ~flag);
  }

  Callback callback;
  std::source_location where;
  EntryPool* const pool;
  Entry* next = nullptr;  // in the ready queue, or in the pool's free list
  std::uint32_t references = 0;
  std::uint8_t flags = 0;
};

/// An Entry with a deadline. Two cache lines: the callback in one, and in the
/// other, from `next` on, all that being inserted, moved and cancelled touches.
struct alignas(64) TimerEntry : Entry {
  TimerEntry(EntryPool& owner, std::uint32_t number) noexcept
      : Entry(owner), slot(number) {}

  TimePoint when;         // the deadline
  TimePoint queued_when;  // the one the heap knows, not later: see TimerHeap
  TimerHeap* heap = nullptr;
  const void* ahead = nullptr;  // runs some timers later: a hint, for prefetch
  std::uint32_t order = 0;      // of its making, among equal deadlines
  const std::uint32_t slot;     // its number in its pool
};

/// Destroys the captures and gives `entry` back to its pool.
void destroy(Entry* entry) noexcept;

inline void add_reference(Entry* entry) noexcept { ++entry->references; }

inline void drop_reference(Entry* entry) noexcept {
  if (--entry->references == 0) destroy(entry);
}

/// Marks `entry` as cancelled, takes it out of the timer heap, and destroys
/// its captures unless it is running (then the loop does when it returns).
/// Does nothing the second time. The caller holds a reference.
void cancel(Entry* entry) noexcept;

}  // namespace rondo::detail
