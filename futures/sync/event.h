// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "futures/operation.h"
#include "futures/sync/internal/waiter.h"

namespace rondo {

/// A flag that tasks can wait for.
///
///     co_await ready.wait();      // until somebody calls ready.set()
///
/// Threading: belongs to the loop of the first task that waits for it; see
///   Lock.
/// Lifetime: those who wait when it is destroyed get RuntimeError("Event was
///   destroyed").
/// Cost: waiting takes a future, which is recycled; waiting for one that is
///   set costs nothing.
///
/// Source: asyncio.Event of CPython 3.11.
class Event {
 public:
  class Wait;

  /// Not set.
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  /// Whether the flag is set.
  bool is_set() const noexcept { return set_; }
  /// Sets the flag, and wakes all who wait, in the order they came. They go on
  /// even if clear() comes before they run.
  void set();
  /// Takes the flag back: from now on wait() waits.
  void clear() noexcept { set_ = false; }
  /// Waits until the flag is set; not at all if it is. A cancel loses nothing.
  Wait wait() noexcept;

  /// `<Event object at 0x7f5c1e3a2b10 [unset, waiters:3]>`, as asyncio's repr.
  friend std::string to_string(const Event& event);

 private:
  bool set_ = false;
  detail::LoopBinding binding_;
  detail::WaiterList waiters_{"Event"};
};

/// What Event::wait() gives.
class [[nodiscard]] Event::Wait : public Operation<Event::Wait, void> {
 public:
  /// For Event::wait().
  explicit Wait(Event& event) noexcept : event_(&event) {}

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Event.wait";

 private:
  Event* event_;
  detail::Waiter waiter_;
};

inline Event::Wait Event::wait() noexcept { return Wait(*this); }

}  // namespace rondo
