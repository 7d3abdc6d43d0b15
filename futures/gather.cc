// SPDX-License-Identifier: MIT
#include "futures/gather.h"

#include <utility>

namespace rondo::detail {

GatherBase::~GatherBase() { let_go(); }

void GatherBase::add(AnyFuture child) {
  FutureState& state = *child.state();
  const bool again = ChildCallback::is_on(state, *this);
  callbacks_.emplace_back();
  children_.push_back(std::move(child));
  if (again) return;
  callbacks_.back() = ChildCallback::add(state, *this, &self_);
  ++unique_;
}

void GatherBase::give_up() noexcept {
  for (std::size_t index = 0; index < children_.size(); ++index) {
    ChildCallback::remove(*children_[index].state(), callbacks_[index]);
  }
  let_go();
}

void GatherBase::begin() {
  if (children_.empty()) {
    end(nullptr);
  } else {
    self_.home().link(*this);
    linked_ = true;
  }
  callbacks_ = {};
}

void GatherBase::on_child_done(FutureState& child) {
  ++finished_;
  if (self_.done()) {
    child.mark_retrieved();
    return;
  }
  const bool failed = child.cancelled() || child.has_exception();
  if (failed && !return_exceptions_) {
    end(child.failure());
  } else if (finished_ == unique_) {
    if (!cancel_requested_) return end(nullptr);
    // asyncio has looked at each exception before it throws them away.
    for (const AnyFuture& each : children_) each.state()->mark_retrieved();
    // In the words of the last argument's cancel(), as in asyncio.
    FutureState& last = *children_.back().state();
    end(last.cancelled() ? last.failure() : self_.home().cancelled_error);
  }
}

/// asyncio makes a new CancelledError of it here, with an empty message where
/// there was none.
std::exception_ptr GatherBase::failure_of(FutureState& state) {
  const std::exception_ptr error = state.failure();
  return error == state.home().cancelled_error
             ? std::make_exception_ptr(CancelledError(""))
             : error;
}

/// One cancel() on its way through gathers, the tasks in them, what those
/// wait for, and so on: CPython's cancel() that calls itself.
///
/// There it ends in a RecursionError where tasks wait for each other in a
/// ring, or in a chain that is too long. Here a gather that waits for itself
/// has nothing to cancel in itself; from the first ring on each gather is come
/// to once more at most, as the ways round may be without number; and below a
/// certain depth a gather has to wait for the walk to come back.
class GatherBase::CancelWalk {
 public:
  CancelWalk(const CancelWalk&) = delete;
  CancelWalk& operator=(const CancelWalk&) = delete;

  /// Cancels the children of `gather`, in the walk under way or in a new one.
  static bool visit(GatherBase& gather, const std::exception_ptr& error) {
    if (current != nullptr) return current->step(gather, error);
    CancelWalk walk(error);
    const bool any = walk.step(gather, error);
    while (walk.first_ != nullptr) {
      const Kept postponed(walk.take_postponed(), Kept::kHasReference);
      walk.step(postponed.gather(), error);
    }
    return any;
  }

 private:
  static constexpr unsigned kDepthMax = 100;

  explicit CancelWalk(const std::exception_ptr& error) noexcept
      : error_(error) {
    current = this;
  }
  ~CancelWalk() {
    current = nullptr;
    while (first_ != nullptr) {  // after an exception
      const Kept dropped(take_postponed(), Kept::kHasReference);
    }
  }

  /// What a cancel destroys may drop the gather.
  class Kept {
   public:
    enum Reference : bool { kHasReference, kTakeReference };
    Kept(GatherBase& gather, Reference reference) noexcept : gather_(gather) {
      if (reference == kTakeReference) gather.self_.add_reference();
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept() { gather_.self_.release(); }

    GatherBase& gather() const noexcept { return gather_; }

   private:
    GatherBase& gather_;
  };

