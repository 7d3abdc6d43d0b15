// SPDX-License-Identifier: MIT
#include "test/support/child_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

namespace rondo {

ChildProcess::~ChildProcess() {
  if (pid_ > 0) story();
}

bool ChildProcess::begin() {
  pid_ = ::fork();
  if (pid_ == 0) ::alarm(60);  // in case it hangs
  return is_child();
}

void ChildProcess::end(const std::string& story) {
  write_text(pipe_.writer.get(), story);
  ::_exit(0);
}

std::string ChildProcess::story() {
  pipe_.writer.reset();
  std::string said;
  for (;;) {
    ::pollfd end{.fd = pipe_.reader.get(), .events = POLLIN, .revents = 0};
    ::poll(&end, 1, -1);
    const std::string part = read_text(pipe_.reader.get());
    if (part.empty() && (end.revents & POLLHUP) != 0) break;
    said += part;
  }
  int status = 0;
  const ::pid_t pid = std::exchange(pid_, -1);
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    return "killed by signal " + std::to_string(WTERMSIG(status));
  }
  return said;
}

std::string in_child(const std::function<std::string()>& tell) {
  ChildProcess child;
  if (!child.begin()) return child.story();
  try {
    child.end(tell());
  } catch (const std::exception& error) {
    child.end(std::string("threw: ") + error.what());
  }
}

}  // namespace rondo
