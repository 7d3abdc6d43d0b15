// SPDX-License-Identifier: MIT
#include "futures/internal/loop_state.h"

#include <atomic>
#include <memory>
#include <system_error>
#include <utility>

#include "futures/errors.h"
#include "futures/internal/task_state.h"
#include "reactor/internal/loop_access.h"
#include "reactor/internal/loop_extension.h"
#include "reactor/thread_pool.h"

namespace rondo::detail {

/// The loop's hold on its state.
class LoopState::Extension : public LoopExtension {
 public:
  explicit Extension(LoopState& state) noexcept : state_(state) {
    state_.add_reference();
  }
  ~Extension() override {
    state_.loop = nullptr;
    state_.release();
  }
  void on_close() noexcept override { state_.close(); }
  void on_lost_descriptor(int fd, std::errc error) noexcept override {
    state_.tell_lost(fd, error);
  }
  LoopState& state() noexcept { return state_; }

 private:
  LoopState& state_;
};

LoopState::LoopState(EventLoop& owner)
    : loop(&owner),
      cancelled_error(std::make_exception_ptr(CancelledError())) {}

LoopState& LoopState::of(EventLoop& loop) {
  if (LoopExtension* extension = LoopAccess::extension(loop)) [[likely]] {
    return static_cast<Extension*>(extension)->state();
  }
  return make(loop);
}

LoopState& LoopState::make(EventLoop& loop) {
  struct Delete {
    void operator()(LoopState* state) const noexcept { delete state; }
  };
  std::unique_ptr<LoopState, Delete> state(new LoopState(loop));
  auto extension = std::make_unique<Extension>(*state);
  LoopAccess::set_extension(loop, std::move(extension));
  return *state.release();
}

void LoopState::link(LoopBound& bound) noexcept {
  bound.next_ = first_bound_;
  if (first_bound_ != nullptr) first_bound_->previous_ = &bound;
  first_bound_ = &bound;
}

void LoopState::unlink(LoopBound& bound) noexcept {
  (bound.previous_ != nullptr ? bound.previous_->next_ : first_bound_) =
      bound.next_;
  if (bound.next_ != nullptr) bound.next_->previous_ = bound.previous_;
  bound.next_ = bound.previous_ = nullptr;
}

void LoopState::close() noexcept {
  // What a body lets go of may end other tasks, so always from the front.
  while (first_task != nullptr) first_task->abandon();
  while (first_bound_ != nullptr) first_bound_->abandon();
  if (upper != nullptr) upper->on_close();
  // Its threads end by themselves; run() waits for them before.
  if (default_executor != nullptr) {
    try {
      default_executor->shutdown(Duration::zero());
    } catch (...) {  // NOLINT(bugprone-empty-catch)
      // On a thread of that very pool: it goes on by itself.
    }
    default_executor.reset();
  }
}

/// Few descriptors are ever lost, so nobody pays for finding whose they were.
void LoopState::tell_lost(int fd, std::errc error) const noexcept {
  for (LoopBound* bound = first_bound_; bound != nullptr;
       bound = bound->next_) {
    bound->on_lost_descriptor(fd, error);
  }
}

std::uint64_t next_task_number() noexcept {
  static std::atomic<std::uint64_t> count{0};
  return count.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace rondo::detail
