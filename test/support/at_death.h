// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

namespace rondo::test {

/// Something to capture: calls `tell()` when it is destroyed, once, however
/// often it has moved.
///
///     queue.post([dies = AtDeath([&] { ++deaths; })] { ... });
template <class Tell>
class AtDeath {
 public:
  explicit AtDeath(Tell tell) : tell_(std::move(tell)) {}
  AtDeath(AtDeath&& other) noexcept
      : tell_(std::move(other.tell_)),
        alive_(std::exchange(other.alive_, false)) {}
  AtDeath& operator=(AtDeath&&) = delete;
  ~AtDeath() {
    if (alive_) tell_();
  }

 private:
  static_assert(std::is_nothrow_move_constructible_v<Tell>);
  Tell tell_;
  bool alive_ = true;
};

}  // namespace rondo::test
