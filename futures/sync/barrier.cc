// SPDX-License-Identifier: MIT
#include "futures/sync/barrier.h"

#include <stdexcept>

namespace rondo {

Barrier::Barrier(int parties) : parties_(parties) {
  if (parties < 1) throw std::invalid_argument("parties must be > 0");
}

// -- wait --------------------------------------------------------------------

Step Barrier::Wait::step(Resumption& resumption) {
  if (visitor_.orphaned()) {
    // What it would leave is gone, with the lock and the condition.
    acquire_.reset();
    wait_.reset();
    visitor_.check_owner(resumption, "Barrier");
  }
  if (!visitor_.active()) {
    resumption.check();
    visitor_.enter(barrier_->visitors_);
    acquire_.emplace(barrier_->changed_.lock_);
  }
  try {
    const Step step = go_on(resumption);
    if (step.kind() != Step::Kind::kDone) return step;
  } catch (...) {
    barrier_->leave(visitor_);
    barrier_->changed_.lock_.release_if_held(hold_);
    throw;
  }
  barrier_->leave(visitor_);
  barrier_->changed_.lock_.release_if_held(hold_);
  return Step::done();
}

Step Barrier::Wait::go_on(Resumption& resumption) {
  Step step = Step::done();
  switch (phase_) {
    case Phase::kEntering:
      // NOLINTNEXTLINE(bugprone-unchecked-optional-access): see step()
      step = acquire_->step(resumption);
      if (step.kind() != Step::Kind::kDone) return step;
      hold_ = barrier_->changed_.lock_.hold_;
      phase_ = Phase::kHeldUp;
      [[fallthrough]];
    case Phase::kHeldUp:
      if (wait_.has_value()) {
        step = wait_->step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
      }
      if (barrier_->going()) {
        wait_.emplace(barrier_->changed_);
        return wait_->step(resumption);
      }
      wait_.reset();
      if (barrier_->broken()) throw BrokenBarrierError("Barrier aborted");
      come();
      phase_ = Phase::kWaiting;
      [[fallthrough]];
    case Phase::kWaiting:
      if (wait_.has_value()) {
        step = wait_->step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
      }
      if (barrier_->state_ == State::kFilling) {
        wait_.emplace(barrier_->changed_);
        return wait_->step(resumption);
      }
      if (barrier_->state_ != State::kDraining) {
        throw BrokenBarrierError("Abort or reset of barrier");
      }
  }
  return step;
}

/// Is one of the parties from now on; the last one lets them all go.
void Barrier::Wait::come() {
  index_ = visitor_.index = barrier_->lowest_free_index();
  if (++barrier_->count_ < barrier_->parties_) return;
  barrier_->state_ = State::kDraining;
  barrier_->changed_.notify_all();
}

Barrier::Wait::~Wait() {
  if (!visitor_.in_line()) return;
  // It does not hold the lock: it waits for it, or for the condition.
  wait_.reset();
  acquire_.reset();
  detail::pass_on_safely([this] { barrier_->leave(visitor_); });
}

int Barrier::lowest_free_index() const noexcept {
  if (!has_gaps_) return count_;
  for (int index = 0;; ++index) {
    bool taken = false;
    for (const detail::Waiter* visitor = visitors_.front(); visitor != nullptr;
         visitor = visitor->next()) {
      taken |= static_cast<const Visitor*>(visitor)->index == index;
    }
    if (!taken) return index;
  }
}

void Barrier::leave(Visitor& visitor) {
  visitor.end();
  if (visitor.index < 0) return;
  visitor.index = -1;
  has_gaps_ = state_ == State::kFilling && count_ > 1;
  if (--count_ > 0) return;
  if (going()) state_ = State::kFilling;
  changed_.wake_up(changed_.waiters_.size());
}

// -- reset, abort ------------------------------------------------------------

Step Barrier::Reset::step(Resumption& resumption) {
  const Step step = acquire_.step(resumption);
  if (step.kind() != Step::Kind::kDone) return step;
  const LockGuard guard = acquire_.result();
  barrier_->do_reset();
  return step;
}

Step Barrier::Abort::step(Resumption& resumption) {
  const Step step = acquire_.step(resumption);
  if (step.kind() != Step::Kind::kDone) return step;
  const LockGuard guard = acquire_.result();
  barrier_->do_abort();
  return step;
}

void Barrier::do_reset() {
  state_ = count_ > 0 ? State::kResetting : State::kFilling;
  changed_.notify_all();
}

void Barrier::do_abort() {
  state_ = State::kBroken;
  changed_.notify_all();
}

// -- text --------------------------------------------------------------------

std::string to_string(const Barrier& barrier) {
  static constexpr const char* kNames[] = {"filling", "draining", "resetting",
                                           "broken"};
  std::string state = kNames[static_cast<int>(barrier.state_)];
  if (!barrier.broken()) {
    state += ", waiters:" + std::to_string(barrier.n_waiting()) + "/" +
             std::to_string(barrier.parties_);
  }
  return detail::describe_primitive("Barrier", &barrier, std::move(state), 0);
}

}  // namespace rondo
