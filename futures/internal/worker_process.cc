// SPDX-License-Identifier: MIT
#include "futures/internal/worker_process.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

namespace rondo::detail {
namespace {

// waitid(2) on a process that has been killed may be interrupted. Not for
// ever.
constexpr int kAttempts = 8;

[[noreturn]] void fail(int error, const char* operation) {
  throw std::system_error(error, std::generic_category(), operation);
}

/// While it lives, no signal is delivered to this thread: in a process that
/// has just been forked the handlers are still those of the parent.
class SignalsBlocked {
 public:
  explicit SignalsBlocked(Kernel& kernel) noexcept : kernel_(kernel) {
    ::sigset_t all;
    ::sigfillset(&all);
    blocked_ = kernel_.signal_mask(SIG_SETMASK, &all, &before_) == 0;
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() {
    if (blocked_) kernel_.signal_mask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  Kernel& kernel_;
  ::sigset_t before_;
  bool blocked_;
};

}  // namespace

std::string end_message(WriteArchive out) {
  std::string message = std::move(out).take();
  const MessageSize size = message.size() - sizeof(MessageSize);
  std::memcpy(message.data(), &size, sizeof size);
  return message;
}

WorkerProcess::WorkerProcess(Kernel& kernel, void (*initializer)())
    : kernel_(kernel) {
  int both[2];
  if (kernel.socketpair(both) != 0) fail(errno, "socketpair for a worker");
  channel_ = UniqueFd(both[0], kernel);
  const UniqueFd theirs(both[1], kernel);
  // What is in stdio's buffers would be written once more by the worker.
  std::fflush(nullptr);
  const ::pid_t parent = kernel.getpid();
  int error = 0;
  {
    const SignalsBlocked blocked(kernel);
    pid_ = kernel.fork();
    if (pid_ == 0) run_worker(kernel, parent, theirs.get(), initializer);
    error = errno;
  }
  if (pid_ < 0) fail(error, "fork of a worker");
  process_ = UniqueFd(kernel.pidfd_open(pid_), kernel);
  if (!process_) {
    error = errno;
    give_up();
    fail(error, "pidfd_open of a worker");
  }
}

/// Without a pidfd we could not watch it.
void WorkerProcess::give_up() noexcept {
  kernel_.kill(pid_, SIGKILL);
  ::siginfo_t info;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (kernel_.waitid(P_PID, static_cast<::id_t>(pid_), &info, WEXITED) == 0 ||
        errno != EINTR) {
      return;
    }
  }
}

void WorkerProcess::kill() noexcept {
  kernel_.pidfd_send_signal(process_.get(), SIGKILL);
}

std::optional<WorkerProcess::End> WorkerProcess::reap() noexcept {
  ::siginfo_t info;
  int answer = -1;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    info.si_pid = 0;
    answer = kernel_.waitid(P_PIDFD, static_cast<::id_t>(process_.get()), &info,
                            WEXITED | WNOHANG);
    if (answer == 0 || errno != EINTR) break;
  }
  if (answer == 0 && info.si_pid == 0) return std::nullopt;  // it runs
  End end;
  // ECHILD: somebody else has reaped it.
  if (answer != 0) return end;
  if (info.si_code == CLD_EXITED) {
    end.status = info.si_status;
  } else {
    end.signal_number = info.si_status;
  }
  return end;
}

}  // namespace rondo::detail
