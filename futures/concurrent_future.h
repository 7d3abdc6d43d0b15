// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/errors.h"
#include "futures/internal/concurrent_state.h"

namespace rondo {

/// A value that is not there yet, for threads that have no loop: they may
/// block until it is.
///
///     ConcurrentFuture<int> answer;
///     std::thread([answer] { answer.set_result(42); }).detach();
///     int n = answer.result();         // waits for the other thread
///     int n = answer.result(500ms);    // at most so long: TimeoutError
///
/// A small value, copied freely: all copies mean the same future. In a loop
/// nobody may block: there wrap_future() makes a Future of it.
///
/// Threading: any thread.
/// Cost: one allocation.
///
/// Source: concurrent.futures.Future of CPython 3.11.
template <class T>
class ConcurrentFuture {
  static_assert(std::is_void_v<T> ||
                    (std::is_object_v<T> && std::is_nothrow_destructible_v<T>),
                "ConcurrentFuture<T>: T is an object type or void");

 public:
  /// What result() gives.
  using value_type = T;

  /// A pending one.
  ConcurrentFuture() : state_(std::make_shared<State>()) {}

  /// Cancels it and calls its callbacks. Returns false, and changes nothing,
  /// if it runs or has ended; true if it was cancelled before.
  bool cancel() const { return State::cancel(state_); }
  /// Whether it was cancelled.
  bool cancelled() const noexcept { return state_->cancelled(); }
  /// Whether set_running_or_notify_cancel() was called, and it has not ended.
  bool running() const noexcept { return state_->running(); }
  /// Whether it has a result, an exception, or was cancelled.
  bool done() const noexcept { return state_->done(); }

  /// Waits until it is done, and gives a copy of the value, or the value
  /// itself if it can only be moved (ask once then). Throws what it ended
  /// with: its exception, or CancelledError. A loop on this thread stands
  /// still meanwhile; if that loop is to bring the value, it never comes.
  T result() const { return get_result(Duration::max()); }
  /// The same, but waits no longer than `timeout` of real time: TimeoutError.
  T result(Delay timeout) const { return get_result(timeout.value()); }

  /// Waits until it is done, and gives its exception, or null. Throws
  /// CancelledError.
  std::exception_ptr exception() const {
    state_->wait(Duration::max());
    return state_->exception();
  }
  /// The same, but waits no longer than `timeout`: TimeoutError.
  std::exception_ptr exception(Delay timeout) const {
    state_->wait(timeout.value());
    return state_->exception();
  }

  /// Calls `callback(future)` when it is done: on the thread that ends it,
  /// from inside set_result(), set_exception() or cancel(), in the order
  /// added; or at once, here, if it is done. What it throws is logged. So
  /// keep it short, and hand over to a loop what belongs there.
  template <class F>
    requires std::invocable<std::decay_t<F>&, ConcurrentFuture>
  void add_done_callback(F&& callback) const {
    State::add_callback(
        state_, [function = std::decay_t<F>(std::forward<F>(callback))](
                    const detail::ConcurrentState::StatePtr& state) mutable {
          static_cast<void>(std::invoke(
              function,
              ConcurrentFuture(std::static_pointer_cast<State>(state))));
        });
  }

  /// For who computes the value, before: from now on it cannot be cancelled.
  /// Returns false if it was, and then there is nothing to do. Throws
  /// RuntimeError the second time.
  bool set_running_or_notify_cancel() const {
    return state_->set_running_or_notify_cancel();
  }
  /// Ends it with a value, made of `value`, and calls its callbacks. Throws
  /// InvalidStateError if it is done, and what making the value throws: then
  /// nothing has changed.
  template <class V = T>
    requires(!std::is_void_v<T> && std::constructible_from<T, V>)
  void set_result(V&& value) const {
    state_->claim();
    try {
      state_->value.emplace(std::forward<V>(value));
    } catch (...) {
      state_->give_back();
      throw;
    }
    State::finish(state_, nullptr);
  }
  /// The same for ConcurrentFuture<void>.
  void set_result() const
    requires std::is_void_v<T>
  {
    state_->claim();
    State::finish(state_, nullptr);
  }
  /// Ends it with an exception, and calls its callbacks. `error` may be an
  /// std::exception_ptr, not null, or the exception itself. Throws
  /// InvalidStateError if it is done.
  template <class E>
  void set_exception(E&& error) const {
    std::exception_ptr pointer;
    if constexpr (std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr>) {
      pointer = std::forward<E>(error);
    } else {
      pointer = std::make_exception_ptr(std::forward<E>(error));
    }
    state_->claim();
    State::finish(state_, std::move(pointer));
  }

  /// Whether both mean the same future.
  friend bool operator==(const ConcurrentFuture& a,
                         const ConcurrentFuture& b) noexcept {
    return a.state_ == b.state_;
  }
  /// As Python's repr: `<Future at 0x7f... state=finished returned int>`.
  friend std::string to_string(const ConcurrentFuture& future) {
    return future.state_->description();
  }
  /// For the library: it, without keeping it.
  std::weak_ptr<detail::ConcurrentState> weak_state() const noexcept {
    return state_;
  }

 private:
  using State = detail::ConcurrentValue<T>;
  explicit ConcurrentFuture(std::shared_ptr<State> state) noexcept
      : state_(std::move(state)) {}

  T get_result(Duration timeout) const {
    state_->wait(timeout);
    state_->check_result();
    if constexpr (std::is_copy_constructible_v<T>) {
      return T(*state_->value);
    } else if constexpr (!std::is_void_v<T>) {
      return T(std::move(*state_->value));
    }
  }

  std::shared_ptr<State> state_;
};

}  // namespace rondo
