// SPDX-License-Identifier: MIT
#include "futures/sync/semaphore.h"

#include <stdexcept>

namespace rondo {

Semaphore::Semaphore(std::int64_t value, std::int64_t bound)
    : value_(value), bound_(bound) {
  if (value < 0) {
    throw std::invalid_argument("Semaphore initial value must be >= 0");
  }
}

Step Semaphore::Acquire::step(Resumption& resumption) {
  if (!waiter_.active()) {
    resumption.check();
    if (!semaphore_->locked()) {
      --semaphore_->value_;
      return Step::done();
    }
    semaphore_->binding_.bind(resumption, *semaphore_);
    waiter_.begin(resumption, semaphore_->waiters_);
    return waiter_.wait();
  }
  waiter_.check_owner(resumption, "Semaphore");
  if (resumption.error() != nullptr) {
    leave();
    resumption.check();
  }
  waiter_.end();
  // Those who were woken late: see gh-111693.
  while (semaphore_->value_ > 0 && semaphore_->wake_up_next()) {
  }
  return Step::done();
}

Semaphore::Acquire::~Acquire() {
  if (!waiter_.in_line()) return;
  detail::pass_on_safely([this] { leave(); });
}

/// Cancelled: the turn that it was given goes back, and to the next.
void Semaphore::Acquire::leave() {
  const bool had_turn = waiter_.woken();
  waiter_.end();
  if (had_turn) ++semaphore_->value_;
  while (semaphore_->value_ > 0 && semaphore_->wake_up_next()) {
  }
}

void Semaphore::release() {
  if (value_ >= bound_) {
    throw std::invalid_argument("BoundedSemaphore released too many times");
  }
  wake_up_next();
  ++value_;
}

/// Gives a turn to the first who waits; false if nobody does.
bool Semaphore::wake_up_next() {
  detail::Waiter* const waiter = waiters_.first_pending();
  if (waiter == nullptr || !waiter->wake()) return false;
  --value_;
  return true;
}

std::string to_string(const Semaphore& semaphore) {
  return detail::describe_primitive(
      semaphore.name(), &semaphore,
      semaphore.locked()
          ? "locked"
          : "unlocked, value:" + std::to_string(semaphore.value_),
      semaphore.waiters_.size());
}

}  // namespace rondo
