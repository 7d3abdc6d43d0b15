// SPDX-License-Identifier: MIT
#include "net/internal/spawned_child.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "net/internal/spawn_plan.h"

namespace rondo::detail {

namespace {

// waitid(2) on a process that has been killed may be interrupted. Not for
// ever.
constexpr int kAttempts = 8;

[[noreturn]] void fail(int error, const std::string& operation) {
  throw std::system_error(error, std::generic_category(), operation);
}

void check_text(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    throw std::invalid_argument("embedded null byte");
  }
}

void check_environment(const SubprocessOptions::Environment& variables) {
  for (const auto& [name, value] : variables) {
    check_text(name);
    check_text(value);
    if (name.empty() || name.find('=') != std::string::npos) {
      throw std::invalid_argument("illegal environment variable name");
    }
  }
}

}  // namespace

void check_subprocess(const std::vector<std::string>& argv,
                      const SubprocessOptions& options) {
  if (argv.empty() || argv[0].empty()) {
    throw std::invalid_argument("subprocess: no program");
  }
  for (const std::string& argument : argv) check_text(argument);
  check_text(options.cwd());
  if (const auto& variables = options.env()) check_environment(*variables);
  for (int fd = 0; fd < 3; ++fd) {
    const Redirect& redirect = options.redirect(fd);
    if (redirect.kind() == Redirect::Kind::kStdout && fd != 2) {
      throw std::invalid_argument("STDOUT can only be used for stderr");
    }
    if (redirect.kind() == Redirect::Kind::kDescriptor &&
        redirect.descriptor() < 0) {
      throw std::invalid_argument("Invalid file descriptor: " +
                                  std::to_string(redirect.descriptor()));
    }
  }
}

SpawnedChild::SpawnedChild(Kernel& kernel, const std::vector<std::string>& argv,
                           const SubprocessOptions& options)
    : kernel_(kernel), parent_(kernel.getpid()) {
  start(argv, options);
  open_process();
}

void SpawnedChild::start(const std::vector<std::string>& argv,
                         const SubprocessOptions& options) {
  SpawnPlan plan(options);
  UniqueFd theirs[3];
  for (int fd = 0; fd < 3; ++fd) {
    if (options.redirect(fd).kind() != Redirect::Kind::kPipe) continue;
    int both[2];
    if (kernel_.pipe(both) != 0) fail(errno, "pipe to a child");
    UniqueFd reader(both[0], kernel_);
    UniqueFd writer(both[1], kernel_);
    theirs[fd] = std::move(fd == 0 ? reader : writer);
    pipes_[fd] = std::move(fd == 0 ? writer : reader);
    if (kernel_.set_blocking(pipes_[fd].get(), false) != 0) {
      fail(errno, "fcntl(O_NONBLOCK) of a pipe to a child");
    }
    plan.connect(fd, theirs[fd].get());
  }
  const int error = plan.spawn(kernel_, argv, pid_);
  if (error == 0) return;
  std::string operation = "posix_spawn '" + argv[0] + "'";
  if (!options.cwd().empty()) operation += " in '" + options.cwd() + "'";
  fail(error, operation);
}

void SpawnedChild::open_process() {
  process_ = UniqueFd(kernel_.pidfd_open(pid_), kernel_);
  if (process_) return;
  const int error = errno;
  if (error == ESRCH) {
    // It has ended, and the program ignores SIGCHLD or waits for any child.
    returncode_ = kUnknownReturncode;
    return;
  }
  // We could not watch it. Nobody else reaps it, so the number is its own.
  const bool killed = kernel_.kill(pid_, SIGKILL) == 0;
  wait(P_PID, static_cast<::id_t>(pid_), killed ? WEXITED : WEXITED | WNOHANG);
  fail(error, "pidfd_open of a child");
}

int SpawnedChild::send_signal(int signal_number) noexcept {
  if (returncode_) return ESRCH;
  return kernel_.pidfd_send_signal(process_.get(), signal_number) == 0 ? 0
                                                                       : errno;
}

bool SpawnedChild::kill() noexcept {
  if (kernel_.getpid() != parent_) return false;
  const int error = send_signal(SIGKILL);
  if (error == 0 || error == ESRCH) return true;
  return kernel_.kill(pid_, SIGKILL) == 0;
}

std::optional<int> SpawnedChild::reap() noexcept {
  if (returncode_) return returncode_;
  returncode_ =
      wait(P_PIDFD, static_cast<::id_t>(process_.get()), WEXITED | WNOHANG);
  return returncode_;
}

std::optional<int> SpawnedChild::kill_and_reap() noexcept {
  if (pid_ < 0 || returncode_) return returncode_;
  const int wait_options = kill() ? WEXITED : WEXITED | WNOHANG;
  returncode_ =
      wait(P_PIDFD, static_cast<::id_t>(process_.get()), wait_options);
  process_.reset();
  return returncode_;
}

/// Nothing if it runs.
std::optional<int> SpawnedChild::wait(int id_type, ::id_t id,
                                      int options) noexcept {
  ::siginfo_t info;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    info.si_pid = 0;
    if (kernel_.waitid(id_type, id, &info, options) == 0) {
      if (info.si_pid == 0) return std::nullopt;
      return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    }
    if (errno == ECHILD) break;  // somebody else has reaped it
  }
  return kUnknownReturncode;
}

}  // namespace rondo::detail
