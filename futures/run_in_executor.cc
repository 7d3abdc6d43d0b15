// SPDX-License-Identifier: MIT
#include "futures/run_in_executor.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "reactor/errors.h"
#include "reactor/internal/log.h"

namespace rondo {

namespace detail {

void take_call_back(FutureLink& link, ThreadPool::Ticket& ticket) noexcept {
  link.drop();
  try {
    ticket.cancel();
  } catch (const RuntimeError&) {  // NOLINT(bugprone-empty-catch)
    // In a forked child, which has none of the threads.
  }
}

ThreadPool& default_executor(EventLoop& loop) {
  LoopState& home = LoopState::of(loop);
  if (home.executor_is_shut_down) {
    throw RuntimeError("Executor shutdown has been called");
  }
  if (home.default_executor == nullptr) {
    // As concurrent.futures: enough for calls that mostly wait, and not as
    // many as a large machine has processors.
    const std::size_t processors =
        std::max(1U, std::thread::hardware_concurrency());
    home.default_executor = std::make_shared<ThreadPool>(
        std::min<std::size_t>(32, processors + 4), "asyncio");
  }
  return *home.default_executor;
}

}  // namespace detail

void set_default_executor(EventLoop& loop, std::shared_ptr<ThreadPool> pool) {
  if (pool == nullptr) {
    throw std::invalid_argument("executor must be ThreadPool instance");
  }
  detail::LoopState& home = detail::LoopState::of(loop);
  const std::shared_ptr<ThreadPool> before =
      std::exchange(home.default_executor, std::move(pool));
  // Its end would wait for its threads. If it is ours alone, they end by
  // themselves.
  if (before.use_count() == 1) before->shutdown(Duration::zero());
}

ShutdownDefaultExecutor::~ShutdownDefaultExecutor() {
  if (joiner_ == nullptr) return;
  // Nobody waits any more: the thread goes on by itself.
  try {
    joiner_->shutdown(Duration::zero());
  } catch (const RuntimeError&) {  // NOLINT(bugprone-empty-catch)
    // In a forked child, which has none of the threads.
  }
}

Step ShutdownDefaultExecutor::step(Resumption& resumption) {
  resumption.check();
  if (ended_) {
    if (!ended_.result()) {
      log().warn(
          "The executor did not finishing joining its threads within {} "
          "seconds.",
          std::chrono::duration<double>(timeout_).count());
    }
    joiner_.reset();  // its thread has nothing left to do
    return Step::done();
  }
  detail::LoopState& home = detail::LoopState::of(*loop_);
  home.executor_is_shut_down = true;
  if (home.default_executor == nullptr) return Step::done();
  joiner_ = std::make_unique<ThreadPool>(1, "asyncio-end");
  ended_ =
      run_in_executor(*loop_, joiner_.get(),
                      [executor = home.default_executor, timeout = timeout_] {
                        return executor->shutdown(timeout);
                      });
  return Step::wait(ended_);
}

ShutdownDefaultExecutor shutdown_default_executor(EventLoop& loop,
                                                  Duration timeout) {
  return ShutdownDefaultExecutor(loop, timeout);
}

ShutdownDefaultExecutor shutdown_default_executor() {
  return shutdown_default_executor(get_running_loop());
}

}  // namespace rondo
