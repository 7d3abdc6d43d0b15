// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/errors.h"
#include "futures/internal/future_state.h"
#include "futures/internal/task_state.h"
#include "reactor/event_loop.h"

namespace rondo {

namespace detail {
[[noreturn]] void refuse_task_operation(const char* operation);
/// A CancelledError with a message. Throws std::bad_alloc.
std::exception_ptr cancelled_error(std::string message);
}  // namespace detail

/// A Future of whatever type: its state, but not its value.
///
/// A small value, copied freely: all copies mean the same future, as all of
/// Python's references do. `const` is that of the reference.
///
/// Threading: only on the thread of its loop.
/// Lifetime: may outlive the loop, and then cannot be awaited any more.
/// Cost: making a future, settling it and calling back allocate nothing in
///   steady state.
///
/// Source: asyncio.Future of CPython 3.11.
class AnyFuture {
 public:
  /// Means no future. Everything but assigning and asking is undefined.
  AnyFuture() noexcept = default;
  /// Means the same future as `other`.
  AnyFuture(const AnyFuture& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_reference();
  }
  /// Leaves `other` meaning none.
  AnyFuture(AnyFuture&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)) {}
  /// From now on means the same future as `other`.
  AnyFuture& operator=(AnyFuture other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~AnyFuture() {
    if (state_ != nullptr) state_->release();
  }

  /// Whether it means a future at all.
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// Whether both mean the same future, or both none.
  friend bool operator==(const AnyFuture& a, const AnyFuture& b) noexcept {
    return a.state_ == b.state_;
  }

  /// Whether it has a result, an exception, or was cancelled.
  bool done() const noexcept { return state_->done(); }
  /// Whether it was cancelled.
  bool cancelled() const noexcept { return state_->cancelled(); }

  /// Cancels it and queues its callbacks. Returns false, and changes nothing,
  /// if it was done. A task is only asked to cancel itself, see Task.
  bool cancel() const { return state_->cancel(nullptr); }
  /// The same, with a text for CancelledError::message().
  bool cancel(std::string message) const {
    return state_->cancel(detail::cancelled_error(std::move(message)));
  }

  /// The exception it ended with, or null if with a result. Throws
  /// InvalidStateError("Exception is not set.") while pending, CancelledError
  /// when cancelled. Counts as having read it.
  std::exception_ptr exception() const { return state_->exception(); }

  /// Ends it with an exception, and queues its callbacks. `error` may be an
  /// std::exception_ptr, or the exception itself. Throws InvalidStateError if
  /// it is done, std::invalid_argument for a null pointer, RuntimeError for a
  /// task.
  template <class E>
  void set_exception(E&& error) const {
    if constexpr (std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr>) {
      do_set_exception(std::forward<E>(error));
    } else {
      do_set_exception(std::make_exception_ptr(std::forward<E>(error)));
    }
  }

  /// Calls `callback(future)` when it is done: from the ready queue, never
  /// from inside this call or set_result(), in the order in which callbacks
  /// were added. If it is done already, the callback is queued at once.
  ///
  /// Dropping the Handle changes nothing; its cancel() takes the callback
  /// back, even when it is queued already. Throws std::bad_alloc, and
  /// RuntimeError if the future is done and the loop closed.
  template <class F>
    requires std::invocable<std::decay_t<F>&, AnyFuture>
  Handle add_done_callback(
      F&& callback,
      std::source_location where = std::source_location::current()) const {
    return add_callback<AnyFuture>(std::forward<F>(callback), where);
  }

  /// Takes a callback back that add_done_callback() gave. As in asyncio it has
  /// no effect on one that is queued already. Returns how many were removed.
  std::size_t remove_done_callback(const Handle& handle) const {
    detail::Entry* entry = detail::LoopAccess::entry(handle);
    return entry != nullptr && state_->remove_entry(entry) ? 1 : 0;
  }

  /// The loop it belongs to. Throws RuntimeError if that has been destroyed.
  EventLoop& get_loop() const { return state_->loop(); }

  /// Whether it is a Task.
  bool is_task() const noexcept { return state_->is_task(); }

  /// As asyncio's repr: `<Future finished result=1>`, `<Future pending
  /// cb=[f() at file.cc:8]>`.
  friend std::string to_string(const AnyFuture& future) {
    return future.state_ == nullptr ? "None" : future.state_->description();
  }

  /// For the library: takes over one reference.
  explicit AnyFuture(detail::FutureState& state) noexcept : state_(&state) {}
  /// For the library.
  detail::FutureState* state() const noexcept { return state_; }

 protected:
  void do_set_exception(std::exception_ptr error) const;

  template <class FutureHandle, class F>
  Handle add_callback(F&& callback, std::source_location where) const {
    using Call = detail::DoneCallback<std::decay_t<F>, FutureHandle>;
    detail::Entry* entry = detail::make_done_entry(
        *state_, Call(std::in_place, std::forward<F>(callback)), where);
    Handle handle = detail::LoopAccess::handle(entry);
    if (detail::contexts_in_use()) [[unlikely]] {
      detail::bind_done_entry(*state_, entry);
    }
    state_->add_entry(entry);
    return handle;
  }

  detail::FutureState* state_ = nullptr;
};

/// A value that is not there yet, and those who wait for it.
///
///     Future<int> answer(loop);
///     answer.add_done_callback([](Future<int> f) { show(f.result()); });
///     answer.set_result(42);   // the callback runs in the next pass
///
/// T is an object type or void; it may be movable only. See AnyFuture for
/// everything but the value.
///
/// An exception that nobody reads, by result(), exception() or an await, is
/// told to the loop's exception handler when the last copy is dropped.
template <class T>
class Future : public AnyFuture {
  static_assert(std::is_void_v<T> ||
                    (std::is_object_v<T> && std::is_nothrow_destructible_v<T>),
                "Future<T>: T is an object type or void; for a reference use "
                "std::reference_wrapper");

