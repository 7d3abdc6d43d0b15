// SPDX-License-Identifier: MIT
#pragma once

namespace rondo::detail {

/// Something of the layers above that is to be done once when the callbacks of
/// this pass have run, before the loop polls: sending what they have written,
/// all in one go.
class PassEnd {
 public:
  PassEnd() noexcept = default;
  PassEnd(const PassEnd&) = delete;
  PassEnd& operator=(const PassEnd&) = delete;
  virtual ~PassEnd() = default;

  /// Called once for each LoopAccess::at_pass_end(). May ask for the end of
  /// the next pass. What it throws leaves run_forever().
  virtual void on_pass_end() = 0;
  /// Whether it is asked for.
  bool is_waiting() const noexcept { return is_waiting_; }

 private:
  friend class PassEnds;
  PassEnd* next_ = nullptr;
  bool is_waiting_ = false;
};

/// Those that wait for the end of the pass, in the order in which they came.
class PassEnds {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  /// `end` is there from now until it has run. It is not there yet, and
  /// outlives that.
  void push(PassEnd& end) noexcept {
    end.next_ = nullptr;
    end.is_waiting_ = true;
    (first_ != nullptr ? last_->next_ : first_) = &end;
    last_ = &end;
  }

  /// Calls all that wait now; the rest stays if one throws.
  void run() {
    const PassEnd* const last = last_;
    PassEnd* end;
    do {
      end = first_;
      first_ = end->next_;
      end->is_waiting_ = false;
      end->on_pass_end();  // may destroy it
    } while (end != last);
  }

 private:
  PassEnd* first_ = nullptr;
  PassEnd* last_ = nullptr;
};

}  // namespace rondo::detail
