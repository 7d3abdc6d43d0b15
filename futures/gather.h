// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/internal/child_callback.h"
#include "futures/internal/range.h"
#include "futures/operation.h"
#include "futures/outcome.h"

namespace rondo {

/// For gather(): exceptions are results like others.
struct ReturnExceptions {
  explicit ReturnExceptions() = default;
};
/// `gather(return_exceptions, a(), b())`.
// NOLINTNEXTLINE(readability-identifier-naming): as asyncio writes it
inline constexpr ReturnExceptions return_exceptions{};

namespace detail {

/// A gather's children and what it makes of their ends, whatever their types.
class GatherBase : public ChildOwner, public LoopBound {
 public:
  /// One more child. The same one may come again.
  void add(AnyFuture child);
  /// All are there. Without any, it is done now.
  void begin();
  /// They could not be had: forgets those that are there, which go on.
  void give_up() noexcept;

  void on_child_done(FutureState& child) override;
  FutureState* awaiter() const noexcept override { return &self_; }
  const char* callback_name() const noexcept override {
    return "gather.<locals>._done_callback";
  }
  void abandon() noexcept override;

 protected:
  GatherBase(FutureState& self, bool with_exceptions) noexcept
      : self_(self), return_exceptions_(with_exceptions) {}
  ~GatherBase() override;

  bool cancel_children(const std::exception_ptr& error);
  /// Puts the results in their place.
  virtual void collect() = 0;

  template <class T>
  Future<T> child(std::size_t index) const {
    FutureState* state = children_[index].state();
    state->add_reference();
    return Future<T>(*state);
  }
  /// What it gives of a child: its value, or its Outcome.
  template <class Element, class T>
  Element element(std::size_t index) const {
    const Future<T> future = child<T>(index);
    if constexpr (!std::is_same_v<Element, ValueOrNone<T>>) {
      FutureState& state = *future.state();
      if (state.cancelled() || state.has_exception()) {
        return Element(failure_of(state));
      }
      return Element(value_of(future));
    } else {
      return value_of(future);
    }
  }
  std::size_t child_count() const noexcept { return children_.size(); }
  /// Of nothing it is a plain future, as in asyncio.
  const char* gather_name() const noexcept {
    return unique_ == 0 ? "Future" : "_GatheringFuture";
  }

 private:
  template <class T>
  static ValueOrNone<T> value_of(const Future<T>& future) {
    if constexpr (std::is_void_v<T>) {
      return None();
    } else {
      return future.take_result();
    }
  }
  class CancelWalk;

  static std::exception_ptr failure_of(FutureState& state);
  bool cancel_each(const std::exception_ptr& error);
  void end(std::exception_ptr error);
  void let_go() noexcept;

  FutureState& self_;
  std::vector<AnyFuture> children_;  // in the order of the arguments
  std::vector<Handle> callbacks_;    // theirs, until begin()
  std::size_t unique_ = 0;
  std::size_t finished_ = 0;
  const bool return_exceptions_;
  bool cancel_requested_ = false;
  bool linked_ = false;
  // See CancelWalk.
  bool in_walk_ = false;
  bool is_postponed_ = false;
  std::uint64_t walk_ = 0;  // the last that came here
  GatherBase* next_postponed_ = nullptr;
};

/// asyncio's _GatheringFuture, whose result is made by Collect.
template <class Result, class Collect>
class GatherState final : public WithValue<FutureState, Result>,
                          public GatherBase {
  using Base = WithValue<FutureState, Result>;

 public:
  GatherState(LoopState& home, bool with_exceptions)
      : Base(home), GatherBase(*this, with_exceptions) {}

  bool cancel(const std::exception_ptr& error) override {
    return this->pending() && this->cancel_children(error);
  }
  const char* type_name() const noexcept override {
    return this->gather_name();
  }

 private:
  friend Collect;
  void collect() override {
    ::new (static_cast<void*>(&this->value)) Result(Collect::collect(*this));
  }
};

/// A gather with return_exceptions that gives none of them: done when all of
/// `futures` are, whatever their types. Counts as reading their exceptions.
Future<void> gather_ends(EventLoop& loop,
                         const std::vector<AnyFuture>& futures);

template <bool kOutcomes, class T>
using GatherElement =
    std::conditional_t<kOutcomes, Outcome<ValueOrNone<T>>, ValueOrNone<T>>;

/// Of a pack: a tuple.
template <bool kOutcomes, class... T>
struct GatherPack {
  using Result = std::tuple<GatherElement<kOutcomes, T>...>;
  using State = GatherState<Result, GatherPack>;

  static Result collect(const State& state) {
    return collect(state, std::index_sequence_for<T...>());
  }
  template <std::size_t... kIndex>
  static Result collect(const State& state, std::index_sequence<kIndex...>) {
    return Result(
        state.template element<GatherElement<kOutcomes, T>, T>(kIndex)...);
  }

  template <class... Awaitable>
  static Future<Result> start(EventLoop& loop, Awaitable&&... awaitables) {
    auto* state = new State(LoopState::of(loop), kOutcomes);
    Future<Result> future(*state);
    try {
      (state->add(ensure_future(loop, std::forward<Awaitable>(awaitables))),
       ...);
      state->begin();
    } catch (...) {
      state->give_up();
      throw;
    }
    return future;
  }
};

/// Of a range: a vector.
template <bool kOutcomes, class T>
struct GatherRange {
  using Result = std::vector<GatherElement<kOutcomes, T>>;
  using State = GatherState<Result, GatherRange>;

