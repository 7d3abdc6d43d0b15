// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/internal/block_pool.h"
#include "futures/internal/loop_state.h"
#include "futures/internal/result_repr.h"
#include "reactor/callable_name.h"
#include "reactor/handle.h"
#include "reactor/internal/loop_access.h"
#include "reactor/repr.h"

namespace rondo::detail {

class FutureState;
class TaskState;

/// What every done callback begins with: the future that it waits for.
///
/// The entry of a callback that waits belongs to the future, which it
/// therefore must not own; once queued it owns a reference, so that the future
/// is there when the callback runs. The future is done from the moment its
/// callbacks are queued, so its state says which of the two it is.
class DoneCallbackBase {
 public:
  DoneCallbackBase() noexcept = default;
  DoneCallbackBase(DoneCallbackBase&& other) noexcept
      : future(std::exchange(other.future, nullptr)) {}
  DoneCallbackBase& operator=(DoneCallbackBase&&) = delete;
  inline ~DoneCallbackBase();

  FutureState* future = nullptr;  // set when the entry has been made
};

/// What all futures share, whatever they hold: asyncio's Future without the
/// type. State, callbacks, exception.
///
///   pending --set_result, set_exception--> finished
///   pending --cancel--------------------> cancelled
///
/// Neither of the two ends is ever left. Callbacks wait here as entries of the
/// loop, made when they were added, and are moved to the ready queue in one
/// go: that cannot fail and costs nothing per callback but its flags.
class FutureState : public InBlockPool {
 public:
  enum class Status : std::uint8_t { kPending, kCancelled, kFinished };

  explicit FutureState(LoopState& home) noexcept : home_(home) {
    home_.add_reference();
  }
  FutureState(const FutureState&) = delete;
  FutureState& operator=(const FutureState&) = delete;
  virtual ~FutureState() {
    if (last_callback_ != nullptr) [[unlikely]]
      drop_callbacks();
    home_.release();
  }

  // -- how long it lives --

  void add_reference() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) dispose();
  }
  std::uint32_t references() const noexcept { return references_; }

  // -- state --

  bool pending() const noexcept { return status_ == Status::kPending; }
  bool done() const noexcept { return status_ != Status::kPending; }
  bool cancelled() const noexcept { return status_ == Status::kCancelled; }
  bool is_task() const noexcept { return is_task_; }
  /// Throws RuntimeError if the loop has been destroyed.
  EventLoop& loop() const {
    if (home_.loop == nullptr) refuse_loop();
    return *home_.loop;
  }
  LoopState& home() const noexcept { return home_; }

  /// asyncio's cancel(): `error` is null, or holds the CancelledError to
  /// throw. Returns whether there was something to cancel.
  virtual bool cancel(const std::exception_ptr& error);
  /// The same from a destructor: on a loop that is closing it does nothing.
  void cancel_quietly() noexcept;
  /// What awaiting it throws: null if it has a result. Done only. Counts as
  /// having been read.
  std::exception_ptr failure() noexcept;
  /// asyncio's exception().
  std::exception_ptr exception();
  /// Whether awaiting it throws. Done only.
  bool is_failed() const noexcept {
    return exception_ != nullptr || status_ == Status::kCancelled;
  }
  /// Whether it has ended with an exception. Does not count as reading it.
  bool has_exception() const noexcept {
    return status_ == Status::kFinished && exception_ != nullptr;
  }
  /// Its exception is not reported as never retrieved.
  void mark_retrieved() noexcept { log_exception_ = false; }
  /// asyncio's result(), without the value. Throws.
  void check_result() {
    if (status_ != Status::kFinished || exception_ != nullptr) throw_result();
  }
  /// asyncio's set_exception(). `error` is not null.
  void set_exception(std::exception_ptr error);
  /// Throws InvalidStateError("invalid state") if it is done, and what
  /// scheduling may throw. After it, finish() does not fail.
  void check_settable() const {
    if (done()) [[unlikely]]
      refuse_second_result();
    check_schedulable();
  }
  /// Becomes finished, after check_settable(); a value is in its place.
  void finish() noexcept;

  // -- callbacks --

  /// Adds `entry`, a reference to it included. Its callable is a
  /// DoneCallbackBase of this future. Throws if it cannot be queued, when done
  /// (the entry is dropped).
  void add_entry(Entry* entry);
  /// Takes `entry` out if it still waits here. Returns whether it did.
  bool remove_entry(Entry* entry) noexcept;
  /// Calls `visit(Entry&)` for each callback that waits, oldest first, until
  /// it returns false.
  template <class Visit>
  void for_each_callback(Visit&& visit) const {
    if (last_callback_ == nullptr) return;
    Entry* entry = last_callback_->next;
    while (true) {
      Entry* next = entry->next;
      const bool last = entry == last_callback_;
      if (!entry->has(Entry::kCancelled) && !visit(*entry)) return;
      if (last) return;
      entry = next;
    }
  }

  // -- text --

  /// asyncio's repr.
  virtual std::string description() const;
  /// What the repr begins with.
  virtual const char* type_name() const noexcept { return "Future"; }

 protected:
  /// The last reference has gone.
  virtual void dispose() noexcept;
  /// The result as repr() shows it.
  virtual std::string result_description() const { return "None"; }
  /// `finished result=1 cb=[f() at file.cc:8]`, as asyncio's
  /// _future_repr_info.
  std::string state_description(const char* pending) const;
  std::string tail_description() const;

  /// asyncio's Future.cancel(), which a subclass may have another idea of.
  bool cancel_pending(const std::exception_ptr& error);
  /// Throws if callbacks wait that the loop does not take.
  void check_schedulable() const {
    if (last_callback_ != nullptr) LoopAccess::check_usable(loop());
  }
  /// After check_schedulable().
  void schedule_callbacks() noexcept;
  /// Tells the loop's exception handler of an exception nobody read.
  void report_never_retrieved() noexcept;
  [[noreturn]] void throw_result();
  [[noreturn]] static void refuse_loop();
  [[noreturn]] static void refuse_second_result();
  void drop_callbacks() noexcept;

  LoopState& home_;
  Entry* last_callback_ = nullptr;  // of a ring: its next is the first
  std::exception_ptr exception_;    // when cancelled: null if without message
  std::uint32_t references_ = 1;
  Status status_ = Status::kPending;
  bool log_exception_ = false;
  bool is_task_ = false;
  // Of a task; here because there is room.
  bool must_cancel_ = false;
  bool log_destroy_pending_ = true;
  bool in_list_ = false;
  bool has_body_ = false;
  std::uint32_t cancels_requested_ = 0;
};

