// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

#include "futures/task.h"
#include "reactor/clock.h"
#include "reactor/handle.h"

namespace rondo {

/// A deadline for a part of a task: asyncio's `async with timeout(1):`.
///
/// When the time is over, the task is cancelled, and exit() turns the
/// CancelledError that comes out of the block into a TimeoutError. A cancel
/// from outside stays a CancelledError, whenever it comes. With coroutines:
///
///     Timeout limit = timeout(1);
///     co_await with(limit, block());
///
/// and in a hand-written body: enter() before the part, exit() behind it.
///
/// Threading: on its loop's. Lifetime: until exit() it stays where it is.
/// Cost: a timer. Source: asyncio.timeouts.Timeout of CPython 3.12 (3.11 takes
/// a cancel from before the block for its own: gh-102780).
class Timeout {
 public:
  /// With a deadline, or none.
  explicit Timeout(std::optional<TimePoint> when) noexcept : when_(when) {}
  /// Before enter() only.
  Timeout(Timeout&& other) noexcept;
  Timeout& operator=(Timeout&&) = delete;
  /// Takes the timer back.
  ~Timeout() { handle_.cancel(); }

  /// The deadline.
  const std::optional<TimePoint>& when() const noexcept { return when_; }
  /// Moves the deadline; one that is over is due in the next pass. Throws
  /// RuntimeError before enter() and once it has expired or exited.
  void reschedule(std::optional<TimePoint> when);
  /// Whether the deadline has come before the end of the block.
  bool expired() const noexcept {
    return state_ == State::kExpiring || state_ == State::kExpired;
  }

  /// The block begins, in the current task. Throws RuntimeError outside of a
  /// task, or the second time.
  void enter();
  /// The block has ended, with `error` or with null. Returns what is to be
  /// thrown now: null, `error`, or a TimeoutError.
  std::exception_ptr exit(std::exception_ptr error);

  /// `<Timeout [active] when=1.5>`, as asyncio's repr.
  friend std::string to_string(const Timeout& timeout);

 private:
  enum class State : std::uint8_t {
    kCreated,
    kEntered,
    kExpiring,
    kExpired,
    kExited
  };

  void on_timeout();
  const char* state_name() const noexcept;

  State state_ = State::kCreated;
  std::optional<TimePoint> when_;
  unsigned cancelling_before_ = 0;
  AnyTask task_;
  ScopedHandle handle_;
};

/// A Timeout of `delay` from now on the running loop.
Timeout timeout(Delay delay);
/// A Timeout with a deadline on the clock of EventLoop::time(), or none.
Timeout timeout_at(std::optional<TimePoint> when);

}  // namespace rondo
