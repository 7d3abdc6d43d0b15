// SPDX-License-Identifier: MIT
#include "futures/race.h"

#include <stdexcept>

#include "futures/errors.h"

namespace rondo::detail {

/// However a callback ends.
struct RaceBase::WakesAtTheEnd {
  ~WakesAtTheEnd() { race.wake_if_over(); }
  RaceBase& race;
};

RaceBase::~RaceBase() {
  timer_.cancel();
  for (const Child& child : children_) {
    ChildCallback::remove(*child.future.state(), child.callback);
    child.future.state()->cancel_quietly();
  }
}

Step RaceBase::step_race(Resumption& resumption) {
  if (task_ == nullptr) {
    resumption.check();
    if (attempts_ == 0) throw std::invalid_argument("race: no attempts");
    task_ = &resumption.task_state();
    // All memory now: what hears of an end must not fail.
    children_.reserve(attempts_);
    errors_.reserve(attempts_);
    begin_next();
  } else if (resumption.error() != nullptr) {
    cancelled_ = resumption.take_error();
    timer_.cancel();
    cancel_all();
  }
  const bool over = winner_ || cancelled_ != nullptr || begun_ == attempts_;
  if (!over || running_ > 0) {
    waiter_ = Future<void>(resumption.loop());
    return Step::wait(waiter_);
  }
  children_.clear();
  if (cancelled_ != nullptr) std::rethrow_exception(cancelled_);
  if (!winner_) {
    throw ExceptionGroup("race: every attempt failed", std::move(errors_));
  }
  return Step::done();
}

/// Begins attempts until one is on its way.
void RaceBase::begin_next() {
  timer_.cancel();
  const WakesAtTheEnd guard{*this};
  while (begun_ < attempts_) {
    try {
      add_child(begin_attempt(begun_++));
    } catch (...) {
      const std::exception_ptr error = std::current_exception();
      if (error == nullptr || is_exit_error(error)) throw;
      errors_.push_back(error);
      continue;
    }
    if (stagger_ && *stagger_ <= Duration::zero()) continue;
    break;
  }
  arm_next();
}

void RaceBase::add_child(const AnyFuture& attempt) {
  children_.push_back({attempt, Handle()});
  try {
    children_.back().callback = ChildCallback::add(*attempt.state(), *this);
  } catch (...) {
    children_.pop_back();
    attempt.state()->cancel_quietly();  // nobody would hear of its end
    throw;
  }
  ++running_;
}

void RaceBase::arm_next() {
  if (begun_ == attempts_ || !stagger_) return;
  timer_ = task_->loop().call_later(*stagger_, [this] { begin_next(); });
}

void RaceBase::on_child_done(FutureState& child) {
  --running_;
  const WakesAtTheEnd guard{*this};
  if (winner_ || cancelled_ != nullptr) {
    child.mark_retrieved();
  } else if (child.is_failed()) {
    errors_.push_back(child.failure());
    begin_next();
  } else {
    child.add_reference();
    winner_ = AnyFuture(child);
    timer_.cancel();
    cancel_all();
  }
}

void RaceBase::cancel_all() {
  for (std::size_t index = 0; index < children_.size(); ++index) {
    AnyFuture(children_[index].future).cancel();
  }
}

void RaceBase::wake_if_over() noexcept {
  if (running_ > 0 || !waiter_ || waiter_.done()) return;
  try {
    waiter_.set_result();
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // The loop is closed, and who waits has gone with it.
  }
}

}  // namespace rondo::detail
