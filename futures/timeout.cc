// SPDX-License-Identifier: MIT
#include "futures/timeout.h"

#include <cstdio>
#include <utility>

#include "futures/errors.h"
#include "reactor/check.h"
#include "reactor/errors.h"

namespace rondo {

Timeout::Timeout(Timeout&& other) noexcept : when_(other.when_) {
  RONDO_CHECK(other.state_ == State::kCreated);
}

void Timeout::enter() {
  if (state_ != State::kCreated) {
    throw RuntimeError("Timeout has already been entered");
  }
  task_ = current_task();
  if (!task_) throw RuntimeError("Timeout should be used inside a task");
  state_ = State::kEntered;
  cancelling_before_ = task_.cancelling();
  reschedule(when_);
}

void Timeout::reschedule(std::optional<TimePoint> when) {
  if (state_ == State::kCreated) {
    throw RuntimeError("Timeout has not been entered");
  }
  if (state_ != State::kEntered) {
    throw RuntimeError("Cannot change state of " + std::string(state_name()) +
                       " Timeout");
  }
  when_ = when;
  handle_.cancel();
  if (!when) return;
  EventLoop& loop = task_.get_loop();
  if (*when <= loop.time()) {
    handle_ = loop.call_soon([this] { on_timeout(); });
  } else {
    handle_ = loop.call_at(*when, [this] { on_timeout(); });
  }
}

void Timeout::on_timeout() {
  task_.cancel();
  state_ = State::kExpiring;
}

std::exception_ptr Timeout::exit(std::exception_ptr error) {
  RONDO_CHECK(state_ == State::kEntered || state_ == State::kExpiring);
  handle_.cancel();
  if (state_ == State::kExpiring) {
    state_ = State::kExpired;
    // Only if nobody else has asked to cancel the task meanwhile is this the
    // cause.
    if (detail::take_back_cancel(task_) <= cancelling_before_ &&
        is_cancelled_error(error)) {
      error = std::make_exception_ptr(TimeoutError());
    }
  } else {
    state_ = State::kExited;
  }
  task_ = AnyTask();
  return error;
}

const char* Timeout::state_name() const noexcept {
  switch (state_) {
    case State::kCreated:
      return "created";
    case State::kEntered:
      return "active";
    case State::kExpiring:
      return "expiring";
    case State::kExpired:
      return "expired";
    case State::kExited:
      break;
  }
  return "finished";
}

std::string to_string(const Timeout& timeout) {
  std::string text = "<Timeout [" + std::string(timeout.state_name()) + "]";
  if (timeout.state_ == Timeout::State::kEntered) {
    text += " when=";
    if (timeout.when_) {
      char seconds[40];
      std::snprintf(
          seconds, sizeof seconds, "%.3f",
          std::chrono::duration<double>(timeout.when_->time_since_epoch())
              .count());
      text += seconds;
    } else {
      text += "None";
    }
  }
  return text + ">";
}

Timeout timeout(Delay delay) {
  return Timeout(saturating_add(get_running_loop().time(), delay.value()));
}

Timeout timeout_at(std::optional<TimePoint> when) { return Timeout(when); }

}  // namespace rondo
