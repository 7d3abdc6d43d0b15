// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

#include "futures/internal/child_callback.h"
#include "futures/operation.h"

namespace rondo {

namespace detail {

/// The outer side of a shield, whatever its type.
class ShieldBase : public ChildOwner, public LoopBound {
 public:
  void on_child_done(FutureState& child) override;
  FutureState* awaiter() const noexcept override { return &self_; }
  const char* callback_name() const noexcept override {
    return "shield.<locals>._inner_done_callback";
  }
  void abandon() noexcept override;

 protected:
  ShieldBase(FutureState& self, AnyFuture inner);
  ~ShieldBase() override;
  void begin();

  /// Ends the outer future with the result of inner.
  virtual void take_over(const AnyFuture& inner) = 0;

 private:
  void let_go() noexcept;

  FutureState& self_;
  AnyFuture inner_;
  Handle on_inner_;
  bool linked_ = false;
};

template <class T>
class ShieldState final : public WithValue<FutureState, T>, public ShieldBase {
 public:
  explicit ShieldState(const Future<T>& inner)
      : WithValue<FutureState, T>(inner.state()->home()),
        ShieldBase(*this, inner) {}
  using ShieldBase::begin;

 private:
  void take_over(const AnyFuture& inner) override {
    this->add_reference();
    const Future<T> outer(*this);
    if constexpr (std::is_void_v<T>) {
      outer.set_result();
    } else {
      inner.state()->add_reference();
      outer.set_result(Future<T>(*inner.state()).take_result());
    }
  }
};

}  // namespace detail

/// A future that ends as `awaitable` does, but cancelling it does not cancel
/// that. If `awaitable` itself is cancelled, so is the shield.
///
/// If the shield was cancelled and the inner one then fails, nobody is told
/// by the shield: the inner one's own report is made, unless it failed in the
/// pass of the cancel.
///
/// Source: asyncio.shield of CPython 3.11.
template <class Awaitable>
auto shield(Awaitable&& awaitable) {
  using T = AwaitResult<Awaitable>;
  Future<T> inner = ensure_future(std::forward<Awaitable>(awaitable));
  if (inner.done()) return inner;
  auto* state = new detail::ShieldState<T>(inner);
  Future<T> outer(*state);
  state->begin();
  return outer;
}

}  // namespace rondo
