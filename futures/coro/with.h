// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/task_group.h"
#include "futures/timeout.h"
#include "futures/wait_for.h"

// Python's `async with`, for what has an enter() and an exit(). The block is a
// coroutine of its own, as a C++ destructor can neither wait nor change what
// is thrown.

namespace rondo {

namespace detail {

/// What a block gave or threw.
template <class T>
class BlockEnd {
 public:
  BlockEnd() = default;
  std::optional<T> value;
  std::exception_ptr error;
};
template <>
class BlockEnd<void> {
 public:
  BlockEnd() = default;
  std::exception_ptr error;
};

/// Enters `scope`. If that throws, `block` is dropped without a report.
template <class Scope, class T>
void enter(Scope& scope, Coro<T>& block) {
  try {
    scope.enter();
  } catch (...) {
    block.close();
    throw;
  }
}

/// Runs `block`; throws nothing.
template <class T>
Coro<BlockEnd<T>> run_block(Coro<T> block) {
  BlockEnd<T> end;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await block;
    } else {
      end.value.emplace(co_await block);
    }
  } catch (...) {
    end.error = std::current_exception();
  }
  co_return end;
}

}  // namespace detail

/// Runs `block` under `limit`: `async with limit:`. Throws TimeoutError if the
/// deadline came first.
template <class T>
Coro<T> with(Timeout& limit, Coro<T> block) {
  detail::enter(limit, block);
  auto end = co_await detail::run_block(std::move(block));
  const std::exception_ptr error = limit.exit(std::move(end.error));
  if (error != nullptr) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<T>) co_return std::move(*end.value);
}

namespace detail {

template <class T>
Coro<T> with_own(Timeout limit, Coro<T> block) {
  co_return co_await with(limit, std::move(block));
}

}  // namespace detail

/// The same with a Timeout that nobody else needs: `with(timeout(1), f())`.
template <class T>
Coro<T> with(Timeout&& limit, Coro<T> block) {
  return detail::with_own(std::move(limit), std::move(block));
}

/// Runs `block`, which makes tasks of `group`, and waits for all of them:
/// `async with group:`. Throws what TaskGroup::exit() throws; CancelledError if
/// TaskGroup::cancel() ended a block that was to give a value.
template <class T>
Coro<T> with(TaskGroup& group, Coro<T> block) {
  detail::enter(group, block);
  auto end = co_await detail::run_block(std::move(block));
  co_await group.exit(std::move(end.error));
  if constexpr (!std::is_void_v<T>) {
    if (!end.value) throw CancelledError();
    co_return std::move(*end.value);
  }
}

namespace detail {

/// A coroutine that does nothing but await.
template <class Awaitable>
Coro<AwaitResult<Awaitable>> as_coroutine(Awaitable awaitable) {
  co_return co_await awaitable;
}

template <class A>
concept NoCoroutine = kIsFuture<std::decay_t<A>> || TaskBody<std::decay_t<A>>;

}  // namespace detail

/// The same around a Future or an operation:
/// `with(timeout(1), lock.acquire())`.
template <class Scope, detail::NoCoroutine Awaitable>
Coro<AwaitResult<Awaitable>> with(Scope&& scope, Awaitable&& awaitable) {
  return with(std::forward<Scope>(scope),
              detail::as_coroutine<std::decay_t<Awaitable>>(
                  std::forward<Awaitable>(awaitable)));
}

/// wait_for() of a coroutine, which runs inside this task. See the other one.
template <class T>
Coro<T> wait_for(Coro<T> coro, Delay delay) {
  if (delay.value() <= Duration::zero()) {
    Task<T> task = create_task(std::move(coro));
    auto waiting = wait_for(std::move(task), delay);
    co_return co_await waiting;
  }
  Timeout limit = delay.value() == Duration::max() ? timeout_at(std::nullopt)
                                                   : timeout(delay);
  co_return co_await with(limit, std::move(coro));
}

}  // namespace rondo
