// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "futures/future.h"
#include "futures/internal/block_pool.h"
#include "net/internal/net_state.h"
#include "net/internal/stream_ref.h"
#include "net/transport.h"

namespace rondo::detail {

/// Throws std::invalid_argument if `limit` is none for a reader.
void check_limit(std::size_t limit);

/// What the copies of a StreamReader share: bytes that came and were not read.
/// There is one in each connection: it is small.
class ReaderState : public Referred {
 public:
  /// One for `loop`.
  ReaderState(EventLoop& loop, std::size_t limit);
  ReaderState(const ReaderState&) = delete;
  ReaderState& operator=(const ReaderState&) = delete;
  ~ReaderState();

  EventLoop& loop() const noexcept { return net_->loop(); }
  std::size_t limit() const noexcept { return limit_; }
  /// What the bytes come from; null if they are fed by hand. It is paused
  /// while there is too much to read.
  const std::shared_ptr<Transport>& transport() const noexcept {
    return transport_;
  }
  void set_transport(std::shared_ptr<Transport> transport);

  // -- who brings the bytes --

  void feed_data(std::string_view data);
  /// The same for what a transport has received, which nobody else looks at:
  /// if there is much of it, it is not copied, but left where it is.
  void feed_received(std::string_view data);
  void feed_eof();
  void set_exception(std::exception_ptr error);

  // -- who reads them --

  std::string_view data() const noexcept {
    return unread_ != nullptr ? unread_->data() : std::string_view();
  }
  /// The first `size` bytes, which go out of the buffer.
  std::string take(std::size_t size);
  void drop(std::size_t size);
  bool has_eof() const noexcept { return has_eof_; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  /// Whether somebody waits for more, or is about to go on with it.
  bool is_awaited() const noexcept { return waiter_ && !waiter_.cancelled(); }
  /// Begins to wait: the number of this wait, and never zero. Nobody else
  /// waits.
  std::uint32_t wait_for_data();
  /// While somebody waits: done when there is more.
  const Future<void>& waiter() const noexcept { return waiter_; }
  /// Whoever has begun that wait waits no more.
  void stop_waiting(std::uint32_t wait) noexcept;

  std::string description() const;

 protected:
  /// One that has no loop before begin().
  explicit ReaderState(std::size_t limit) noexcept : limit_(limit) {}
  void begin(EventLoop& loop) { net_ = &NetState::of(loop); }

 private:
  friend class Referred;

  /// Bytes: in a string, or where recv(2) has put them.
  struct Unread : InBlockPool {
    std::string_view data() const noexcept {
      return memory != nullptr
                 ? std::string_view(memory.get(), end).substr(begin)
                 : std::string_view(text).substr(begin);
    }
    std::string text;
    std::unique_ptr<char[]> memory;
    std::size_t begin = 0;
    std::size_t end = 0;  // in the memory
  };
  // Less is copied: the memory is the larger for it.
  static constexpr std::size_t kLeftBytesMin = 4096;

  static constexpr std::uint32_t kWaitMax = (1u << 24) - 1;

  void forget() noexcept;
  void append(std::string_view data);
  void settle();
  void has_come();
  void wake();
  void resume_if_there_is_room();
  void resume();

  // In the room behind Referred's own.
  std::uint32_t wait_ : 24 = 0;  // the number of the last wait
  bool has_eof_ : 1 = false;
  bool is_paused_ : 1 = false;

 protected:
  // Of a StreamProtocol; here because there is room.
  bool is_writing_paused_ : 1 = false;
  bool is_lost_ : 1 = false;
  bool is_forgotten_ : 1 = false;  // its streams were there, and have gone

 private:
  NetState* net_ = nullptr;
  const std::size_t limit_;
  std::shared_ptr<Transport> transport_;
  std::unique_ptr<Unread> unread_;  // never without a byte
  Future<void> waiter_;
  std::exception_ptr exception_;
};

}  // namespace rondo::detail
