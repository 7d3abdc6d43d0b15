// SPDX-License-Identifier: MIT
#include "futures/sync/lock.h"

#include "reactor/errors.h"

namespace rondo {

Step Lock::Acquire::step(Resumption& resumption) {
  if (!waiter_.active()) {
    resumption.check();
    if (!lock_->locked_ && lock_->waiters_.all_cancelled()) {
      lock_->take();
      return Step::done();
    }
    lock_->binding_.bind(resumption, *lock_);
    waiter_.begin(resumption, lock_->waiters_);
    return waiter_.wait();
  }
  waiter_.check_owner(resumption, "Lock");
  waiter_.end();
  if (resumption.error() != nullptr) {
    // Out of the line before, as it must not wake itself.
    if (!lock_->locked_) lock_->wake_up_first();
    resumption.check();
  }
  lock_->take();
  return Step::done();
}

Lock::Acquire::~Acquire() {
  if (!waiter_.in_line()) return;
  waiter_.end();
  if (!lock_->locked_) {
    detail::pass_on_safely([&] { lock_->wake_up_first(); });
  }
}

void Lock::release() {
  if (!locked_) throw RuntimeError("Lock is not acquired.");
  wake_up_first();
  locked_ = false;
}

void Lock::release_if_held(std::uint64_t hold) noexcept {
  if (!locked_ || hold_ != hold) return;
  detail::pass_on_safely([&] { wake_up_first(); });
  locked_ = false;
}

// One that is done will run, and then either take the lock or, if it was
// cancelled, come here again.
void Lock::wake_up_first() {
  detail::Waiter* const first = waiters_.front();
  if (first != nullptr && !first->done()) first->wake();
}

std::string to_string(const Lock& lock) {
  return detail::describe_primitive("Lock", &lock,
                                    lock.locked_ ? "locked" : "unlocked",
                                    lock.waiters_.size());
}

}  // namespace rondo
