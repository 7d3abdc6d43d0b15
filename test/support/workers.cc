// SPDX-License-Identifier: MIT
#include "test/support/workers.h"

#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <string>

namespace rondo::test {

bool is_child(::pid_t pid) {
  ::siginfo_t info;
  info.si_pid = 0;
  return ::waitid(P_PID, static_cast<::id_t>(pid), &info,
                  WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool has_ended_soon(::pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  for (int i = 0; i < 2000; ++i) {
    std::ifstream stat(path);
    std::string text;
    if (!std::getline(stat, text)) return true;
    // `pid (name) state ...`, where the name may have anything in it. Whoever
    // inherits an orphan may take his time to wait for it.
    const std::size_t end = text.rfind(')');
    if (end != std::string::npos && text.substr(end, 3) == ") Z") return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace rondo::test
