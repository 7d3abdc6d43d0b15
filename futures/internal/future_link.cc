// SPDX-License-Identifier: MIT
#include "futures/internal/future_link.h"

#include <new>
#include <utility>

#include "reactor/kernel.h"

namespace rondo::detail {

FutureLink::FutureLink(FutureState& future)
    : remote_(future.loop().remote_queue()), future_(&future) {
  future_->add_reference();
  future_->home().link(*this);
}

FutureLink::~FutureLink() {
  // A future that is still there is one of a forked child: see the class.
  drop();
}

FutureState* FutureLink::take() noexcept {
  if (future_ != nullptr) future_->home().unlink(*this);
  return std::exchange(future_, nullptr);
}

void FutureLink::drop() noexcept {
  if (FutureState* future = take()) future->release();
}

void FutureLink::abandon() noexcept { drop(); }

void FutureLink::post(Callback callback) const noexcept {
  for (;;) {
    try {
      remote_->try_post(callback);
      return;
    } catch (const std::bad_alloc&) {
      // The queue could not grow, and what is posted here must not be lost.
      linux_kernel().sleep_ns(1'000'000);
    }
  }
}

}  // namespace rondo::detail
