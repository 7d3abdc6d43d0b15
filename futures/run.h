// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "futures/operation.h"
#include "reactor/event_loop.h"
#include "reactor/loop_options.h"

namespace rondo {

namespace detail {

/// Runs `loop` until `future` is done. `is_ours`: nobody else has it.
void run_until_done(EventLoop& loop, const AnyFuture& future, bool is_ours);

[[noreturn]] void refuse_run(const char* caller);

/// A coroutine that nobody can run is given up: it is not its fault that it
/// was never awaited.
template <class Awaitable>
void drop(Awaitable& awaitable) noexcept {
  if constexpr (requires { awaitable.close(); }) awaitable.close();
}

/// Throws RuntimeError if a loop runs on this thread.
template <class Awaitable>
void refuse_nested(Awaitable& awaitable, const char* caller) {
  if (find_running_loop() == nullptr) return;
  drop(awaitable);
  refuse_run(caller);
}

}  // namespace detail

/// Runs `loop` until `awaitable` is done, and gives its result; what is not a
/// future is made a task first. Other tasks stay suspended, and go on in the
/// next run.
/// Throws what it ended with; RuntimeError if the loop runs already, is
/// closed, or is stopped before ("Event loop stopped before Future
/// completed.").
///
/// Source: asyncio.loop.run_until_complete.
template <class Awaitable>
AwaitResult<Awaitable> run_until_complete(EventLoop& loop,
                                          Awaitable&& awaitable) {
  detail::LoopAccess::check_usable(loop);
  auto future = ensure_future(loop, std::forward<Awaitable>(awaitable));
  detail::run_until_done(loop, future,
                         !detail::kIsFuture<std::decay_t<Awaitable>>);
  return std::move(future).take_result();
}

/// A loop, and its end: runs one awaitable or several, and cleans up.
///
/// close(), or the end of the Runner: cancels all tasks that are left, waits
/// for them, and tells the exception handler of what they throw; waits for the
/// default executor's threads; closes the loop.
///
/// While run() runs on a thread that has SIGINT's default disposition, the
/// first Ctrl-C cancels the main task, which may clean up; run() then throws
/// KeyboardInterrupt (unless the task returned all the same). A second one
/// throws KeyboardInterrupt at once.
///
/// Source: asyncio.Runner of CPython 3.11.
class Runner {
 public:
  /// Makes a loop when it is first needed.
  explicit Runner(const LoopOptions& options = LoopOptions());
  /// Takes this loop: asyncio's loop_factory.
  explicit Runner(std::unique_ptr<EventLoop> loop);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  /// As close(). What that throws is lost: call close() to hear of it.
  ~Runner();

  /// Runs `awaitable` as the main task, and gives its result. Throws what it
  /// throws; RuntimeError from inside a running loop, or after close().
  template <class Awaitable>
  AwaitResult<Awaitable> run(Awaitable&& awaitable) {
    detail::refuse_nested(awaitable, "Runner.run()");
    EventLoop& loop = loop_for(awaitable);
    auto task = ensure_future(loop, std::forward<Awaitable>(awaitable));
    run_main(task);
    return std::move(task).take_result();
  }

  /// The loop. Throws RuntimeError after close().
  EventLoop& get_loop();
  /// See the class. No effect the second time.
  void close();

 private:
  /// get_loop(); a coroutine that cannot have it is dropped without a report.
  template <class Awaitable>
  EventLoop& loop_for(Awaitable& awaitable) {
    if (closed_) detail::drop(awaitable);
    return get_loop();
  }
  void run_main(const AnyFuture& main);

  LoopOptions options_;
  std::unique_ptr<EventLoop> loop_;
  bool closed_ = false;
};

namespace detail {

template <class Awaitable>
AwaitResult<Awaitable> run_and_close(Runner& runner, Awaitable&& main) {
  if constexpr (std::is_void_v<AwaitResult<Awaitable>>) {
    runner.run(std::forward<Awaitable>(main));
    runner.close();
  } else {
    AwaitResult<Awaitable> result = runner.run(std::forward<Awaitable>(main));
    runner.close();
    return result;
  }
}

}  // namespace detail

/// Runs `main` on a new loop, cleans up, and gives its result: the way into a
/// program. See Runner.
///
/// Source: asyncio.run of CPython 3.11.
template <class Awaitable>
AwaitResult<Awaitable> run(Awaitable&& main,
                           const LoopOptions& options = LoopOptions()) {
  detail::refuse_nested(main, "asyncio.run()");
  Runner runner(options);
  return detail::run_and_close(runner, std::forward<Awaitable>(main));
}

/// The same on `loop`, which it closes: a VirtualTimeLoop, for instance.
/// asyncio 3.12's loop_factory.
template <class Awaitable>
AwaitResult<Awaitable> run(Awaitable&& main, std::unique_ptr<EventLoop> loop) {
  detail::refuse_nested(main, "asyncio.run()");
  Runner runner(std::move(loop));
  return detail::run_and_close(runner, std::forward<Awaitable>(main));
}

}  // namespace rondo
