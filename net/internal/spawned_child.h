// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/subprocess_options.h"
#include "reactor/kernel.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

/// What asyncio gives for a child that somebody else has waited for.
inline constexpr int kUnknownReturncode = 255;

/// Throws std::invalid_argument if no child can be started so.
void check_subprocess(const std::vector<std::string>& argv,
                      const SubprocessOptions& options);

/// A program that was started, and our ends of the pipes to it.
///
/// The process is known by a pidfd, not by its number: so it can be waited for
/// without a SIGCHLD handler, and no signal meets another one. Nobody but this
/// reaps it, so the number is its own until the pidfd is there.
class SpawnedChild {
 public:
  /// Starts it. Throws std::system_error, and leaves nothing behind.
  SpawnedChild(Kernel& kernel, const std::vector<std::string>& argv,
               const SubprocessOptions& options);
  SpawnedChild(const SpawnedChild&) = delete;
  SpawnedChild& operator=(const SpawnedChild&) = delete;
  /// As kill_and_reap().
  ~SpawnedChild() { kill_and_reap(); }

  ::pid_t pid() const noexcept { return pid_; }
  /// Readable when the process has ended; negative if somebody else has reaped
  /// it already.
  int process_fd() const noexcept { return process_.get(); }
  /// Closes the pidfd. To be called when it has ended.
  void close_process() noexcept { process_.reset(); }
  /// Our end of the pipe to its descriptor `fd`, non-blocking; none if that is
  /// no pipe. To be asked once.
  UniqueFd take_pipe(int fd) noexcept { return std::move(pipes_[fd]); }

  /// pidfd_send_signal(2). Zero, or the errno.
  int send_signal(int signal_number) noexcept;
  /// SIGKILL. Whether it has been sent, or the process is gone. Nothing in a
  /// process that was forked since: the child is not that one's.
  bool kill() noexcept;
  /// Whether it has ended, and with what return code. Does not wait.
  std::optional<int> reap() noexcept;
  /// Kills it, waits for its end and gives its return code. Does not wait for
  /// one that may not be killed.
  std::optional<int> kill_and_reap() noexcept;

 private:
  void start(const std::vector<std::string>& argv,
             const SubprocessOptions& options);
  void open_process();
  std::optional<int> wait(int id_type, ::id_t id, int options) noexcept;

  Kernel& kernel_;
  UniqueFd pipes_[3];
  UniqueFd process_;
  const ::pid_t parent_;
  ::pid_t pid_ = -1;
  std::optional<int> returncode_;
};

}  // namespace rondo::detail
