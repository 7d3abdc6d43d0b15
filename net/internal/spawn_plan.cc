// SPDX-License-Identifier: MIT
#include "net/internal/spawn_plan.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>

namespace rondo::detail {

namespace {

// Where a program is looked for without a PATH: Python's os.defpath.
constexpr const char* kDefaultPath = "/bin:/usr/bin";

/// These answer with the errno itself.
void check(int error, const char* operation) {
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), operation);
  }
}

/// As execve(2) takes them: pointers, the last of them null.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    all.push_back(const_cast<char*>(text.c_str()));
  }
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> assignments(
    const SubprocessOptions::Environment& variables) {
  std::vector<std::string> all;
  all.reserve(variables.size());
  for (const auto& [name, value] : variables) {
    all.push_back(name + "=" + value);  // NOLINT(performance-*): one text
  }
  return all;
}

}  // namespace

SpawnPlan::SpawnPlan(const SubprocessOptions& options) : options_(options) {
  check(::posix_spawn_file_actions_init(&actions_),
        "posix_spawn_file_actions_init");
  const int error = ::posix_spawnattr_init(&attributes_);
  if (error != 0) ::posix_spawn_file_actions_destroy(&actions_);
  check(error, "posix_spawnattr_init");
  for (int fd = 0; fd < 3; ++fd) {
    const Redirect& redirect = options.redirect(fd);
    if (redirect.kind() == Redirect::Kind::kDescriptor) {
      connect(fd, redirect.descriptor());
    }
  }
}

SpawnPlan::~SpawnPlan() {
  ::posix_spawnattr_destroy(&attributes_);
  ::posix_spawn_file_actions_destroy(&actions_);
}

int SpawnPlan::spawn(Kernel& kernel, const std::vector<std::string>& argv,
                     ::pid_t& process) {
  set_attributes();
  add_actions();
  const std::vector<char*> arguments = pointers(argv);
  const std::optional<SubprocessOptions::Environment>& theirs = options_.env();
  if (!theirs) {
    return kernel.spawn(&process, argv[0].c_str(), &actions_, &attributes_,
                        arguments.data(), ::environ);
  }
  const std::vector<std::string> texts = assignments(*theirs);
  const std::vector<char*> environment = pointers(texts);
  const auto path = theirs->find("PATH");
  const std::string their_path =
      path != theirs->end() ? path->second : kDefaultPath;
  const char* const our_path = std::getenv("PATH");
  // posix_spawnp(3) looks along our own PATH.
  if (argv[0].find('/') == std::string::npos &&
      (our_path == nullptr || their_path != our_path)) {
    return search(kernel, argv[0], their_path, arguments.data(),
                  environment.data(), process);
  }
  return kernel.spawn(&process, argv[0].c_str(), &actions_, &attributes_,
                      arguments.data(), environment.data());
}

/// As execvp(3) does: a file that may not be run is passed over, and is the
/// error if there is none that may.
int SpawnPlan::search(Kernel& kernel, const std::string& program,
                      const std::string& path, char* const* arguments,
                      char* const* environment, ::pid_t& process) {
  int answer = ENOENT;
  std::string_view rest = path;
  while (true) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string file(rest.substr(0, end));
    file += file.empty() ? "./" : "/";
    file += program;
    const int error = kernel.spawn(&process, file.c_str(), &actions_,
                                   &attributes_, arguments, environment);
    if (error == EACCES) answer = EACCES;
    if (error != EACCES && error != ENOENT && error != ENOTDIR) return error;
    if (end == rest.size()) return answer;
    rest.remove_prefix(end + 1);
  }
}

void SpawnPlan::set_attributes() {
  ::sigset_t set;
  ::sigemptyset(&set);
  check(::posix_spawnattr_setsigmask(&attributes_, &set),
        "posix_spawnattr_setsigmask");
  ::sigfillset(&set);
  check(::posix_spawnattr_setsigdefault(&attributes_, &set),
        "posix_spawnattr_setsigdefault");
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options_.start_new_session()) flags |= POSIX_SPAWN_SETSID;
  check(::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags)),
        "posix_spawnattr_setflags");
}

void SpawnPlan::add_actions() {
  // stdin=1, stdout=0 and the like: what is to become another of the three is
  // put aside before it is overwritten. So may be one end of a pipe, if the
  // program has closed one of its own three.
  int sources[3];
  for (int fd = 0; fd < 3; ++fd) {
    sources[fd] = sources_[fd];
    if (sources_[fd] < 0 || sources_[fd] > 2 || sources_[fd] == fd) continue;
    sources[fd] = scratch();
    check(::posix_spawn_file_actions_adddup2(&actions_, sources_[fd],
                                             sources[fd]),
          "posix_spawn_file_actions_adddup2");
  }
  for (int fd = 0; fd < 3; ++fd) {
    int error = 0;
    if (sources[fd] >= 0) {
      // Of a number and itself this takes FD_CLOEXEC away.
      error = ::posix_spawn_file_actions_adddup2(&actions_, sources[fd], fd);
    } else if (options_.redirect(fd).kind() == Redirect::Kind::kDevNull) {
      error = ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null",
                                                 O_RDWR, 0);
    } else if (options_.redirect(fd).kind() == Redirect::Kind::kStdout) {
      error = ::posix_spawn_file_actions_adddup2(&actions_, 1, fd);
    }
    check(error, "posix_spawn_file_actions_adddup2");
  }
  if (!options_.cwd().empty()) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_,
                                                 options_.cwd().c_str()),
          "posix_spawn_file_actions_addchdir_np");
  }
  check(::posix_spawn_file_actions_addclosefrom_np(&actions_, 3),
        "posix_spawn_file_actions_addclosefrom_np");
}

/// A number that none of the sources has. Whatever it means in the child, which
/// has a table of its own, goes away with all the others.
int SpawnPlan::scratch() noexcept {
  while (std::find(std::begin(sources_), std::end(sources_), next_scratch_) !=
         std::end(sources_)) {
    ++next_scratch_;
  }
  return next_scratch_++;
}

}  // namespace rondo::detail