  static Result collect(const State& state) {
    Result result;
    result.reserve(state.child_count());
    for (std::size_t index = 0; index < state.child_count(); ++index) {
      result.push_back(
          state.template element<GatherElement<kOutcomes, T>, T>(index));
    }
    return result;
  }

  template <class R>
  static Future<Result> start(EventLoop& loop, R&& awaitables) {
    auto* state = new State(LoopState::of(loop), kOutcomes);
    Future<Result> future(*state);
    try {
      for (auto&& awaitable : awaitables) {
        if constexpr (std::is_lvalue_reference_v<R>) {
          state->add(ensure_future(loop, awaitable));
        } else {
          state->add(ensure_future(loop, std::move(awaitable)));
        }
      }
      state->begin();
    } catch (...) {
      state->give_up();
      throw;
    }
    return future;
  }
};

template <class A>
concept GatherArgument = requires { typename std::decay_t<A>::value_type; } &&
                         (kIsFuture<std::decay_t<A>> || !Range<A>);

/// The loop to gather on: that of the first future, else the running one.
template <class... A>
EventLoop& loop_of(const A&... awaitables) {
  EventLoop* loop = nullptr;
  [[maybe_unused]] const auto look = [&](const auto& awaitable) {
    if constexpr (kIsFuture<std::decay_t<decltype(awaitable)>>) {
      if (loop == nullptr) loop = &awaitable.get_loop();
    }
  };
  (look(awaitables), ...);
  return loop != nullptr ? *loop : get_running_loop();
}

}  // namespace detail

/// Runs all of them beside each other, and gives their results in the order of
/// the arguments: a std::tuple, with None for void. What is not a future is
/// made a task.
///
///     auto [a, b] = result_of_gather;     // of: co_await gather(f(), g())
///
/// The first exception is gather's at once; the others go on, and their
/// results are dropped. A cancelled one counts as an exception. Cancelling the
/// gather cancels all that are not done; it then ends when they have ended.
/// With return_exceptions, exceptions are results: Outcome<T> each.
///
/// Source: asyncio.gather of CPython 3.11.
template <detail::GatherArgument... Awaitable>
auto gather(Awaitable&&... awaitables) {
  return detail::GatherPack<false, AwaitResult<Awaitable>...>::start(
      detail::loop_of(awaitables...), std::forward<Awaitable>(awaitables)...);
}
/// The same on `loop`, which need not run yet.
template <detail::GatherArgument... Awaitable>
auto gather(EventLoop& loop, Awaitable&&... awaitables) {
  return detail::GatherPack<false, AwaitResult<Awaitable>...>::start(
      loop, std::forward<Awaitable>(awaitables)...);
}
/// See the first gather().
template <detail::GatherArgument... Awaitable>
auto gather(ReturnExceptions, Awaitable&&... awaitables) {
  return detail::GatherPack<true, AwaitResult<Awaitable>...>::start(
      detail::loop_of(awaitables...), std::forward<Awaitable>(awaitables)...);
}
/// See the first gather().
template <detail::GatherArgument... Awaitable>
auto gather(EventLoop& loop, ReturnExceptions, Awaitable&&... awaitables) {
  return detail::GatherPack<true, AwaitResult<Awaitable>...>::start(
      loop, std::forward<Awaitable>(awaitables)...);
}

/// gather() of a range of awaitables of one type: gives a std::vector. Of an
/// rvalue they are moved out.
template <detail::Range Awaitables>
  requires(!detail::GatherArgument<Awaitables>)
auto gather(Awaitables&& awaitables) {
  using T = AwaitResult<detail::RangeValue<Awaitables>>;
  return detail::GatherRange<false, T>::start(
      get_running_loop(), std::forward<Awaitables>(awaitables));
}
/// The same on `loop`, which need not run yet.
template <detail::Range Awaitables>
  requires(!detail::GatherArgument<Awaitables>)
auto gather(EventLoop& loop, Awaitables&& awaitables) {
  using T = AwaitResult<detail::RangeValue<Awaitables>>;
  return detail::GatherRange<false, T>::start(
      loop, std::forward<Awaitables>(awaitables));
}
/// See the first gather().
template <detail::Range Awaitables>
  requires(!detail::GatherArgument<Awaitables>)
auto gather(ReturnExceptions, Awaitables&& awaitables) {
  using T = AwaitResult<detail::RangeValue<Awaitables>>;
  return detail::GatherRange<true, T>::start(
      get_running_loop(), std::forward<Awaitables>(awaitables));
}
/// See the first gather().
template <detail::Range Awaitables>
  requires(!detail::GatherArgument<Awaitables>)
auto gather(EventLoop& loop, ReturnExceptions, Awaitables&& awaitables) {
  using T = AwaitResult<detail::RangeValue<Awaitables>>;
  return detail::GatherRange<true, T>::start(
      loop, std::forward<Awaitables>(awaitables));
}

}  // namespace rondo
