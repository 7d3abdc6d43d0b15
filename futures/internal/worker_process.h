// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "futures/archive.h"
#include "reactor/kernel.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

// What travels between a ProcessPool and a worker, both ways, is a message:
//
//   | size of what follows, 8 bytes | archive |
//
// From the pool: ServeJob, then its arguments. From the worker: AnswerKind,
// then the result or the exception.
using MessageSize = std::uint64_t;

enum class AnswerKind : std::uint8_t { kResult, kException };

/// An archive that begins with the place for its size.
inline WriteArchive begin_message() {
  WriteArchive out;
  out(MessageSize{0});
  return out;
}
/// The message, its size in its place.
std::string end_message(WriteArchive out);

/// A forked process, and a stream socket to it, as the parent has them.
///
/// The process is known by a pidfd, not by its number: so it can be waited for
/// without a SIGCHLD handler, and killed even if somebody else has reaped it.
class WorkerProcess {
 public:
  /// How a process ended. Neither is known if somebody else has reaped it.
  struct End {
    std::optional<int> status;
    std::optional<int> signal_number;
  };

  /// Forks it. Throws std::system_error, and leaves nothing behind.
  WorkerProcess(Kernel& kernel, void (*initializer)());
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  /// Closes the descriptors. The process is to have been reaped.
  ~WorkerProcess() = default;

  ::pid_t pid() const noexcept { return pid_; }
  /// Readable when the process has ended.
  int process_fd() const noexcept { return process_.get(); }
  /// The socket; negative when it has been closed.
  int channel() const noexcept { return channel_.get(); }
  /// A worker that waits for a job ends by that.
  void close_channel() noexcept { channel_.reset(); }
  /// SIGKILL. No effect on one that has ended.
  void kill() noexcept;
  /// Whether it has ended, and how. Does not wait. To be asked until it has.
  std::optional<End> reap() noexcept;

 private:
  void give_up() noexcept;

  Kernel& kernel_;
  UniqueFd channel_;
  UniqueFd process_;
  ::pid_t pid_ = -1;
};

/// In the process that `parent` has forked: makes it a worker, and never
/// returns.
[[noreturn]] void run_worker(Kernel& kernel, ::pid_t parent, int channel,
                             void (*initializer)()) noexcept;

}  // namespace rondo::detail
