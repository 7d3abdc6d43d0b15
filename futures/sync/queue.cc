// SPDX-License-Identifier: MIT
#include "futures/sync/queue.h"

namespace rondo {

// -- waiting: the loops of get() and put() -----------------------------------

bool AnyQueue::wait_for_item(Resumption& resumption, detail::Waiter& waiter) {
  arrive(resumption, waiter, getters_, !empty());
  if (!empty()) return false;
  if (is_shut_down_) throw QueueShutDown();
  binding_.bind(resumption, *this);
  waiter.begin(resumption, getters_);
  return true;
}

bool AnyQueue::wait_for_room(Resumption& resumption, detail::Waiter& waiter) {
  arrive(resumption, waiter, putters_, !full());
  if (!full()) return false;
  if (is_shut_down_) throw QueueShutDown();
  binding_.bind(resumption, *this);
  waiter.begin(resumption, putters_);
  return true;
}

/// The first step, or the end of a wait.
void AnyQueue::arrive(Resumption& resumption, detail::Waiter& waiter,
                      detail::WaiterList& line, bool others_may_go_on) {
  if (resumption.error() != nullptr) {
    leave(waiter, line, others_may_go_on);
    resumption.check();
  }
  waiter.end();
}

/// Takes back a wait. If it was woken for what is there, but cannot take it,
/// the next in line is.
void AnyQueue::leave(detail::Waiter& waiter, detail::WaiterList& line,
                     bool others_may_go_on) {
  const bool woken = waiter.active() && waiter.woken();
  waiter.end();
  if (woken && others_may_go_on) wake_up_next(line);
}

void AnyQueue::leave_getters(detail::Waiter& waiter) noexcept {
  detail::pass_on_safely([&] { leave(waiter, getters_, !empty()); });
}

void AnyQueue::leave_putters(detail::Waiter& waiter) noexcept {
  detail::pass_on_safely([&] { leave(waiter, putters_, !full()); });
}

/// Wakes the first that was not cancelled. It leaves the line at once; so do
/// those before it.
void AnyQueue::wake_up_next(detail::WaiterList& line) {
  while (detail::Waiter* const waiter = line.front()) {
    const bool woken = !waiter->done() && waiter->wake();
    waiter->move_to(woken_);
    if (woken) return;
  }
}

// -- items -------------------------------------------------------------------

void AnyQueue::check_put() const {
  if (is_shut_down_) throw QueueShutDown();
  if (full()) throw QueueFull();
  getters_.check_usable();
}

void AnyQueue::check_get() const {
  if (empty()) {
    if (is_shut_down_) throw QueueShutDown();
    throw QueueEmpty();
  }
  putters_.check_usable();
}

void AnyQueue::count_put() {
  ++size_;
  ++unfinished_;
  finished_.clear();
  wake_up_next(getters_);
}

void AnyQueue::count_get() {
  --size_;
  wake_up_next(putters_);
}

void AnyQueue::task_done() {
  if (unfinished_ == 0) {
    throw std::invalid_argument("task_done() called too many times");
  }
  if (unfinished_ == 1) finished_.set();
  --unfinished_;
}

void AnyQueue::close_doors(std::size_t dropped) {
  is_shut_down_ = true;
  size_ -= dropped;
  unfinished_ -= dropped < unfinished_ ? dropped : unfinished_;
  if (dropped > 0 && unfinished_ == 0) finished_.set();
  while (!getters_.empty()) wake_up_next(getters_);
  while (!putters_.empty()) wake_up_next(putters_);
}

// -- text --------------------------------------------------------------------

std::string AnyQueue::describe(const char* name,
                               const std::string& items) const {
  std::string text = "<" + std::string(name) + " at " +
                     detail::hexadecimal(this) +
                     " maxsize=" + std::to_string(maxsize_);
  if (!empty()) text += " _queue=[" + items + "]";
  const auto count = [&](const char* what, std::size_t n) {
    if (n != 0) text += what + ("[" + std::to_string(n) + "]");
  };
  count(" _getters", getters_.size());
  count(" _putters", putters_.size());
  if (unfinished_ != 0) text += " tasks=" + std::to_string(unfinished_);
  if (is_shut_down_) text += " shutdown";
  return text + ">";
}

}  // namespace rondo
