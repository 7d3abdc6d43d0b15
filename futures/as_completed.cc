// SPDX-License-Identifier: MIT
#include "futures/as_completed.h"

namespace rondo::detail {

AsCompletedBase::~AsCompletedBase() {
  timer_.cancel();
  for (const Child& child : todo_) {
    ChildCallback::remove(*child.future.state(), child.callback);
  }
}

void AsCompletedBase::add(const AnyFuture& future) {
  for (const Child& child : todo_) {
    if (child.future == future) return;
  }
  todo_.push_back({future, Handle()});
}

void AsCompletedBase::begin(EventLoop& loop, std::optional<Duration> timeout) {
  not_asked_ = todo_count_ = todo_.size();
  // All memory now: what hears of an end must not fail.
  for (std::size_t n = 0; n < todo_count_; ++n) done_.put_nowait(AnyFuture());
  for (std::size_t n = 0; n < todo_count_; ++n) done_.get_nowait();
  for (Child& child : todo_) {
    child.callback = ChildCallback::add(*child.future.state(), *this);
  }
  if (todo_count_ > 0 && timeout) {
    timer_ = loop.call_later(*timeout, [this] { on_timeout(); });
  }
}

void AsCompletedBase::on_child_done(FutureState& child) {
  if (todo_count_ == 0) return;  // on_timeout() was here first
  --todo_count_;
  child.add_reference();
  done_.put_nowait(AnyFuture(child));
  if (todo_count_ == 0) timer_.cancel();
}

void AsCompletedBase::on_timeout() {
  for (const Child& child : todo_) {
    child.future.state()->remove_entry(LoopAccess::entry(child.callback));
  }
  // One for each that waits in vain, or will.
  for (; todo_count_ > 0; --todo_count_) done_.put_nowait(AnyFuture());
}

}  // namespace rondo::detail
