// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <source_location>

#include "reactor/callback.h"
#include "reactor/clock.h"
#include "reactor/internal/node_pool.h"

namespace rondo::detail {

class TimerHeap;

/// What a Handle points to and the loop runs: a callback, where it was
/// scheduled, and what has become of it.
///
/// Counted by hand, without atomics: one loop, one thread. Each of these
/// holds one reference: every Handle, the ready queue while it is queued, the
/// timer heap while it is armed, the fd table while it is registered there.
///
/// The states, as combinations of the flags:
///
///   queued               will run in this pass
///   armed                will be queued when its deadline comes
///   running              its callback is on the stack
///   running | armed      moved by reschedule() out of its own callback
///   running | queued     an fd that became ready again before it returned
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

  Entry(NodePool& from, Callback&& what, std::source_location at) noexcept
      : callback(std::move(what)), where(at), pool(&from) {}
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }

  Entry* next = nullptr;  // behind this one in the ready queue
  Callback callback;
  std::source_location where;
  NodePool* pool;
  std::uint32_t references = 0;
  std::uint8_t flags = 0;
};

/// An Entry with a deadline.
struct TimerEntry : Entry {
  TimerEntry(NodePool& from, Callback&& what, std::source_location at,
             TimerHeap& in) noexcept
      : Entry(from, std::move(what), at), heap(&in) {
    flags = kTimer;
  }

  TimePoint when;         // the deadline
  TimePoint queued_when;  // the one the heap knows, not later: see TimerHeap
  TimerHeap* heap;
  std::uint32_t slot = 0;   // its place in the heap's table
  std::uint32_t order = 0;  // of its making, among equal deadlines
};

/// Destroys `entry` and gives its memory back. Out of line: the rare end.
void destroy(Entry* entry) noexcept;

inline void add_reference(Entry* entry) noexcept { ++entry->references; }

inline void drop_reference(Entry* entry) noexcept {
  if (--entry->references == 0) destroy(entry);
}

/// Marks `entry` as cancelled, takes it out of the timer heap, and destroys
/// its captures unless it is running (then run() does when it returns).
/// Does nothing the second time. The caller holds a reference.
void cancel(Entry* entry) noexcept;

}  // namespace rondo::detail
