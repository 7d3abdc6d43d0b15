// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "futures/future.h"
#include "net/internal/net_state.h"
#include "net/transport.h"

namespace rondo::detail {

/// Throws std::invalid_argument if `limit` is none for a reader.
void check_limit(std::size_t limit);

/// What the copies of a StreamReader share: bytes that came and were not read.
class ReaderState {
 public:
  ReaderState(EventLoop& loop, std::size_t limit);
  ReaderState(const ReaderState&) = delete;
  ReaderState& operator=(const ReaderState&) = delete;
  ~ReaderState();

  EventLoop& loop() const noexcept { return loop_; }
  std::size_t limit() const noexcept { return limit_; }
  /// Pauses `transport` from now on while there is too much to read.
  void set_transport(std::weak_ptr<Transport> transport) noexcept {
    transport_ = std::move(transport);
  }

  // -- who brings the bytes --

  void feed_data(std::string_view data);
  void feed_eof();
  void set_exception(std::exception_ptr error);

  // -- who reads them --

  std::string_view data() const noexcept {
    return std::string_view(buffer_).substr(begin_);
  }
  /// The first `size` bytes, which go out of the buffer.
  std::string take(std::size_t size);
  void drop(std::size_t size);
  bool has_eof() const noexcept { return has_eof_; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  /// Whether somebody waits for more, or is about to go on with it.
  bool is_awaited() const noexcept { return waiter_ && !waiter_.cancelled(); }
  /// Done when there is more. Nobody else waits.
  Future<void> wait_for_data();
  /// Whoever has had `waiter` from wait_for_data() waits no more.
  void stop_waiting(const Future<void>& waiter) noexcept;

  std::string description() const;

 private:
  void wake();
  void resume_if_there_is_room();
  void resume();

  EventLoop& loop_;
  NetState& net_;
  const std::size_t limit_;
  std::weak_ptr<Transport> transport_;
  std::string buffer_;
  std::size_t begin_ = 0;
  Future<void> waiter_;
  std::exception_ptr exception_;
  bool has_eof_ = false;
  bool is_paused_ = false;
};

}  // namespace rondo::detail
