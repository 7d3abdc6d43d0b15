// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <string>
#include <utility>

#include "reactor/internal/entry.h"

namespace rondo {

namespace detail {
struct LoopAccess;
}

/// A scheduled callback, as asyncio's Handle: what call_soon() returns.
///
/// A small value, copied freely; all copies mean the same callback. Dropping
/// it changes nothing: the callback runs. ScopedHandle is the one that
/// cancels.
///
/// Threading: only on the thread of its loop.
/// Lifetime: may outlive the loop; cancel() is then without effect.
class Handle {
 public:
  /// Means no callback.
  Handle() noexcept = default;
  /// Means the same callback as `other`.
  Handle(const Handle& other) noexcept : entry_(other.entry_) {
    if (entry_ != nullptr) detail::add_reference(entry_);
  }
  /// Leaves `other` meaning none.
  Handle(Handle&& other) noexcept
      : entry_(std::exchange(other.entry_, nullptr)) {}
  /// From now on means the same callback as `other`.
  Handle& operator=(Handle other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Handle() {
    if (entry_ != nullptr) detail::drop_reference(entry_);
  }

  /// Once this returns, the callback does not run any more, even if it is
  /// already in the batch that is being run. Its captures are destroyed
  /// before this returns; when called out of the callback itself, they are
  /// destroyed as soon as the callback returns.
  ///
  /// No effect the second time, or on a callback that has run. Allocates
  /// nothing; O(log n) for a timer among n.
  void cancel() noexcept;

  /// Whether cancel() was called, even after it ran, as in asyncio.
  bool cancelled() const noexcept {
    return entry_ != nullptr && entry_->has(detail::Entry::kCancelled);
  }

  /// Whether it means a callback at all.
  explicit operator bool() const noexcept { return entry_ != nullptr; }

  /// Whether both mean the same callback, or both none.
  bool is(const Handle& other) const noexcept { return entry_ == other.entry_; }

 protected:
  friend class EventLoop;
  friend struct detail::LoopAccess;
  friend std::string to_string(const Handle& handle);
  explicit Handle(detail::Entry* entry) noexcept : entry_(entry) {
    detail::add_reference(entry);
  }

  /// Null, or one reference.
  detail::Entry* entry_ = nullptr;
};

/// A Handle with a deadline: what call_later() and call_at() return.
class TimerHandle : public Handle {
 public:
  /// Means no timer.
  TimerHandle() noexcept = default;

  /// The deadline, on the clock of EventLoop::time(). Requires: it means a
  /// timer.
  TimePoint when() const noexcept { return timer()->when; }

  /// Moves the deadline of a timer that has not run yet, or that is just
  /// running (it will then run once more). asyncio has no such call: there
  /// one cancels and calls call_later() again.
  ///
  /// Among equal deadlines it counts as made now. Returns false, and changes
  /// nothing, if it has run or was cancelled. To a later deadline it costs a
  /// store; to an earlier one O(log n). Allocates nothing, except from inside
  /// its own callback, where it may throw std::bad_alloc.
  bool reschedule(TimePoint when);

 private:
  friend class EventLoop;
  explicit TimerHandle(detail::TimerEntry* entry) noexcept : Handle(entry) {}
  detail::TimerEntry* timer() const noexcept {
    return static_cast<detail::TimerEntry*>(entry_);
  }
};

/// Timers compare by deadline, as in asyncio. Both must mean a timer.
inline auto operator<=>(const TimerHandle& a, const TimerHandle& b) noexcept {
  return a.when() <=> b.when();
}
/// Equal deadlines. For "the same timer" use Handle::is().
inline bool operator==(const TimerHandle& a, const TimerHandle& b) noexcept {
  return a.when() == b.when();
}

/// Owns a callback: cancels it when it is destroyed or overwritten, so that a
/// class can capture `this`. H is Handle or TimerHandle.
template <class H>
class BasicScopedHandle {
 public:
  /// Owns no callback.
  BasicScopedHandle() noexcept = default;
  /// Owns the callback of `handle`.
  BasicScopedHandle(H handle) noexcept  // NOLINT: converts, to be assigned
      : handle_(std::move(handle)) {}
  /// Leaves `other` owning none.
  BasicScopedHandle(BasicScopedHandle&& other) noexcept
      : handle_(other.release()) {}
  /// Cancels its own callback, then owns that of `other`.
  BasicScopedHandle& operator=(BasicScopedHandle&& other) noexcept {
    if (this == &other) return *this;
    // Moved out first: what cancel() destroys may come back here.
    H mine = std::exchange(handle_, other.release());
    mine.cancel();
    return *this;
  }
  ~BasicScopedHandle() { cancel(); }

  /// As Handle::cancel().
  void cancel() noexcept { H(handle_).cancel(); }
  /// The callback without the duty to cancel it; this one owns none then.
  H release() noexcept { return std::exchange(handle_, H()); }
  /// The callback that it owns.
  const H& get() const noexcept { return handle_; }
  /// For its calls: `idle_->reschedule(when)`.
  H* operator->() noexcept { return &handle_; }

 private:
  H handle_;
};

/// Owns any callback:
///
///     class Session {
///       void later() { next_ = loop_.call_soon([this] { step(); }); }
///       ScopedHandle next_;
///     };
using ScopedHandle = BasicScopedHandle<Handle>;

/// Owns a timer, and can move it: `idle_->reschedule(loop.time() + 30s)`.
using ScopedTimerHandle = BasicScopedHandle<TimerHandle>;

/// As asyncio's repr: `<Handle f(2) at file.cc:8>`, `<Handle cancelled>`,
/// `<TimerHandle when=841.424468959 f() at file.cc:8>`. The place is that of
/// the call that scheduled it (in asyncio, where the function is defined).
/// One that has run, and so has nothing to show any more, is
/// `<Handle done at file.cc:8>`.
std::string to_string(const Handle& handle);

}  // namespace rondo
