// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace rondo {

/// An exception of another process whose type this one cannot make anew: what
/// is left of it is text.
class RemoteError : public std::runtime_error {
 public:
  /// what() is `type: message`, or `type` alone.
  RemoteError(std::string type, std::string message)
      : std::runtime_error(message.empty() ? type : type + ": " + message),
        type_(std::move(type)),
        message_(std::move(message)) {}
  /// The name of its type there: `app::ParseError`.
  const std::string& type() const noexcept { return type_; }
  /// Its what() there; empty if it was no std::exception.
  const std::string& message() const noexcept { return message_; }

 private:
  std::string type_;
  std::string message_;
};

/// A worker of a ProcessPool ended while it ran a job: the job's future ends
/// with this. Whether the job did what it was to do nobody knows. Other
/// workers' jobs are not concerned, and another worker takes its place.
class BrokenWorker : public std::runtime_error {
 public:
  /// For the library.
  BrokenWorker(const std::string& text, ::pid_t pid, std::optional<int> status,
               std::optional<int> signal_number)
      : std::runtime_error(text),
        pid_(pid),
        status_(status),
        signal_number_(signal_number) {}
  /// The process that ended.
  ::pid_t pid() const noexcept { return pid_; }
  /// What it exited with, if it did.
  std::optional<int> exit_status() const noexcept { return status_; }
  /// The signal that killed it, if one did. Neither is known if somebody else
  /// has waited for the process (waitpid(-1), SIGCHLD ignored).
  std::optional<int> signal_number() const noexcept { return signal_number_; }

 private:
  ::pid_t pid_;
  std::optional<int> status_;
  std::optional<int> signal_number_;
};

}  // namespace rondo
