// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

#include "futures/future.h"
#include "futures/task.h"
#include "futures/task_body.h"

namespace rondo {

/// What asyncio writes as a coroutine function of its own, such as sleep() or
/// Lock.acquire(): a TaskBody that runs inside the task that awaits it.
///
/// Nothing happens until it is awaited, made a task, or started:
///
///     co_await lock.acquire();                    // inside this task
///     Task<void> task = create_task(lock.acquire());
///     Future<void> locked = lock.acquire();       // with callbacks: at once
///
/// Movable until then. Destroying one that waits takes it back, as a cancel
/// would.
template <class Derived, class T>
class [[nodiscard]] Operation {  // NOLINT(bugprone-crtp-*): operations only
 public:
  /// What awaiting it gives.
  using value_type = T;

  /// Begins now, on `loop`, as an eager task: what need not wait is done when
  /// this returns.
  Task<T> start(EventLoop& loop) && {
    return create_task(loop, static_cast<Derived&&>(*this),
                       TaskOptions().eager_start());
  }
  /// As start() on the running loop.
  operator Future<T>() && {  // NOLINT: a callback's way to use it
    return static_cast<Operation&&>(*this).start(get_running_loop());
  }
};

namespace detail {

/// Whether an awaitable is a Future or a Task already.
template <class A>
inline constexpr bool kIsFuture = std::is_base_of_v<AnyFuture, A>;

/// Throws std::invalid_argument if `future` is another loop's.
void check_same_loop(const EventLoop& loop, const AnyFuture& future);

}  // namespace detail

/// A Future or a Task as it is; anything else that can be awaited as a new
/// task of `loop`. Throws std::invalid_argument for a future of another loop.
template <class Awaitable>
auto ensure_future(EventLoop& loop, Awaitable&& awaitable) {
  if constexpr (detail::kIsFuture<std::decay_t<Awaitable>>) {
    detail::check_same_loop(loop, awaitable);
    return std::decay_t<Awaitable>(std::forward<Awaitable>(awaitable));
  } else {
    return create_task(loop, std::forward<Awaitable>(awaitable));
  }
}

/// The same on the running loop, which a future needs not.
template <class Awaitable>
auto ensure_future(Awaitable&& awaitable) {
  if constexpr (detail::kIsFuture<std::decay_t<Awaitable>>) {
    return std::decay_t<Awaitable>(std::forward<Awaitable>(awaitable));
  } else {
    return create_task(get_running_loop(), std::forward<Awaitable>(awaitable));
  }
}

namespace detail {

template <class A>
struct AwaitResultOf;
template <class A>
  requires requires { typename A::value_type; }
struct AwaitResultOf<A> {
  using Type = typename A::value_type;
};
template <TaskBody A>
  requires(!requires { typename A::value_type; })
struct AwaitResultOf<A> {
  using Type = BodyResult<A>;
};

}  // namespace detail

/// What awaiting an A gives.
template <class A>
using AwaitResult = typename detail::AwaitResultOf<std::decay_t<A>>::Type;

}  // namespace rondo
