// SPDX-License-Identifier: MIT
#include "futures/shield.h"

#include <utility>

namespace rondo::detail {

ShieldBase::ShieldBase(FutureState& self, AnyFuture inner)
    : self_(self), inner_(std::move(inner)) {}

ShieldBase::~ShieldBase() { let_go(); }

void ShieldBase::begin() {
  on_inner_ = ChildCallback::add(*inner_.state(), *this, &self_);
  self_.home().link(*this);
  linked_ = true;
  // asyncio's _outer_done_callback.
  ChildCallback::add(self_, *this);
}

void ShieldBase::on_child_done(FutureState& child) {
  if (&child == &self_) {
    // A callback that is queued already stays.
    if (inner_ && !inner_.done()) {
      inner_.state()->remove_entry(LoopAccess::entry(on_inner_));
    }
    let_go();
    return;
  }
  if (self_.cancelled()) {
    child.mark_retrieved();
  } else if (child.cancelled()) {
    self_.cancel(child.failure());
  } else if (child.has_exception()) {
    self_.set_exception(child.failure());
  } else {
    child.add_reference();
    const AnyFuture inner(child);
    try {
      take_over(inner);
    } catch (...) {  // a value's copy constructor
      self_.set_exception(std::current_exception());
    }
  }
}

void ShieldBase::let_go() noexcept {
  if (linked_) self_.home().unlink(*this);
  linked_ = false;
  const AnyFuture dropped = std::exchange(inner_, AnyFuture());
  on_inner_ = Handle();
}

void ShieldBase::abandon() noexcept {
  self_.add_reference();
  let_go();
  self_.release();
}

}  // namespace rondo::detail
