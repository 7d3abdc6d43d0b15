// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "net/internal/net_state.h"
#include "net/internal/protocol_call.h"
#include "net/transport.h"
#include "reactor/internal/pass_end.h"
#include "reactor/unique_fd.h"

namespace rondo::detail {

/// What the two ends of a pipe have in common: how they begin and end, and
/// what happens to what a protocol throws. The life of one is that of a
/// SocketTransport, with one direction:
///
///     open --close()--> closing --all is written--> ending --> ended
///       +---- abort(), an error, a callback threw ----^
///
/// It keeps itself until it has ended, or its loop is closed.
class PipeTransport : public Transport, protected LoopBound, protected PassEnd {
 public:
  void abort() override { force_close(nullptr); }
  bool is_closing() const noexcept override { return is_closing_; }

  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<BaseProtocol> get_protocol() const override {
    return protocol_;
  }
  int fd() const noexcept override { return pipe_.get(); }
  const Address& peername() const override;
  const Address& sockname() const override;
  std::string get_extra_info(std::string_view name,
                             std::string otherwise) const override;

  /// What `pipe` is, of the kinds that can be a transport: S_IFIFO, S_IFSOCK
  /// or S_IFCHR; zero if it is another.
  static unsigned kind_of(Kernel& kernel, int pipe);

 protected:
  PipeTransport(EventLoop& loop, UniqueFd pipe);
  ~PipeTransport() override;

  /// Lets it begin in the next pass: connection_made() is called, then start()
  /// unless it ends, and `made` is done if it is one.
  static void begin_soon(const std::shared_ptr<PipeTransport>& transport,
                         Future<void> made);

  /// Watches the descriptor.
  virtual void start() = 0;
  /// Does not watch it any more.
  virtual void stop() noexcept = 0;
  /// Forgets what was not written.
  virtual void discard() noexcept {}
  /// Forgets who is called.
  virtual void forget_protocol() noexcept {}
  /// At the end of a pass, if asked for and open.
  virtual void flush_at_pass_end() {}

  Kernel& kernel() const noexcept { return net_.kernel(); }
  bool is_over() const noexcept { return is_over_; }
  /// Nothing is read or written any more: it ends, or has ended.
  bool is_ending() const noexcept { return is_ending_; }
  void flush_later() noexcept;

  /// Calls `callback`, which calls the protocol; what that throws ends the
  /// connection, and the exception handler hears `message`.
  template <class Callback>
  bool tell(const char* message, Callback&& callback) {
    const std::shared_ptr<BaseProtocol> keep = protocol_;
    return guarded(callback, [&](const std::exception_ptr& error) {
      fail(message, error);
    });
  }
  /// asyncio's _fatal_error() of what is somebody's fault.
  void fail(const char* message, const std::exception_ptr& error);
  /// The same of an error of the pipe, which is nobody's.
  void fail(const char* message, const char* operation, int error_number);
  void force_close(std::exception_ptr error);
  void end_soon(std::exception_ptr error);
  /// `fd=7 polling`, with ` closing` or the like before.
  std::string state(bool is_polling) const;

  EventLoop& loop_;
  NetState& net_;
  UniqueFd pipe_;
  std::shared_ptr<BaseProtocol> protocol_;
  bool is_closing_ = false;

 private:
  struct End;

  void begin(Future<void>& made);
  void go_on(Future<void>& made);
  void on_pass_end() override;
  void queue_end();
  void end();
  void let_go() noexcept;
  void release() noexcept;
  void abandon() noexcept override;

  std::shared_ptr<PipeTransport> self_;  // until the end
  std::exception_ptr error_;             // what it ends with
  bool is_ending_ = false;
  bool end_is_queued_ = false;
  bool is_over_ = false;  // connection_lost() was called
};

}  // namespace rondo::detail
