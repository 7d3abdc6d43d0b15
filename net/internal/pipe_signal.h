// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "reactor/kernel.h"

namespace rondo::detail {

/// While it lives, SIGPIPE is not delivered to this thread; one that a call
/// has raised meanwhile is gone after. For calls without a MSG_NOSIGNAL.
///
/// Changes no disposition, and leaves alone what was pending before. Costs two
/// pthread_sigmask(3), together half a microsecond.
class PipeSignalBlocked {
 public:
  explicit PipeSignalBlocked(Kernel& kernel) noexcept;
  PipeSignalBlocked(const PipeSignalBlocked&) = delete;
  PipeSignalBlocked& operator=(const PipeSignalBlocked&) = delete;
  ~PipeSignalBlocked();

  /// The errno why it is not blocked, or zero: else the call must not be made.
  int error() const noexcept { return error_; }
  /// The call has failed with EPIPE, and so has raised the signal.
  void was_raised() noexcept { was_raised_ = true; }

 private:
  Kernel& kernel_;
  ::sigset_t before_;
  int error_;
  bool was_raised_ = false;
  bool was_pending_ = false;
};

/// write(2) that never raises SIGPIPE.
ssize_t write_quietly(Kernel& kernel, int fd, const void* data,
                      std::size_t size) noexcept;

}  // namespace rondo::detail
