// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <system_error>

#include "futures/internal/block_pool.h"
#include "reactor/event_loop.h"

namespace rondo {

class ThreadPool;

namespace detail {

class TaskState;

/// Something that the loop has to tell of what happens to it: a future that
/// keeps other futures, and is kept by their callbacks (a gather, a shield;
/// the end of the loop undoes that circle), or a transport.
class LoopBound {
 public:
  LoopBound() noexcept = default;
  LoopBound(const LoopBound&) = delete;
  LoopBound& operator=(const LoopBound&) = delete;
  virtual ~LoopBound() = default;

  /// Lets go of the futures it waits for, and is not in the list any more.
  virtual void abandon() noexcept = 0;
  /// See LoopExtension::on_lost_descriptor().
  virtual void on_lost_descriptor(int fd, std::errc error) noexcept {
    static_cast<void>(fd);
    static_cast<void>(error);
  }

 private:
  friend class LoopState;
  LoopBound* next_ = nullptr;
  LoopBound* previous_ = nullptr;
};

/// What this layer keeps for a loop: its tasks, the one that runs now, and its
/// default executor.
///
/// Counted by hand: each future of the loop holds a reference, so that one
/// that outlives its loop finds `loop` null instead of a loop that is gone.
class LoopState {
 public:
  /// That of `loop`, made when first asked for.
  static LoopState& of(EventLoop& loop);
  LoopState(const LoopState&) = delete;
  LoopState& operator=(const LoopState&) = delete;

  void add_reference() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }

  /// Null once the loop has been destroyed.
  EventLoop* loop;
  /// The task whose step is on the stack, or null.
  TaskState* current_task = nullptr;
  /// All tasks that are not done, oldest first. The list owns a reference to
  /// each.
  TaskState* first_task = nullptr;
  TaskState* last_task = nullptr;
  /// Puts `bound` into the list of those that are told of the loop's end.
  void link(LoopBound& bound) noexcept;
  /// Takes it out.
  void unlink(LoopBound& bound) noexcept;
  /// What run_in_executor() uses if none is given. Made when first used.
  std::shared_ptr<ThreadPool> default_executor;
  bool executor_is_shut_down = false;
  /// What the layer above keeps.
  std::unique_ptr<LoopExtension> upper;
  /// A CancelledError without a message: throwing it allocates nothing.
  const std::exception_ptr cancelled_error;

 private:
  class Extension;

  explicit LoopState(EventLoop& owner);
  ~LoopState() = default;
  static LoopState& make(EventLoop& loop);
  void close() noexcept;
  void tell_lost(int fd, std::errc error) const noexcept;

  LoopBound* first_bound_ = nullptr;
  std::uint32_t references_ = 0;
};

/// The next number for a task without a name: one count per process.
std::uint64_t next_task_number() noexcept;

}  // namespace detail
}  // namespace rondo
