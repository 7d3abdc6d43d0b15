// SPDX-License-Identifier: MIT
#pragma once

namespace rondo::detail {

/// What the layer above keeps with a loop. The loop owns it and knows no more
/// of it than its end.
class LoopExtension {
 public:
  LoopExtension() = default;
  LoopExtension(const LoopExtension&) = delete;
  LoopExtension& operator=(const LoopExtension&) = delete;
  virtual ~LoopExtension() = default;

  /// The loop is closed from now on, but its callbacks are still there. What
  /// is let go here may cancel and remove, but not schedule.
  virtual void on_close() noexcept = 0;
};

}  // namespace rondo::detail
