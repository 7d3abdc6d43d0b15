// SPDX-License-Identifier: MIT
#include "futures/sync/internal/waiter.h"

#include <cstdint>
#include <cstdio>

#include "futures/errors.h"
#include "reactor/check.h"
#include "reactor/errors.h"

namespace rondo::detail {

// -- the list ----------------------------------------------------------------

WaiterList::~WaiterList() {
  while (Waiter* const waiter = first_) {
    waiter->unlink();
    if (!waiter->future_ || waiter->done()) continue;
    // Waiting on for what can never come would be a silent hang.
    pass_on_safely([&] {
      waiter->future_.set_exception(
          RuntimeError(std::string(owner_) + " was destroyed"));
      waiter->future_.state()->mark_retrieved();
    });
  }
}

Waiter* WaiterList::first_pending() const noexcept {
  Waiter* waiter = first_;
  while (waiter != nullptr && waiter->done()) waiter = waiter->next();
  return waiter;
}

bool WaiterList::all_cancelled() const noexcept {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next()) {
    if (!waiter->cancelled()) return false;
  }
  return true;
}

void WaiterList::check_usable() const {
  if (empty()) return;
  const EventLoop* loop = front()->future_.state()->home().loop;
  if (loop != nullptr && !loop->is_closed()) LoopAccess::check_usable(*loop);
}

// -- a place in it -----------------------------------------------------------

Waiter::Waiter([[maybe_unused]] Waiter&& other) noexcept {
  RONDO_CHECK(!other.active_);
}

void Waiter::begin(Resumption& resumption, WaiterList& list) {
  future_ = Future<void>(resumption.loop());
  enter(list);
}

void Waiter::enter(WaiterList& list) noexcept {
  active_ = true;
  list_ = &list;
  next_ = nullptr;
  previous_ = list.last_;
  (previous_ != nullptr ? previous_->next_ : list.first_) = this;
  list.last_ = this;
  ++list.size_;
}

void Waiter::move_to(WaiterList& list) noexcept {
  unlink();
  enter(list);
}

void Waiter::unlink() noexcept {
  if (list_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : list_->first_) = next_;
  (next_ != nullptr ? next_->previous_ : list_->last_) = previous_;
  --list_->size_;
  next_ = previous_ = nullptr;
  list_ = nullptr;
}

void Waiter::end() noexcept {
  unlink();
  future_ = Future<void>();
  active_ = false;
}

void Waiter::leave_orphaned(Resumption& resumption, const char* owner) {
  end();
  if (is_cancelled_error(resumption.error())) resumption.check();
  throw RuntimeError(std::string(owner) + " was destroyed");
}

bool Waiter::wake() {
  const EventLoop* loop = future_.state()->home().loop;
  if (loop == nullptr || loop->is_closed()) return false;
  future_.set_result();
  return true;
}

// -- the loop, the text ------------------------------------------------------

void LoopBinding::refuse(const std::string& primitive) {
  throw RuntimeError(primitive + " is bound to a different event loop");
}

std::string hexadecimal(const void* address) {
  char text[2 + 2 * sizeof(std::uintptr_t) + 1];
  std::snprintf(
      text, sizeof text, "0x%jx",
      static_cast<std::uintmax_t>(reinterpret_cast<std::uintptr_t>(address)));
  return text;
}

std::string describe_primitive(const char* type, const void* address,
                               std::string state, std::size_t waiters) {
  if (waiters != 0) state += ", waiters:" + std::to_string(waiters);
  return "<" + std::string(type) + " object at " + hexadecimal(address) + " [" +
         state + "]>";
}

}  // namespace rondo::detail