 public:
  /// What result() gives.
  using value_type = T;

  /// Means no future.
  Future() noexcept = default;
  /// A pending future of `loop`. asyncio's loop.create_future(). Works on a
  /// closed loop, too.
  explicit Future(EventLoop& loop)
      : AnyFuture(*new detail::WithValue<detail::FutureState, T>(
            detail::LoopState::of(loop))) {}

  /// Ends it with a value, made of `value`, and queues its callbacks; none of
  /// them runs before this returns. Throws InvalidStateError if it is done,
  /// RuntimeError for a task, and what making the value throws. Then nothing
  /// has changed.
  template <class V = T>
    requires(!std::is_void_v<T> && std::constructible_from<T, V>)
  void set_result(V&& value) const {
    check_no_task("set_result");
    state_->check_settable();
    ::new (static_cast<void*>(value_address())) T(std::forward<V>(value));
    state_->finish();
  }
  /// The same for Future<void>.
  void set_result() const
    requires std::is_void_v<T>
  {
    check_no_task("set_result");
    state_->check_settable();
    state_->finish();
  }

  /// The value. Throws what the future ended with: its exception, or
  /// CancelledError; InvalidStateError("Result is not set.") while pending.
  std::add_lvalue_reference_t<const T> result() const& {
    state_->check_result();
    if constexpr (!std::is_void_v<T>) return *value_address();
  }
  /// The value by itself: moved out if this is the last reference to the
  /// future, or if T can only be moved; else a copy.
  T result() && { return take_result(); }

  /// See result() &&.
  T take_result() const {
    state_->check_result();
    if constexpr (!std::is_void_v<T>) {
      T& value = *value_address();
      if constexpr (std::is_copy_constructible_v<T>) {
        if (state_->references() > 1) return T(std::as_const(value));
      }
      return T(std::move(value));
    }
  }

  /// As AnyFuture's; the callback is given the Future<T>.
  template <class F>
    requires std::invocable<std::decay_t<F>&, Future<T>>
  Handle add_done_callback(
      F&& callback,
      std::source_location where = std::source_location::current()) const {
    return add_callback<Future<T>>(std::forward<F>(callback), where);
  }

  using AnyFuture::remove_done_callback;
  /// Takes every callback back that is this function, as asyncio does for
  /// equal ones. Returns how many.
  template <class R, class A>
  std::size_t remove_done_callback(R (*function)(A)) const {
    using Call = detail::DoneCallback<R (*)(A), Future<T>>;
    std::size_t removed = 0;
    detail::Entry* found;
    do {
      found = nullptr;
      state_->for_each_callback([&](detail::Entry& entry) {
        const Call* call =
            detail::unbound(entry.callback).template target<Call>();
        if (call != nullptr && call->function == function) found = &entry;
        return found == nullptr;
      });
      if (found != nullptr && state_->remove_entry(found)) ++removed;
    } while (found != nullptr);
    return removed;
  }

  /// For the library: takes over one reference.
  explicit Future(detail::FutureState& state) noexcept : AnyFuture(state) {}

 protected:
  void check_no_task(const char* operation) const {
    if (state_->is_task()) detail::refuse_task_operation(operation);
  }
  /// Where the value is, or will be.
  std::add_pointer_t<T> value_address() const noexcept {
    using detail::WithValue;
    if (state_->is_task()) {
      return &static_cast<WithValue<detail::TaskState, T>*>(state_)->value;
    }
    return &static_cast<WithValue<detail::FutureState, T>*>(state_)->value;
  }
};

/// asyncio's loop.create_future().
template <class T>
Future<T> create_future(EventLoop& loop) {
  return Future<T>(loop);
}

}  // namespace rondo
