// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>

#include "futures/future.h"
#include "futures/internal/loop_state.h"
#include "reactor/internal/pass_end.h"

namespace rondo::detail {

/// How a transport begins and ends: of a socket, of datagrams, of a pipe.
///
///               set_closing()               all is sent: end_soon()
///     kOpen ------------------> kClosing ---------------------------+
///       |                          |                                v
///       +--------------------------+-- force_close(), fail() --> kEnding
///                                                                   |
///              kOver <-- connection_lost() -- kQueued <-------------+
///
/// A descriptor that the loop has lost makes it kLost, from where it ends with
/// that error at the end of the pass.
///
/// It keeps itself until it is over, or its loop is closed: then nobody is
/// called any more. connection_lost() is called by the loop, once, whatever
/// happens: without memory to queue it the end of each pass tries again.
class TransportLife : protected LoopBound, protected PassEnd {
 public:
  // -- what Transport and DatagramTransport have, too --

  virtual EventLoop& loop() const noexcept = 0;
  virtual int fd() const noexcept = 0;
  virtual std::string description() const = 0;

 protected:
  explicit TransportLife(EventLoop& loop) noexcept : loop_(loop) {}
  ~TransportLife() override = default;

  // -- what differs --

  /// Calls connection_made(). What that throws ends it.
  virtual void tell_made() = 0;
  /// Begins to read, unless it is closing: connection_made() was called.
  virtual void start() = 0;
  /// Watches the descriptor no more. Called when it ends, and perhaps again.
  virtual void stop() noexcept = 0;
  /// Forgets what was not sent, so that what ends has nothing to send.
  virtual void discard() noexcept = 0;
  /// Calls connection_lost().
  virtual void tell_lost(std::exception_ptr error) = 0;
  /// Closes the descriptor, and lets go of the protocol and of all memory.
  virtual void let_go() noexcept = 0;
  /// Whose _call_connection_lost() it is in asyncio.
  virtual const char* asyncio_name() const noexcept = 0;

  // -- where it stands --

  bool is_open() const noexcept { return stage_ == Stage::kOpen; }
  /// The descriptor is of no use: it ends, or will at the end of the pass.
  bool is_lost_or_ending() const noexcept { return stage_ >= Stage::kLost; }
  /// Nothing is read or written any more.
  bool is_ending() const noexcept { return stage_ >= Stage::kEnding; }
  /// connection_lost() was called.
  bool is_over() const noexcept { return stage_ == Stage::kOver; }
  /// What it ends with, from then until connection_lost().
  const std::exception_ptr& error() const noexcept { return error_; }
  /// ` closing fd=7`, for description().
  std::string state() const;

  // -- what happens to it --

  /// Lets it begin in the next pass: tell_made(), then start() unless it ends,
  /// and `made` is done if it is one. `self` is what it keeps.
  void begin_soon(std::shared_ptr<void> self, Future<void> made);
  /// Asks for on_pass_end().
  void flush_later() noexcept;
  /// What is left to be done if is_lost_or_ending(). Overrides send what
  /// waits, if not.
  void on_pass_end() override;
  /// Nothing is read any more. What was written is sent.
  void set_closing() noexcept { stage_ = std::max(stage_, Stage::kClosing); }
  /// Lets it end with `error`, or with none. What was not sent waits for
  /// let_go(). Does nothing if it ends already.
  void end_soon(std::exception_ptr error);
  /// The same at once: for a call of the loop's, when all is sent.
  void end_now();
  /// Forgets what was not sent, and ends it.
  void force_close(std::exception_ptr error);
  /// asyncio's _fatal_error(), of what is somebody's fault: the exception
  /// handler hears `message` and `error`, with which it ends.
  void fail(const char* message, const std::exception_ptr& error);
  /// The same of a system call that has failed, which is nobody's.
  void fail(const char* message, const char* operation, int error_number);

 private:
  enum class Stage : std::uint8_t {
    kOpen,
    kClosing,
    kLost,
    kEnding,
    kQueued,
    kOver
  };
  struct End;

  void begin(Future<void>& made);
  void go_on(Future<void>& made);
  void queue_end();
  void end();
  void finish() noexcept;
  void release() noexcept;
  void abandon() noexcept override;
  void on_lost_descriptor(int fd, std::errc error) noexcept override;

  Stage stage_ = Stage::kOpen;
  std::shared_ptr<void> self_;  // until it is over
  std::exception_ptr error_;

 protected:
  EventLoop& loop_;
};

}  // namespace rondo::detail
