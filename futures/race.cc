// SPDX-License-Identifier: MIT
#include "futures/race.h"

#include <stdexcept>

#include "futures/errors.h"

namespace rondo::detail {

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
    children_.reserve(attempts_);
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
  while (begun_ < attempts_) {
    try {
      AnyFuture attempt = begin_attempt(begun_++);
      children_.push_back({attempt, Handle()});
      children_.back().callback = ChildCallback::add(*attempt.state(), *this);
      ++running_;
    } catch (...) {
      errors_.push_back(std::current_exception());
      continue;
    }
    if (stagger_ && *stagger_ <= Duration::zero()) continue;
    break;
  }
  arm_next();
}

void RaceBase::arm_next() {
  if (begun_ == attempts_ || !stagger_) return;
  timer_ = task_->loop().call_later(*stagger_, [this] { begin_next(); });
}

void RaceBase::on_child_done(FutureState& child) {
  --running_;
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
  if (running_ == 0) wake();
}

void RaceBase::cancel_all() {
  for (std::size_t index = 0; index < children_.size(); ++index) {
    AnyFuture(children_[index].future).cancel();
  }
}

void RaceBase::wake() {
  if (waiter_ && !waiter_.done()) waiter_.set_result();
}

}  // namespace rondo::detail
