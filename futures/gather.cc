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
    // In the words of the last argument's cancel(), as in asyncio.
    FutureState& last = *children_.back().state();
    end(!cancel_requested_ ? nullptr
        : last.cancelled() ? last.failure()
                           : self_.home().cancelled_error);
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

bool GatherBase::cancel_children(const std::exception_ptr& error) {
  // A child may wait for this very gather: then it has nothing to cancel.
  if (cancelling_) return false;
  const struct Cancelling {
    explicit Cancelling(bool& f) noexcept : flag(f) { flag = true; }
    ~Cancelling() { flag = false; }
    bool& flag;
  } cancelling(cancelling_);
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
