// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "net/subprocess_options.h"
#include "net/transport.h"
#include "reactor/callback.h"

namespace rondo {

class EventLoop;
class SubprocessTransport;

/// What a child process is to us:
///
///     connection_made
///     pipe_data_received*  pipe_connection_lost  for each pipe
///     process_exited                             any time between
///     connection_lost                            when all of those were
///
/// Each is called by the loop, on its thread, and never out of a call of the
/// protocol's own. What one throws is told to the loop's exception handler;
/// out of connection_made() it also closes the transport, and is what
/// connection_lost() is then given. Any other leaves child and pipes alone.
///
/// It is no BaseProtocol: that is made with a Transport, a stream of bytes,
/// and this with a child, which may have none and up to three.
///
/// Source: asyncio.SubprocessProtocol.
class SubprocessProtocol {
 public:
  SubprocessProtocol() = default;
  SubprocessProtocol(const SubprocessProtocol&) = delete;
  SubprocessProtocol& operator=(const SubprocessProtocol&) = delete;
  virtual ~SubprocessProtocol() = default;

  /// First. The child runs already. `transport` is there until
  /// connection_lost() has returned; shared_from_this() keeps it longer.
  virtual void connection_made(SubprocessTransport& transport) {
    static_cast<void>(transport);
  }
  /// The child has written to its descriptor `fd`: 1 or 2. `data` is there
  /// during the call only.
  virtual void pipe_data_received(int fd, std::string_view data) {
    static_cast<void>(fd);
    static_cast<void>(data);
  }
  /// The pipe to its descriptor `fd` is closed: 0, 1 or 2. `error` is null if
  /// either side has closed it, else what it failed with.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): for who overrides it
  virtual void pipe_connection_lost(int fd, std::exception_ptr error) {
    static_cast<void>(fd);
    static_cast<void>(error);
  }
  /// The child has ended: SubprocessTransport::get_returncode(). There may be
  /// data in its pipes still, and if it has handed them on to a process of its
  /// own they stay open.
  virtual void process_exited() {}
  /// Last, exactly once after connection_made(). `error` is what
  /// connection_made() has thrown, or null.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): for who overrides it
  virtual void connection_lost(std::exception_ptr error) {
    static_cast<void>(error);
  }
  /// See BaseProtocol::pause_writing(): of the pipe to the child's stdin.
  virtual void pause_writing() {}
  /// See BaseProtocol::resume_writing().
  virtual void resume_writing() {}
};

/// Makes the protocol of a child. A function that returns a std::unique_ptr
/// will do as well.
using SubprocessProtocolFactory =
    UniqueFunction<std::shared_ptr<SubprocessProtocol>()>;

/// A child process, and the pipes to it.
///
/// It belongs to its loop until connection_lost() has been called, so dropping
/// it leaves the child alone; keep a shared_from_this() to look at it later.
/// If the loop is closed before, the child is killed and waited for: no zombie
/// is left, ever. (But one that may not be killed, as it has become another
/// user's, is left to itself then.) The child is known by a pidfd: there is no
/// handler for SIGCHLD, and no signal reaches a stranger with its number.
///
/// To be used on the loop's thread only.
///
/// Source: asyncio.SubprocessTransport.
class SubprocessTransport
    : public std::enable_shared_from_this<SubprocessTransport> {
 public:
  SubprocessTransport() = default;
  SubprocessTransport(const SubprocessTransport&) = delete;
  SubprocessTransport& operator=(const SubprocessTransport&) = delete;
  virtual ~SubprocessTransport() = default;

  /// The child's number.
  virtual ::pid_t get_pid() const noexcept = 0;
  /// What it has ended with: its exit status, or the number of the signal that
  /// has killed it, less than zero; 255 if somebody else has waited for it
  /// (or if the program ignores SIGCHLD), so that nobody can tell. Nothing
  /// while it runs.
  virtual std::optional<int> get_returncode() const noexcept = 0;
  /// Our end of the pipe to its descriptor `fd`: 0, 1 or 2. Null if that is no
  /// pipe.
  virtual std::shared_ptr<Transport> get_pipe_transport(int fd) const = 0;

  /// Sends it a signal. Throws a std::system_error with ESRCH if it is known
  /// to have ended, and with what pidfd_send_signal(2) fails with: EINVAL,
  /// EPERM.
  virtual void send_signal(int signal_number) = 0;
  /// SIGTERM. See send_signal().
  void terminate();
  /// SIGKILL. See send_signal().
  void kill();
  /// Done when the child has ended, with get_returncode(). Its pipes may be
  /// open still, if it has handed them on. One for each who asks: a cancel is
  /// nobody else's, and loses nothing.
  virtual Future<int> wait() = 0;
  /// Closes all pipes, and kills the child if it runs. connection_lost()
  /// follows when it has ended.
  virtual void close() = 0;
  /// Whether it is closed, or has ended.
  virtual bool is_closing() const noexcept = 0;

  /// The loop it belongs to.
  virtual EventLoop& loop() const noexcept = 0;
  /// Whom it calls; null after the end.
  virtual std::shared_ptr<SubprocessProtocol> get_protocol() const = 0;
  /// Calls somebody else from now on. Throws std::invalid_argument for null.
  virtual void set_protocol(std::shared_ptr<SubprocessProtocol> protocol) = 0;
  /// As asyncio's repr.
  virtual std::string description() const = 0;
};

/// `<_UnixSubprocessTransport pid=77 running stdin=<...>>`.
std::string to_string(const SubprocessTransport& transport);

/// What subprocess_exec() gives.
class Subprocess {
 public:
  /// Neither.
  Subprocess() = default;
  /// Takes both.
  Subprocess(std::shared_ptr<SubprocessTransport> t,
             std::shared_ptr<SubprocessProtocol> p)
      : transport(std::move(t)), protocol(std::move(p)) {}
  /// The child.
  std::shared_ptr<SubprocessTransport> transport;
  /// What the factory has made.
  std::shared_ptr<SubprocessProtocol> protocol;
};

/// What subprocess_exec() and subprocess_shell() give: an operation. A cancel
/// kills the child.
class [[nodiscard]] SubprocessExec
    : public Operation<SubprocessExec, Subprocess> {
 public:
  /// For subprocess_exec().
  SubprocessExec(SubprocessProtocolFactory factory,
                 std::vector<std::string> argv, SubprocessOptions options);
  /// Before the first step only.
  SubprocessExec(SubprocessExec&&) noexcept;
  ~SubprocessExec();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  Subprocess result();
  /// asyncio's name of it.
  static constexpr const char* kName = "subprocess_exec";

 private:
  SubprocessProtocolFactory factory_;
  std::vector<std::string> argv_;
  SubprocessOptions options_;
  Subprocess subprocess_;
  Future<void> made_;
};

/// Runs a program: `argv[0]`, looked for along PATH if it has no slash. Done
/// when connection_made() has been called.
///
/// The loop's thread waits until the program has been loaded (posix_spawn(3)),
/// which takes about a millisecond. Throws a std::system_error that names the
/// program, and the folder to begin in if there is one: ENOENT, EACCES, EMFILE
/// and whatever else it failed with; std::invalid_argument at once if there is
/// no program, for a text with a NUL byte in it or a variable's name with a
/// `=`, or if a redirection makes no sense; what the factory or
/// connection_made() throws.
///
/// Source: asyncio.loop.subprocess_exec.
SubprocessExec subprocess_exec(SubprocessProtocolFactory factory,
                               std::vector<std::string> argv,
                               SubprocessOptions options = SubprocessOptions());
/// The same with `/bin/sh -c command`. Who puts a text of somebody else's into
/// `command` lets them run what they like.
///
/// Source: asyncio.loop.subprocess_shell.
SubprocessExec subprocess_shell(
    SubprocessProtocolFactory factory, std::string command,
    SubprocessOptions options = SubprocessOptions());

}  // namespace rondo
