// SPDX-License-Identifier: MIT
#include "futures/task_group.h"

#include <algorithm>

#include "futures/errors.h"
#include "reactor/errors.h"
#include "reactor/exception_context.h"

namespace rondo {

using detail::ChildCallback;
using detail::FutureState;

TaskGroup::~TaskGroup() {
  for (const Child& child : std::exchange(children_, {})) {
    ChildCallback::remove(*child.task.state(), child.callback);
    child.task.state()->cancel_quietly();
  }
}

// -- the block ---------------------------------------------------------------

void TaskGroup::enter() {
  if (entered_) {
    throw RuntimeError("TaskGroup " + to_string(*this) +
                       " has been already entered");
  }
  entered_ = true;
  parent_ = current_task();
  if (!parent_) {
    throw RuntimeError("TaskGroup " + to_string(*this) +
                       " cannot determine the parent task");
  }
}

void TaskGroup::check_open() const {
  const char* state = !entered_ || !parent_          ? "has not been entered"
                      : exiting_ && unfinished_ == 0 ? "is finished"
                      : aborting_                    ? "is shutting down"
                                                     : nullptr;
  if (state != nullptr) {
    throw RuntimeError("TaskGroup " + to_string(*this) + " " + state);
  }
}

void TaskGroup::add(AnyTask task) {
  sweep();
  FutureState& state = *task.state();
  children_.push_back({std::move(task), Handle()});
  // Room for its exception, so that hearing of it cannot fail.
  const std::size_t errors = errors_.size() + unfinished_ + 1;
  if (errors_.capacity() < errors) errors_.reserve(2 * errors);
  children_.back().callback = ChildCallback::add(state, *this);
  ++unfinished_;
  // An eager task may have ended the group in its first step (gh-155418).
  if (aborting_ && !state.done()) state.cancel(nullptr);
}

/// Forgets those that have been heard of, once they are most.
void TaskGroup::sweep() {
  if (children_.size() < 16 || children_.size() < 2 * unfinished_) return;
  std::erase_if(children_, [](const Child& child) {
    return child.task.done() && !child.callback;
  });
}

FutureState* TaskGroup::awaiter() const noexcept { return parent_.state(); }

// -- when a task ends --------------------------------------------------------

void TaskGroup::on_child_done(FutureState& child) {
  --unfinished_;
  if (unfinished_ == 0 && on_completed_ && !on_completed_.done()) {
    on_completed_.set_result();
  }
  if (child.cancelled()) return;
  if (!child.has_exception()) return;
  const std::exception_ptr error = child.failure();
  errors_.push_back(error);
  if (is_exit_error(error) && base_error_ == nullptr) base_error_ = error;
  if (parent_.done()) {
    ExceptionContext context("Task " + child.description() +
                             " has errored out but its parent task " +
                             to_string(parent_) + " is already completed");
    context.exception = error;
    context.extra.emplace_back("task", child.description());
    parent_.get_loop().call_exception_handler(context);
    return;
  }
  if (!aborting_ && !parent_cancel_requested_) {
    // The parent is cancelled so that the block ends; exit() takes that back.
    abort();
    parent_cancel_requested_ = true;
    parent_.cancel();
  }
}

void TaskGroup::abort() {
  aborting_ = true;
  // By index: what a cancel destroys may come back here.
  for (std::size_t index = 0; index < children_.size(); ++index) {
    const AnyTask task = children_[index].task;
    if (!task.done()) task.cancel();
  }
}

void TaskGroup::cancel() {
  if ((exiting_ && unfinished_ == 0) || aborting_) return;
  abort();
  if (parent_ && !parent_cancel_requested_) {
    parent_cancel_requested_ = true;
    parent_.cancel();
  }
}

// -- the end -----------------------------------------------------------------

void TaskGroup::Exit::begin() {
  begun_ = true;
  group_.exiting_ = true;
  if (is_exit_error(error_) && group_.base_error_ == nullptr) {
    group_.base_error_ = error_;
  }
  if (is_cancelled_error(error_)) propagate_ = error_;
  if (error_ != nullptr && !group_.aborting_) group_.abort();
}

Step TaskGroup::Exit::step(Resumption& resumption) {
  if (!begun_) {
    begin();
  } else {
    if (resumption.error() != nullptr) {
      // The parent is cancelled while it waits here.
      pending_ = resumption.take_error();
      if (!group_.aborting_) {
        propagate_ = pending_;
        group_.abort();
      }
    }
    group_.on_completed_ = Future<void>();
  }
  if (group_.unfinished_ == 0) return end();
  group_.on_completed_ = Future<void>(resumption.loop());
  return Step::wait(group_.on_completed_);
}

Step TaskGroup::Exit::end() {
  group_.children_.clear();
  if (group_.base_error_ != nullptr) {
    std::rethrow_exception(group_.base_error_);
  }
  if (group_.parent_cancel_requested_) {
    if (detail::take_back_cancel(group_.parent_) == 0) {
      // It was the group itself that cancelled its parent, and nobody else.
      propagate_ = nullptr;
    } else if (propagate_ == nullptr) {
      propagate_ = pending_;
    }
  }
  std::vector<std::exception_ptr>& errors = group_.errors_;
  if (propagate_ != nullptr && errors.empty()) {
    std::rethrow_exception(propagate_);
  }
  if (error_ != nullptr && !is_cancelled_error(error_)) {
    errors.push_back(error_);
  }
  if (errors.empty()) return Step::done();
  if (group_.parent_.cancelling() > 0) {
    // A cancel from outside that gives way to the errors comes again at the
    // parent's next wait; the count stays as it is.
    group_.parent_.uncancel();
    group_.parent_.cancel();
  }
  throw ExceptionGroup("unhandled errors in a TaskGroup",
                       std::exchange(errors, {}));
}

// -- text --------------------------------------------------------------------

std::string to_string(const TaskGroup& group) {
  std::string text = "<TaskGroup";
  if (group.unfinished_ > 0) {
    text += " tasks=" + std::to_string(group.unfinished_);
  }
  if (!group.errors_.empty()) {
    text += " errors=" + std::to_string(group.errors_.size());
  }
  if (group.aborting_) {
    text += " cancelling";
  } else if (group.entered_) {
    text += " entered";
  }
  return text + ">";
}

}  // namespace rondo
