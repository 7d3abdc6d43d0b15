// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "net/stream_reader.h"
#include "net/stream_writer.h"
#include "net/subprocess.h"

namespace rondo {

namespace detail {
class SubprocessStreams;
}  // namespace detail

/// What a child has written.
class ProcessOutput {
 public:
  ProcessOutput() = default;
  /// Takes both.
  ProcessOutput(std::optional<std::string> out, std::optional<std::string> err)
      : stdout(std::move(out)), stderr(std::move(err)) {}
  /// To its stdout; nothing if that is no pipe.
  std::optional<std::string> stdout;
  /// To its stderr; nothing if that is no pipe.
  std::optional<std::string> stderr;
};

/// A child process, with streams for its pipes. A small value: copies mean the
/// same child. Dropping them all leaves it alone; see SubprocessTransport.
///
///     auto starting = create_subprocess_exec(
///         argv("sort"), SubprocessOptions().stdin(PIPE).stdout(PIPE));
///     Process sort = co_await starting;
///     ProcessOutput sorted = co_await sort.communicate("b\na\n");
///     int returncode = co_await sort.wait();
///
/// Source: asyncio.subprocess.Process.
class Process {
 public:
  class Communicate;

  /// Means no child.
  Process() noexcept = default;

  /// To its stdin, from its stdout and its stderr: none if that is no pipe.
  StreamWriter stdin;
  /// See stdin.
  StreamReader stdout;
  /// See stdin.
  StreamReader stderr;

  /// The child's number.
  ::pid_t pid() const noexcept { return transport_->get_pid(); }
  /// See SubprocessTransport::get_returncode().
  std::optional<int> returncode() const noexcept {
    return transport_->get_returncode();
  }
  /// Done when it has ended, with returncode(). With pipes that nobody reads
  /// this may be never: it waits until there is room in them. A cancel loses
  /// nothing. (CPython before 3.13 waits for the end of its pipes, too.)
  Future<int> wait() const { return transport_->wait(); }
  /// See SubprocessTransport::send_signal().
  void send_signal(int signal_number) const {
    transport_->send_signal(signal_number);
  }
  /// SIGTERM.
  void terminate() const { transport_->terminate(); }
  /// SIGKILL.
  void kill() const { transport_->kill(); }

  /// Writes `input` to its stdin, then closes that; reads all that it writes
  /// meanwhile; waits for its end. That the child does not read its input to
  /// the end is no error. Throws std::invalid_argument at once if there is
  /// input and stdin is no pipe.
  ///
  /// A cancel leaves the child running. Input that was not written is lost;
  /// what it has written may still be read, by the streams or by another
  /// communicate().
  Communicate communicate(std::string input) const;
  /// The same without input: closes its stdin. (As CPython since 3.12.)
  Communicate communicate() const;

  /// What is below.
  SubprocessTransport& transport() const noexcept { return *transport_; }
  /// Whether it means a child.
  explicit operator bool() const noexcept { return transport_ != nullptr; }
  /// `<Process 77>`.
  friend std::string to_string(const Process& process);

  /// For the library.
  Process(std::shared_ptr<SubprocessTransport> transport,
          const detail::SubprocessStreams& streams);

 private:
  std::shared_ptr<SubprocessTransport> transport_;
};

/// What Process::communicate() gives: an operation.
class [[nodiscard]] Process::Communicate
    : public Operation<Process::Communicate, ProcessOutput> {
 public:
  /// For Process.
  Communicate(Process process, std::string input) noexcept
      : process_(std::move(process)), input_(std::move(input)) {}
  Communicate(Communicate&&) = default;
  ~Communicate();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  ProcessOutput result();
  /// asyncio's name of it.
  static constexpr const char* kName = "Process.communicate";

 private:
  void begin(EventLoop& loop);

  Process process_;
  std::string input_;
  Future<std::optional<std::string>> stdout_;
  Future<std::optional<std::string>> stderr_;
  AnyFuture all_;  // those, and the one that writes
  Future<int> exit_;
};

/// What create_subprocess_exec() and create_subprocess_shell() give: an
/// operation. A cancel kills the child.
class [[nodiscard]] CreateSubprocess
    : public Operation<CreateSubprocess, Process> {
 public:
  /// For create_subprocess_exec().
  explicit CreateSubprocess(SubprocessExec exec) noexcept
      : exec_(std::move(exec)) {}

  /// See TaskBody.
  Step step(Resumption& resumption) { return exec_.step(resumption); }
  /// See TaskBody.
  Process result();
  /// asyncio's name of it.
  static constexpr const char* kName = "create_subprocess_exec";

 private:
  SubprocessExec exec_;
};

/// Runs a program; see subprocess_exec(). `limit` is that of its readers.
///
/// Source: asyncio.create_subprocess_exec.
CreateSubprocess create_subprocess_exec(
    std::vector<std::string> argv,
    SubprocessOptions options = SubprocessOptions(),
    std::size_t limit = kStreamLimit);
/// Runs `/bin/sh -c command`; see subprocess_shell().
///
/// Source: asyncio.create_subprocess_shell.
CreateSubprocess create_subprocess_shell(
    std::string command, SubprocessOptions options = SubprocessOptions(),
    std::size_t limit = kStreamLimit);

}  // namespace rondo
