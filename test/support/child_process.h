// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "test/support/descriptors.h"

namespace rondo {

/// A copy of this process that tells its parent one thing and ends.
///
///     ChildProcess child;
///     if (child.begin()) child.end("said by the child");
///     EXPECT_EQ(child.story(), "said by the child");
///
/// The child ends with _exit(2), so it runs nobody's destructors.
class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  /// fork(2). Returns whether this is the child.
  bool begin();
  /// Whether this is the child.
  bool is_child() const noexcept { return pid_ == 0; }
  /// In the child: says `story` and ends.
  [[noreturn]] void end(const std::string& story);
  /// In the parent: waits for the end, and returns what was said, or how else
  /// the child ended: "killed by signal 9".
  std::string story();

 private:
  Pipe pipe_;
  ::pid_t pid_ = -1;
};

/// What `tell` returns when a forked child calls it.
std::string in_child(const std::function<std::string()>& tell);

}  // namespace rondo
