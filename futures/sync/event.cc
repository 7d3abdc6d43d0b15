// SPDX-License-Identifier: MIT
#include "futures/sync/event.h"

namespace rondo {

Step Event::Wait::step(Resumption& resumption) {
  if (!waiter_.active()) {
    resumption.check();
    if (event_->set_) return Step::done();
    event_->binding_.bind(resumption, *event_);
    waiter_.begin(resumption, event_->waiters_);
    return waiter_.wait();
  }
  waiter_.check_owner(resumption, "Event");
  waiter_.end();
  resumption.check();
  return Step::done();
}

void Event::set() {
  if (set_) return;
  for (detail::Waiter* waiter = waiters_.front(); waiter != nullptr;
       waiter = waiter->next()) {
    if (!waiter->done()) waiter->wake();
  }
  set_ = true;
}

std::string to_string(const Event& event) {
  return detail::describe_primitive(
      "Event", &event, event.set_ ? "set" : "unset", event.waiters_.size());
}

}  // namespace rondo
