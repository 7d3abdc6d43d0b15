// SPDX-License-Identifier: MIT
#include "futures/wait_for.h"

namespace rondo::detail {

Step CancelAndWait::step(Resumption& resumption) {
  if (waiter_) {
    callback_.cancel();
    resumption.check();
    return Step::done();
  }
  waiter_ = Future<void>(resumption.loop());
  callback_ = future_.add_done_callback([waiter = waiter_](const AnyFuture&) {
    if (!waiter.done()) waiter.set_result();
  });
  future_.cancel();
  return Step::wait(waiter_);
}

}  // namespace rondo::detail
