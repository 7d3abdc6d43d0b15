// SPDX-License-Identifier: MIT
#pragma once

#include <system_error>

namespace rondo::detail {

/// What the layer above keeps with a loop. The loop owns it, and tells it of
/// what the layer could not know.
class LoopExtension {
 public:
  LoopExtension() = default;
  LoopExtension(const LoopExtension&) = delete;
  LoopExtension& operator=(const LoopExtension&) = delete;
  virtual ~LoopExtension() = default;

  /// The loop is closed from now on, but its callbacks are still there. What
  /// is let go here may cancel and remove, but not schedule.
  virtual void on_close() noexcept = 0;
  /// The kernel would not keep `fd`, which is open, in the loop's set: its
  /// callbacks are cancelled. Comes out of whatever call has found out, as
  /// add_writer(), so this is no place to register or remove.
  virtual void on_lost_descriptor(int fd, std::errc error) noexcept {
    static_cast<void>(fd);
    static_cast<void>(error);
  }
};

}  // namespace rondo::detail
