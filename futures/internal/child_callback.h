// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "futures/internal/future_state.h"

namespace rondo::detail {

/// Somebody who waits for several futures: a gather, a wait(), a TaskGroup.
class ChildOwner {
 public:
  virtual ~ChildOwner() = default;
  virtual void on_child_done(FutureState& child) = 0;
  /// The future of who waits, for call graphs; null if that is nobody yet.
  virtual FutureState* awaiter() const noexcept = 0;
  /// What a repr of the child shows.
  virtual const char* callback_name() const noexcept = 0;
};

/// The done callback by which a ChildOwner hears of one of them.
class ChildCallback : public DoneCallbackBase {
 public:
  /// `keep` is null, or a future that the owner is part of: it lives as long
  /// as the callback.
  ChildCallback(ChildOwner& owner, FutureState* keep)
      : owner_(&owner), keep_(keep) {
    if (keep_ != nullptr) keep_->add_reference();
  }
  ChildCallback(ChildCallback&& other) noexcept
      : DoneCallbackBase(std::move(other)),
        // The base has taken its own part only.
        owner_(other.owner_),                         // NOLINT(bugprone-use-*)
        keep_(std::exchange(other.keep_, nullptr)) {  // NOLINT(bugprone-use-*)
  }
  ChildCallback& operator=(ChildCallback&&) = delete;
  ~ChildCallback() {
    if (keep_ != nullptr) keep_->release();
  }

  void operator()() const { owner_->on_child_done(*future); }
  std::string description() const {
    return std::string(owner_->callback_name()) + "()";
  }
  const ChildOwner& owner() const noexcept { return *owner_; }

  /// Adds one to `child`. The handle is for taking it back.
  static Handle add(FutureState& child, ChildOwner& owner,
                    FutureState* keep = nullptr) {
    Entry* entry = make_done_entry(child, ChildCallback(owner, keep),
                                   std::source_location());
    Handle handle = LoopAccess::handle(entry);
    child.add_entry(entry);
    return handle;
  }
  /// Whether `owner` waits for `child`, which is not done.
  static bool is_on(const FutureState& child, const ChildOwner& owner) {
    bool found = false;
    child.for_each_callback([&](Entry& entry) {
      const ChildCallback* call = entry.callback.target<ChildCallback>();
      found = call != nullptr && call->owner_ == &owner;
      return !found;
    });
    return found;
  }
  /// Takes one back, even if it is queued.
  static void remove(FutureState& child, const Handle& handle) noexcept {
    child.remove_entry(LoopAccess::entry(handle));
    Handle(handle).cancel();
  }

 private:
  ChildOwner* owner_;
  FutureState* keep_;
};

}  // namespace rondo::detail
