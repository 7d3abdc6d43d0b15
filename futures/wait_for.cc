// SPDX-License-Identifier: MIT
#include "futures/wait_for.h"

namespace rondo::detail {

Step CancelAndWait::step(Resumption& resumption) {
  if (waiter_) {
    stop();
    resumption.check();
    return Step::done();
  }
  task_ = &resumption.task_state();
  waiter_ = Future<void>(resumption.loop());
  callback_ = ChildCallback::add(*future_.state(), *this);
  future_.cancel();
  return Step::wait(waiter_);
}

void CancelAndWait::stop() noexcept {
  if (callback_) ChildCallback::remove(*future_.state(), callback_);
}

}  // namespace rondo::detail
