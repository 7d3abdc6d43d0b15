// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "futures/future.h"
#include "futures/task_body.h"

namespace rondo::detail {

class Waiter;

/// Those who wait before a primitive, in the order they came. The places are
/// in the operations that wait, so a list allocates nothing, and leaving it
/// needs no search.
class WaiterList {
 public:
  /// `owner` is the primitive's name, for who waits when it is destroyed.
  explicit WaiterList(const char* owner) noexcept : owner_(owner) {}
  WaiterList(const WaiterList&) = delete;
  WaiterList& operator=(const WaiterList&) = delete;
  /// Those who still wait fail with RuntimeError("Lock was destroyed").
  ~WaiterList();

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  Waiter* front() const noexcept { return first_; }

  /// The first whose future is not done, or null.
  Waiter* first_pending() const noexcept;
  /// Python's all(w.cancelled() for w in self._waiters).
  bool all_cancelled() const noexcept;
  /// Throws RuntimeError if those who wait cannot be woken from here: on
  /// another thread than their loop's, or in a forked child.
  void check_usable() const;

 private:
  friend class Waiter;

  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  std::size_t size_ = 0;
  const char* const owner_;
};

/// The loop that a primitive belongs to: that of the first task that waited.
/// asyncio's _LoopBoundMixin.
class LoopBinding {
 public:
  LoopBinding() noexcept = default;
  LoopBinding(const LoopBinding&) = delete;
  LoopBinding& operator=(const LoopBinding&) = delete;
  ~LoopBinding() {
    if (home_ != nullptr) home_->release();
  }

  /// asyncio's _get_loop(). `primitive` is for the message of the RuntimeError
  /// that a second loop gets.
  template <class Primitive>
  void bind(Resumption& resumption, const Primitive& primitive) {
    LoopState& home = resumption.task_state().home();
    if (home_ == &home) return;
    if (home_ != nullptr) refuse(to_string(primitive));
    home.add_reference();
    home_ = &home;
  }

 private:
  [[noreturn]] static void refuse(const std::string& primitive);

  // Counted, so that another loop at the same address is not taken for it.
  LoopState* home_ = nullptr;
};

/// A place in the line, with the future that its task waits for.
///
///   idle --begin()--> waiting --end()--> idle
///
/// While it waits it is in a list; if it is not, its primitive is gone.
class Waiter {
 public:
  Waiter() noexcept = default;
  /// An operation may be moved until it is started.
  Waiter(Waiter&& other) noexcept;
  Waiter& operator=(Waiter&&) = delete;
  ~Waiter() { end(); }

  /// Waits at the end of `list`, with a new future. Throws std::bad_alloc; then
  /// nothing has changed.
  void begin(Resumption& resumption, WaiterList& list);
  /// Is in `list`, without a future of its own.
  void enter(WaiterList& list) noexcept;
  /// Leaves the line it is in for the end of `list`.
  void move_to(WaiterList& list) noexcept;
  /// Leaves the line, and forgets its future.
  void end() noexcept;
  /// What step() returns after begin().
  Step wait() const noexcept { return Step::wait(future_); }

  /// Whether begin() or enter() was called, and end() was not.
  bool active() const noexcept { return active_; }
  /// The same, and its primitive is there.
  bool in_line() const noexcept { return list_ != nullptr; }
  /// Whether its primitive has been destroyed meanwhile.
  bool orphaned() const noexcept { return active_ && list_ == nullptr; }
  /// Ends it if it is orphaned, and throws RuntimeError("Lock was destroyed"),
  /// or the CancelledError that it was resumed with.
  void check_owner(Resumption& resumption, const char* owner) {
    if (orphaned()) leave_orphaned(resumption, owner);
  }

  /// Whether it was woken or cancelled.
  bool done() const noexcept { return future_.done(); }
  /// Whether its future was cancelled.
  bool cancelled() const noexcept { return future_.cancelled(); }
  /// Whether it was woken, which is what has to be passed on if it cannot
  /// follow.
  bool woken() const noexcept { return done() && !cancelled(); }

  /// Wakes its task: set_result(). Not if its loop is closed, where it would
  /// never run; returns whether. Throws RuntimeError on another thread, or in
  /// a forked child; then nothing has changed.
  bool wake();

  /// The next in line.
  Waiter* next() const noexcept { return next_; }

 private:
  friend class WaiterList;
  void unlink() noexcept;
  [[noreturn]] void leave_orphaned(Resumption& resumption, const char* owner);

  Waiter* next_ = nullptr;
  Waiter* previous_ = nullptr;
  WaiterList* list_ = nullptr;
  Future<void> future_;
  bool active_ = false;
};

/// Calls `pass_on`, which wakes somebody, from a destructor; returns whether
/// that could be done. Where it cannot (on another thread than the loop's, in
/// a forked child) nobody would have run either.
template <class PassOn>
bool pass_on_safely(PassOn&& pass_on) noexcept {
  try {
    pass_on();
    return true;
  } catch (...) {
    return false;
  }
}

/// `0x7f5c1e3a2b10`.
std::string hexadecimal(const void* address);

/// `<Lock object at 0x7f5c1e3a2b10 [locked, waiters:2]>`. `state` is `locked`.
std::string describe_primitive(const char* type, const void* address,
                               std::string state, std::size_t waiters);

}  // namespace rondo::detail
