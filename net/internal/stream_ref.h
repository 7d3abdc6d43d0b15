// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace rondo::detail {

/// What a StreamRef refers to: the base of a ReaderState, and of nothing else.
///
/// A transport keeps its protocol by a shared_ptr. The streams above keep the
/// same object by references that are half as large and are counted without
/// atomics, as futures are; all of these together are one shared_ptr, which it
/// holds to itself.
class Referred {
 public:
  Referred() = default;
  Referred(const Referred&) = delete;
  Referred& operator=(const Referred&) = delete;

 protected:
  ~Referred() = default;
  /// Another one, while there are references.
  template <class Derived>
  std::shared_ptr<Derived> shared(Derived& self) const noexcept {
    return std::shared_ptr<Derived>(self_, &self);
  }

 private:
  friend class StreamRef;

  /// ReaderState's: the last reference has gone.
  void end_references() noexcept;

  std::shared_ptr<void> self_;  // while there are references
  std::uint32_t references_ = 0;
};

/// Keeps what the copies of a stream share. Only for the loop's thread.
class StreamRef {
 public:
  /// To nothing.
  StreamRef() noexcept = default;
  /// To what `shared` keeps; it may be null.
  template <class State>
  explicit StreamRef(std::shared_ptr<State> shared) noexcept
      : referred_(shared.get()) {
    if (referred_ == nullptr) return;
    if (referred_->references_++ == 0) referred_->self_ = std::move(shared);
  }
  StreamRef(const StreamRef& other) noexcept : referred_(other.referred_) {
    if (referred_ != nullptr) ++referred_->references_;
  }
  StreamRef(StreamRef&& other) noexcept
      : referred_(std::exchange(other.referred_, nullptr)) {}
  StreamRef& operator=(StreamRef other) noexcept {
    std::swap(referred_, other.referred_);
    return *this;
  }
  ~StreamRef() {
    if (referred_ == nullptr || --referred_->references_ != 0) return;
    referred_->end_references();
  }

  explicit operator bool() const noexcept { return referred_ != nullptr; }
  /// What it refers to, which is a State.
  template <class State>
  State& get() const noexcept {
    return static_cast<State&>(*referred_);
  }

 private:
  Referred* referred_ = nullptr;
};

}  // namespace rondo::detail
