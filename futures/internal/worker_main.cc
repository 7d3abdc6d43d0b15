// SPDX-License-Identifier: MIT
#include <cxxabi.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "futures/internal/pool_job.h"
#include "futures/internal/remote_exception.h"
#include "futures/internal/worker_process.h"
#include "reactor/check.h"
#include "reactor/errors.h"

// The life of a worker process, from the fork to _exit(2). It never returns to
// the frames that it was forked in, runs no destructors of theirs, and uses
// none of the loops, whose copies it has.

namespace rondo::detail {
namespace {

/// As execve(2) does: handlers go, what is ignored stays ignored.
void reset_signals(Kernel& kernel) {
  struct ::sigaction action{};
  for (int number = 1; number < NSIG; ++number) {
    if (kernel.sigaction(number, nullptr, &action) != 0) continue;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    kernel.sigaction(number, &action, nullptr);
  }
  // Ctrl-C goes to all processes of the terminal. The parent is to decide.
  action = {};
  action.sa_handler = SIG_IGN;
  kernel.sigaction(SIGINT, &action, nullptr);
  ::sigset_t none;
  ::sigemptyset(&none);
  kernel.signal_mask(SIG_SETMASK, &none, nullptr);
}

/// The descriptors of this process above stderr.
std::vector<int> open_descriptors() {
  std::vector<int> found;
  ::DIR* const folder = ::opendir("/proc/self/fd");
  // Without /proc: all numbers that there may be, within reason.
  const int end = folder != nullptr ? 0 : 4096;
  for (int fd = STDERR_FILENO + 1; fd < end; ++fd) found.push_back(fd);
  if (folder == nullptr) return found;
  while (const ::dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);  // "." and "..": zero
    if (fd > STDERR_FILENO && fd != ::dirfd(folder)) found.push_back(fd);
  }
  ::closedir(folder);
  return found;
}

/// As execve(2) does: closes what is marked so. That is all of the library's:
/// other workers' channels, which would not close in the parent otherwise,
/// loops, and connections.
void close_marked(Kernel& kernel, int channel) {
  for (const int fd : open_descriptors()) {
    if (fd == channel) continue;
    const int flags = kernel.descriptor_flags(fd);
    if (flags >= 0 && (flags & FD_CLOEXEC) != 0) kernel.close(fd);
  }
}

/// The channel, as the worker has it: it blocks.
class Channel {
 public:
  Channel(Kernel& kernel, int fd) noexcept : kernel_(kernel), fd_(fd) {}

  /// Returns false at the end: the parent has closed it, or is gone.
  bool receive(char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t count = kernel_.recv(fd_, data, size, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      data += count;
      size -= static_cast<std::size_t>(count);
    }
    return true;
  }

  bool discard(std::size_t size) {
    char buffer[4096];
    for (std::size_t part = 0; size > 0; size -= part) {
      part = std::min(size, sizeof buffer);
      if (!receive(buffer, part)) return false;
    }
    return true;
  }

  bool send(const std::string& message) {
    std::size_t sent = 0;
    while (sent < message.size()) {
      const ssize_t count = kernel_.send(fd_, message.data() + sent,
                                         message.size() - sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      sent += static_cast<std::size_t>(count);
    }
    return true;
  }

 private:
  Kernel& kernel_;
  const int fd_;
};

std::string describe_failure(const std::exception_ptr& error) {
  WriteArchive out = begin_message();
  out(AnswerKind::kException);
  write_exception(out, error);
  return end_message(std::move(out));
}

RONDO_CATCHES_FORCED_UNWIND std::string run_job(const std::string& request) {
  try {
    WriteArchive out = begin_message();
    out(AnswerKind::kResult);
    ReadArchive in(request);
    const auto serve = in.read<ServeJob>();
    serve(in, out);
    return end_message(std::move(out));
  } catch (const abi::__forced_unwind&) {
    std::fflush(nullptr);
    ::_exit(EXIT_SUCCESS);  // pthread_exit(3) of a process's last thread
  } catch (...) {
    return describe_failure(std::current_exception());
  }
}

/// Receives a request and makes the answer. Returns false at the end.
bool serve_next(Channel& channel, std::string& answer) {
  MessageSize size = 0;
  if (!channel.receive(reinterpret_cast<char*>(&size), sizeof size)) {
    return false;
  }
  std::string request;
  try {
    request.resize(size);
  } catch (const std::exception&) {
    // Too large for us, but not for the next worker.
    answer = describe_failure(std::current_exception());
    return channel.discard(size);
  }
  if (!channel.receive(request.data(), request.size())) return false;
  answer = run_job(request);
  return true;
}

void initialize(void (*initializer)()) noexcept {
  if (initializer == nullptr) return;
  try {
    initializer();
  } catch (...) {
    const std::string text = describe(std::current_exception());
    std::fprintf(stderr, "a worker's initializer failed: %s\n", text.c_str());
    std::fflush(nullptr);
    ::_exit(EXIT_FAILURE);
  }
}

}  // namespace

// noexcept: without memory for an answer, even for one that says so, the worker
// aborts, and its job is told that.
void run_worker(Kernel& kernel, ::pid_t parent, int channel_fd,
                void (*initializer)()) noexcept {
  kernel.set_parent_death_signal(SIGKILL);
  // It may have died before that, and have left a request.
  if (kernel.getppid() != parent) ::_exit(EXIT_FAILURE);
  close_marked(kernel, channel_fd);
  reset_signals(kernel);
  initialize(initializer);
  Channel channel(kernel, channel_fd);
  std::string answer;
  while (serve_next(channel, answer)) {
    std::fflush(nullptr);  // _exit(2) will not
    if (!channel.send(answer)) break;
    answer.clear();
  }
  ::_exit(EXIT_SUCCESS);
}

}  // namespace rondo::detail
