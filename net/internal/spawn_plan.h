// SPDX-License-Identifier: MIT
#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "net/subprocess_options.h"
#include "reactor/kernel.h"

namespace rondo::detail {

/// What posix_spawn(3) is to do between the fork and the program.
class SpawnPlan {
 public:
  /// `options` outlives it. Throws std::system_error.
  explicit SpawnPlan(const SubprocessOptions& options);
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan();

  /// The child's descriptor `fd` is to be what `ours` names.
  void connect(int fd, int ours) noexcept { sources_[fd] = ours; }
  /// Starts the program. Zero, or the errno. To be called once.
  int spawn(Kernel& kernel, const std::vector<std::string>& argv,
            ::pid_t& process);

 private:
  void set_attributes();
  void add_actions();
  int scratch() noexcept;
  int search(Kernel& kernel, const std::string& program,
             const std::string& path, char* const* arguments,
             char* const* environment, ::pid_t& process);

  const SubprocessOptions& options_;
  int sources_[3] = {-1, -1, -1};  // what is to be 0, 1 and 2
  int next_scratch_ = 3;
  ::posix_spawn_file_actions_t actions_;
  ::posix_spawnattr_t attributes_;
};

}  // namespace rondo::detail