inline DoneCallbackBase::~DoneCallbackBase() {
  if (future != nullptr && future->done()) future->release();
}

/// The entry of `call`, a DoneCallbackBase, on its way into `future`'s list.
template <class Call>
Entry* make_done_entry(FutureState& future, Call&& call,
                       std::source_location where) {
  Entry* entry =
      LoopAccess::make_entry(future.loop(), std::forward<Call>(call), where);
  entry->callback.target<std::decay_t<Call>>()->future = &future;
  return entry;
}

/// Binds the callback of `entry`, which is on its way into `future`'s list, to
/// the current context. Drops the entry if that throws.
void bind_done_entry(FutureState& future, Entry* entry);

/// A user's done callback: `function` is called with the future.
template <class F, class FutureHandle>
class DoneCallback : public DoneCallbackBase {
 public:
  template <class G>
  explicit DoneCallback(std::in_place_t, G&& callable)
      : function(std::forward<G>(callable)) {}
  DoneCallback(DoneCallback&&) = default;

  void operator()() {
    future->add_reference();
    FutureHandle handle(*future);
    static_cast<void>(std::invoke(function, std::move(handle)));
  }

  std::string description() const {
    if constexpr (requires { function.bound_description(); }) {
      return function.bound_description() + "()";
    } else if constexpr (requires { function.description(); }) {
      return function.description();
    } else {
      return callable_name(function) + "()";
    }
  }

  F function;
};

/// A future, or a task, with room for what it gives.
template <class Base, class T>
class WithValue : public Base {
 public:
  template <class... Args>
  explicit WithValue(Args&&... args) : Base(std::forward<Args>(args)...) {}
  ~WithValue() override {
    if (this->status_ == FutureState::Status::kFinished &&
        this->exception_ == nullptr) {
      value.~T();
    }
  }
  WithValue(const WithValue&) = delete;
  WithValue& operator=(const WithValue&) = delete;

  union {
    T value;
  };

 protected:
  std::string result_description() const override { return repr_result(value); }
};

template <class Base>
class WithValue<Base, void> : public Base {
 public:
  using Base::Base;
};

}  // namespace rondo::detail
