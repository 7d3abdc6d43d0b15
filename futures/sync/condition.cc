// SPDX-License-Identifier: MIT
#include "futures/sync/condition.h"

#include "futures/errors.h"
#include "reactor/errors.h"

namespace rondo {

Step Condition::Wait::step(Resumption& resumption) {
  if (!waiter_.active()) return begin(resumption);
  waiter_.check_owner(resumption, "Condition");
  if (!acquire_.has_value()) {
    error_ = resumption.take_error();
    waiter_.move_to(condition_->acquiring_);
    acquire_.emplace(condition_->lock_);
  }
  return acquire_again(resumption);
}

Step Condition::Wait::begin(Resumption& resumption) {
  resumption.check();
  if (!condition_->locked()) {
    throw RuntimeError("cannot wait on un-acquired lock");
  }
  condition_->binding_.bind(resumption, *condition_);
  waiter_.begin(resumption, condition_->waiters_);
  hold_ = condition_->lock_.hold_;
  condition_->release();
  return waiter_.wait();
}

/// The lock must be acquired again even if the wait was cancelled, and if the
/// acquiring is: the last error is thrown when that is done.
Step Condition::Wait::acquire_again(Resumption& resumption) {
  try {
    while (true) {
      try {
        // NOLINTNEXTLINE(bugprone-unchecked-optional-access): see step()
        const Step step = acquire_->step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
        break;
      } catch (const CancelledError&) {
        error_ = std::current_exception();
        acquire_.emplace(condition_->lock_);
      }
    }
    condition_->lock_.hold_ = hold_;
    if (error_ != nullptr) std::rethrow_exception(std::move(error_));
  } catch (...) {
    // It may have been notified, and cannot follow: so that somebody does.
    const bool orphaned = waiter_.orphaned();
    waiter_.end();
    if (!orphaned) condition_->wake_up(1);
    throw;
  }
  waiter_.end();
  return Step::done();
}

Condition::Wait::~Wait() {
  if (!waiter_.in_line()) return;
  const bool notified = waiter_.woken();
  acquire_.reset();
  waiter_.end();
  if (notified) {
    detail::pass_on_safely([this] { condition_->wake_up(1); });
  }
}

void Condition::notify(std::size_t count) {
  if (!locked()) throw RuntimeError("cannot notify on un-acquired lock");
  wake_up(count);
}

void Condition::wake_up(std::size_t count) {
  detail::Waiter* waiter = waiters_.front();
  for (; count > 0 && waiter != nullptr; waiter = waiter->next()) {
    if (!waiter->done() && waiter->wake()) --count;
  }
}

std::string to_string(const Condition& condition) {
  return detail::describe_primitive("Condition", &condition,
                                    condition.locked() ? "locked" : "unlocked",
                                    condition.waiters_.size());
}

}  // namespace rondo