  /// While it lives, the walk is inside of `gather`.
  class Inside {
   public:
    Inside(CancelWalk& walk, GatherBase& gather) noexcept
        : walk_(walk), kept_(gather, Kept::kTakeReference) {
      ++walk_.depth_;
      gather.in_walk_ = true;
      gather.walk_ = walk_.number_;
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() {
      --walk_.depth_;
      kept_.gather().in_walk_ = false;
    }

   private:
    CancelWalk& walk_;
    const Kept kept_;
  };

  bool step(GatherBase& gather, const std::exception_ptr& error) {
    if (gather.in_walk_) {
      has_ring_ = true;
      return false;
    }
    if (gather.is_postponed_) return true;
    if (has_ring_ && gather.walk_ == number_) return gather.cancel_requested_;
    if (depth_ == kDepthMax && error == error_) {
      postpone(gather);
      return true;
    }
    const Inside inside(*this, gather);
    return gather.cancel_each(error);
  }

  void postpone(GatherBase& gather) noexcept {
    gather.self_.add_reference();
    gather.is_postponed_ = true;
    gather.next_postponed_ = nullptr;
    (first_ != nullptr ? last_->next_postponed_ : first_) = &gather;
    last_ = &gather;
  }
  GatherBase& take_postponed() noexcept {
    first_->is_postponed_ = false;
    return *std::exchange(first_, first_->next_postponed_);
  }

  static thread_local CancelWalk* current;
  static thread_local std::uint64_t count;

  const std::exception_ptr& error_;
  const std::uint64_t number_ = ++count;
  unsigned depth_ = 0;
  bool has_ring_ = false;
  GatherBase* first_ = nullptr;  // of those that wait for it to come back
  GatherBase* last_ = nullptr;
};

thread_local GatherBase::CancelWalk* GatherBase::CancelWalk::current = nullptr;
thread_local std::uint64_t GatherBase::CancelWalk::count = 0;

bool GatherBase::cancel_children(const std::exception_ptr& error) {
  return CancelWalk::visit(*this, error);
}

bool GatherBase::cancel_each(const std::exception_ptr& error) {
  bool any = false;
  // By index: what a cancel destroys may come back here.
  for (std::size_t index = 0; index < children_.size(); ++index) {
    any |= AnyFuture(children_[index]).state()->cancel(error);
  }
  cancel_requested_ |= any;
  return any;
}

void GatherBase::end(std::exception_ptr error) {
  if (error != nullptr) {
    self_.set_exception(std::move(error));
  } else {
    self_.check_settable();
    try {
      collect();
    } catch (...) {  // a value's copy constructor
      self_.set_exception(std::current_exception());
      let_go();
      return;
    }
    self_.finish();
  }
  let_go();
}

/// The children go on by themselves; their callbacks still keep this.
void GatherBase::let_go() noexcept {
  if (linked_) self_.home().unlink(*this);
  linked_ = false;
  std::exchange(children_, {}).clear();
}

void GatherBase::abandon() noexcept {
  // One's callback may be what keeps this.
  self_.add_reference();
  let_go();
  self_.release();
}

namespace {

class Ends final : public WithValue<FutureState, void>, public GatherBase {
 public:
  explicit Ends(LoopState& home)
      : WithValue(home), GatherBase(*this, /*with_exceptions=*/true) {}
  bool cancel(const std::exception_ptr& error) override {
    return pending() && cancel_children(error);
  }
  const char* type_name() const noexcept override { return "_GatheringFuture"; }

 private:
  void collect() override {
    for (std::size_t index = 0; index < child_count(); ++index) {
      child<void>(index).state()->mark_retrieved();
    }
  }
};

}  // namespace

Future<void> gather_ends(EventLoop& loop,
                         const std::vector<AnyFuture>& futures) {
  auto* state = new Ends(LoopState::of(loop));
  Future<void> future(*state);
  for (const AnyFuture& child : futures) state->add(child);
  state->begin();
  return future;
}

}  // namespace rondo::detail
