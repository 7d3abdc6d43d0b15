// SPDX-License-Identifier: MIT
#include "futures/wait.h"

#include <stdexcept>

namespace rondo::detail {

namespace {

void release_waiter(const Future<void>& waiter) {
  if (!waiter.done()) waiter.set_result();
}

}  // namespace

Step WaitBase::begin(Resumption& resumption,
                     const std::vector<AnyFuture>& futures) {
  if (futures.empty()) {
    throw std::invalid_argument("Set of Tasks/Futures is empty.");
  }
  EventLoop& loop = resumption.loop();
  task_ = &resumption.task_state();
  waiter_ = Future<void>(loop);
  if (const std::optional<Duration>& timeout = options_.timeout()) {
    timer_ = loop.call_later(*timeout,
                             [waiter = waiter_] { release_waiter(waiter); });
  }
  children_.reserve(futures.size());
  try {
    for (const AnyFuture& future : futures) {
      if (ChildCallback::is_on(*future.state(), *this)) continue;
      children_.push_back({future, ChildCallback::add(*future.state(), *this)});
      ++left_;
    }
  } catch (...) {
    stop();
    throw;
  }
  return Step::wait(waiter_);
}

void WaitBase::on_child_done(FutureState& child) {
  --left_;
  const ReturnWhen when = options_.return_when();
  const bool failed =
      left_ > 0 && when == ReturnWhen::kFirstException && child.has_exception();
  if (failed) child.mark_retrieved();  // asyncio asks for exception() here
  if (left_ == 0 || when == ReturnWhen::kFirstCompleted || failed) {
    timer_.cancel();
    release_waiter(waiter_);
  }
}

void WaitBase::stop() noexcept {
  timer_.cancel();
  for (const Child& child : children_) {
    ChildCallback::remove(*child.future.state(), child.callback);
  }
  children_.clear();
}

}  // namespace rondo::detail
