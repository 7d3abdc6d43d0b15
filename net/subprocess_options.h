// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rondo {

/// What a child's standard stream is connected to: PIPE, DEVNULL, STDOUT,
/// INHERIT, or a descriptor of ours.
class Redirect {
 public:
  /// Which of them.
  enum class Kind : std::uint8_t {
    kInherit,
    kPipe,
    kDevNull,
    kStdout,
    kDescriptor,
  };

  /// Anything but a descriptor; see the constants.
  constexpr explicit Redirect(Kind kind) noexcept : kind_(kind) {}
  /// What `descriptor` names. It stays the caller's, who may close it as soon
  /// as the child has been started.
  constexpr Redirect(int descriptor) noexcept  // NOLINT: a number is one
      : kind_(Kind::kDescriptor), descriptor_(descriptor) {}

  /// Which it is.
  constexpr Kind kind() const noexcept { return kind_; }
  /// The descriptor, or -1.
  constexpr int descriptor() const noexcept { return descriptor_; }

 private:
  Kind kind_;
  int descriptor_ = -1;
};

// NOLINTBEGIN(readability-identifier-naming): as asyncio writes them

/// What our own stream is connected to.
inline constexpr Redirect INHERIT{Redirect::Kind::kInherit};
/// A pipe, whose other end is ours: see SubprocessTransport, Process.
inline constexpr Redirect PIPE{Redirect::Kind::kPipe};
/// /dev/null.
inline constexpr Redirect DEVNULL{Redirect::Kind::kDevNull};
/// For stderr: where the child's stdout goes.
inline constexpr Redirect STDOUT{Redirect::Kind::kStdout};

// NOLINTEND(readability-identifier-naming)

/// How to start a child.
///
/// Whatever they say, a child begins with every signal at its default and none
/// blocked, and with no descriptor of ours but the three.
class SubprocessOptions {
 public:
  /// The names and values of an environment.
  using Environment = std::map<std::string, std::string>;

  SubprocessOptions() = default;
  /// Its input; INHERIT unless set.
  SubprocessOptions& stdin(Redirect from) noexcept {
    redirects_[0] = from;
    return *this;
  }
  /// Its output; INHERIT unless set.
  SubprocessOptions& stdout(Redirect to) noexcept {
    redirects_[1] = to;
    return *this;
  }
  /// Its output of errors; INHERIT unless set.
  SubprocessOptions& stderr(Redirect to) noexcept {
    redirects_[2] = to;
    return *this;
  }
  /// The folder it begins in; ours unless set.
  SubprocessOptions& cwd(std::string path) {
    cwd_ = std::move(path);
    return *this;
  }
  /// Its whole environment; ours unless set. Its PATH is where the program is
  /// looked for.
  SubprocessOptions& env(Environment variables) {
    env_ = std::move(variables);
    return *this;
  }
  /// Makes it the first of a session of its own (setsid(2)): a Ctrl-C in our
  /// terminal does not reach it.
  SubprocessOptions& start_new_session(bool on) noexcept {
    start_new_session_ = on;
    return *this;
  }

  /// What descriptor `fd` of the child's, 0, 1 or 2, is connected to.
  const Redirect& redirect(int fd) const noexcept { return redirects_[fd]; }
  /// See cwd(std::string). Empty: ours.
  const std::string& cwd() const noexcept { return cwd_; }
  /// See env(Environment).
  const std::optional<Environment>& env() const noexcept { return env_; }
  /// See start_new_session(bool).
  bool start_new_session() const noexcept { return start_new_session_; }

 private:
  Redirect redirects_[3] = {INHERIT, INHERIT, INHERIT};
  std::string cwd_;
  std::optional<Environment> env_;
  bool start_new_session_ = false;
};

/// A program and its arguments: `argv("sort", "-n")`. g++ 12 miscompiles the
/// same in braces inside of a co_await.
template <class... Text>
std::vector<std::string> argv(Text&&... program_and_arguments) {
  std::vector<std::string> all;
  all.reserve(sizeof...(program_and_arguments));
  (all.emplace_back(std::forward<Text>(program_and_arguments)), ...);
  return all;
}

}  // namespace rondo
