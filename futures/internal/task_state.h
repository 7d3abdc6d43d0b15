// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "futures/internal/future_state.h"
#include "futures/task_body.h"

namespace rondo::detail {

/// What all tasks share, whatever their body and their result: asyncio's Task.
///
/// A task has one entry of the loop for its whole life, so that neither
/// yielding nor waiting can fail or allocates. While the task is pending and
/// not running, exactly one holds:
///   awaited_ is null, and the entry is in the ready queue: for step()
///   awaited_ is set,  and the entry is among its callbacks: for wakeup()
class TaskState : public FutureState {
 public:
  /// The task that `entry` wakes, or null if it is some other callback.
  static TaskState* of(Entry& entry) noexcept;

  /// Throws std::bad_alloc.
  TaskState(LoopState& home, std::uint64_t number);
  ~TaskState() override;

  /// Queues the first step. Throws what call_soon() throws.
  void start();
  /// Runs the first step now (3.12's eager_start).
  void start_eagerly();

  /// What the entry calls: step(), or wakeup() if it has waited.
  void resume();

  /// A request: the body is thrown a CancelledError when it next runs.
  bool cancel(const std::exception_ptr& error) override;
  unsigned cancelling() const noexcept { return cancels_requested_; }
  unsigned uncancel() noexcept {
    return cancels_requested_ > 0 ? --cancels_requested_ : 0;
  }

  /// Runs in `context`, instead of a copy of its maker's. Before the start.
  void set_context(ContextMapPtr context) {
    extras().context = std::move(context);
  }
  /// The same, and at zero the request itself is taken back.
  unsigned take_back_cancel() noexcept {
    const unsigned left = uncancel();
    if (left == 0) must_cancel_ = false;
    return left;
  }

  std::string name() const;
  void set_name(std::string name);
  /// What it waits for, or null.
  FutureState* awaited() const noexcept { return awaited_; }
  /// Not done by the time nobody can finish it: that is not reported.
  void do_not_report_pending() noexcept { log_destroy_pending_ = false; }

  TaskState* next_task() const noexcept { return next_; }

  /// Its loop ends: lets go of the body, and is pending for ever.
  void abandon() noexcept;

  std::string description() const override;
  const char* type_name() const noexcept override { return "Task"; }
  /// `work() running at file.cc:7`.
  virtual std::string body_description() const = 0;
  /// Where it stands, outermost first.
  virtual std::vector<StackFrame> stack() const { return {}; }
  /// The operation in which the innermost frame waits, or the hand-written
  /// body; empty if there is none.
  virtual std::string operation_name() const = 0;

 protected:
  virtual Step advance(Resumption& resumption) = 0;
  /// Puts the body's result in its place. May throw.
  virtual void store_result() = 0;
  /// Destroys the body if it is there.
  virtual void drop_body() noexcept = 0;
  void dispose() noexcept override;

 private:
  class Entered;
  struct Resume;
  /// What few tasks have.
  struct Extras {
    std::string name;
    std::exception_ptr cancel_error;  // with the message of must_cancel_
    std::exception_ptr step_error;    // for the next step()
    ContextMapPtr context;            // while it does not run
  };

  /// Runs the body until it is done or waits. asyncio's __step.
  void step(Resumption& resumption);
  /// What it waited for is done: how that ended. asyncio's __wakeup.
  void wakeup(Resumption& resumption);

  Step run_body(Resumption& resumption);
  void take_result(Resumption& resumption);
  void resume_in_context();
  void call_step_soon() noexcept;
  void wait_for(FutureState& future);
  void refuse_to_wait_for(const FutureState& future);
  void cancel_awaited();
  void drop_entry() noexcept;
  void end(Resumption& resumption);
  void link() noexcept;
  void unlink() noexcept;
  void keep_cancel_error(const std::exception_ptr& error) noexcept;
  std::exception_ptr take_cancel_error() noexcept;
  Extras& extras();

  Entry* entry_;                    // null when it has ended
  FutureState* awaited_ = nullptr;  // with a reference
  TaskState* next_ = nullptr;
  TaskState* previous_ = nullptr;
  const std::uint64_t number_;
  std::unique_ptr<Extras> extras_;
};

/// What a repr and a call graph call a hand-written body.
template <class Body>
std::string body_name() {
  if constexpr (requires { Body::kName; }) {
    return Body::kName;
  } else {
    return function_object_name(typeid(Body));
  }
}

/// A task over a body of type Body.
template <TaskBody Body>
class BodyTask final : public WithValue<TaskState, BodyResult<Body>> {
  using Base = WithValue<TaskState, BodyResult<Body>>;

 public:
  template <class B>
  BodyTask(LoopState& home, std::uint64_t number, B&& body)
      : Base(home, number) {
    ::new (static_cast<void*>(&body_)) Body(std::forward<B>(body));
    this->has_body_ = true;
  }
  ~BodyTask() override { BodyTask::drop_body(); }

  std::string body_description() const override {
    return body_name<Body>() + "()" + (this->done() ? " done" : " running");
  }
  std::string operation_name() const override {
    return this->has_body_ ? body_name<Body>() : std::string();
  }

 private:
  Step advance(Resumption& resumption) override {
    return body_.step(resumption);
  }
  void store_result() override {
    if constexpr (std::is_void_v<BodyResult<Body>>) {
      body_.result();
    } else {
      ::new (static_cast<void*>(&this->value)) BodyResult<Body>(body_.result());
    }
  }
  void drop_body() noexcept override {
    if (!this->has_body_) return;
    this->has_body_ = false;
    body_.~Body();
  }

  union {
    Body body_;
  };
};

}  // namespace rondo::detail
