// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "net/internal/spawned_child.h"
#include "net/subprocess.h"
#include "reactor/internal/pass_end.h"

namespace rondo::detail {

class ChildPipe;

/// A child and its pipes. asyncio's _UnixSubprocessTransport.
///
///     running --the pidfd is readable--> exited ---+
///     pipes open --each connection_lost()--> none -+-> ending --> ended
///                                       (connection_lost() is queued)
///
/// It keeps itself until it has ended, or its loop is closed.
class ChildTransport final : public SubprocessTransport,
                             private LoopBound,
                             private PassEnd {
 public:
  /// Starts the child. In the next pass connection_made() is called, after
  /// those of the pipes; then `made` is done. Throws what SpawnedChild does.
  static std::shared_ptr<ChildTransport> create(
      EventLoop& loop, const std::vector<std::string>& argv,
      const SubprocessOptions& options,
      std::shared_ptr<SubprocessProtocol> protocol, Future<void> made);
  /// For create().
  ChildTransport(EventLoop& loop, Kernel& kernel,
                 const std::vector<std::string>& argv,
                 const SubprocessOptions& options);
  ~ChildTransport() override;

  ::pid_t get_pid() const noexcept override { return child_.pid(); }
  std::optional<int> get_returncode() const noexcept override {
    return returncode_;
  }
  std::shared_ptr<Transport> get_pipe_transport(int fd) const override;
  void send_signal(int signal_number) override;
  Future<int> wait() override;
  void close() override;
  bool is_closing() const noexcept override { return is_closing_; }
  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<SubprocessProtocol> get_protocol() const override {
    return protocol_;
  }
  void set_protocol(std::shared_ptr<SubprocessProtocol> protocol) override;
  std::string description() const override;

  /// The pidfd, for who reports an error; negative after the exit.
  int fd() const noexcept { return child_.process_fd(); }

  // -- for ChildPipe --

  void on_pipe_data(int fd, std::string_view data);
  void on_pipe_lost(int fd, std::exception_ptr error);
  void on_pause(bool pause);

 private:
  class Pipe {
   public:
    std::shared_ptr<Transport> transport;
    bool is_connected = false;
  };
  struct End;

  void watch(Future<void> made);
  void connect_pipe(int fd);
  void give_up() noexcept;
  void begin(Future<void>& made);
  void go_on(Future<void>& made);
  void on_process_event();
  void exited(int returncode);
  void wake() noexcept;
  void try_finish();
  void queue_end();
  void end();
  void let_go() noexcept;
  void release() noexcept;
  void stop_watching() noexcept;
  void on_pass_end() override;
  void abandon() noexcept override;

  /// Calls `callback`, which calls the protocol; the exception handler hears
  /// `message` and what that throws.
  template <class Callback>
  void tell(const char* message, Callback&& callback);

  EventLoop& loop_;
  SpawnedChild child_;
  Pipe pipes_[3];
  std::shared_ptr<ChildTransport> self_;  // until the end
  std::shared_ptr<SubprocessProtocol> protocol_;
  std::vector<Future<int>> waiters_;
  std::exception_ptr error_;  // what connection_made() has thrown
  std::optional<int> returncode_;
  int watched_ = -1;  // the pidfd, while the loop has it
  bool is_closing_ = false;
  bool is_ending_ = false;  // all is said but connection_lost()
  bool is_over_ = false;    // connection_lost() was called
};

}  // namespace rondo::detail
