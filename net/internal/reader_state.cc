// SPDX-License-Identifier: MIT
#include "net/internal/reader_state.h"

#include <stdexcept>

#include "net/stream_reader.h"
#include "reactor/repr.h"

namespace rondo::detail {

void check_limit(std::size_t limit) {
  if (limit == 0) throw std::invalid_argument("Limit cannot be <= 0");
}

ReaderState::ReaderState(EventLoop& loop, std::size_t limit)
    : loop_(loop), net_(NetState::of(loop)), limit_(limit) {
  check_limit(limit);
}

ReaderState::~ReaderState() = default;

// -- who brings the bytes ----------------------------------------------------

void ReaderState::feed_data(std::string_view data) {
  if (data.empty()) return;
  if (buffer_.empty()) {
    if (buffer_.capacity() < NetState::kKeptBytesMin) {
      buffer_ = net_.take_buffer();
    }
  } else if (begin_ > buffer_.size() / 2) {
    buffer_.erase(0, std::exchange(begin_, 0));
  }
  buffer_.append(data);
  wake();
  const std::size_t size = this->data().size();
  if (is_paused_ || size < limit_ || size - limit_ <= limit_) return;
  if (const std::shared_ptr<Transport> transport = transport_.lock()) {
    transport->pause_reading();
    is_paused_ = true;
  }
}

void ReaderState::feed_eof() {
  has_eof_ = true;
  wake();
}

void ReaderState::set_exception(std::exception_ptr error) {
  if (error == nullptr) {
    throw std::invalid_argument("set_exception: invalid exception object");
  }
  exception_ = std::move(error);
  wake();
}

/// Whoever waits looks at what there is. It is still the one who reads.
void ReaderState::wake() {
  if (waiter_ && !waiter_.done()) waiter_.set_result();
}

// -- who reads them ----------------------------------------------------------

std::string ReaderState::take(std::size_t size) {
  std::string taken(data().substr(0, size));
  drop(taken.size());
  return taken;
}

void ReaderState::drop(std::size_t size) {
  begin_ += size;
  if (begin_ == buffer_.size()) {
    begin_ = 0;
    net_.give_back(buffer_);
  }
  resume_if_there_is_room();
}

void ReaderState::resume_if_there_is_room() {
  if (data().size() <= limit_) resume();
}

void ReaderState::resume() {
  if (!std::exchange(is_paused_, false)) return;
  if (const std::shared_ptr<Transport> transport = transport_.lock()) {
    transport->resume_reading();
  }
}

Future<void> ReaderState::wait_for_data() {
  resume();  // or it would wait for ever
  waiter_ = Future<void>(loop_);
  return waiter_;
}

void ReaderState::stop_waiting(const Future<void>& waiter) noexcept {
  if (waiter_ == waiter) waiter_ = Future<void>();
}

std::string ReaderState::description() const {
  std::string text = "<StreamReader";
  if (!data().empty()) text += " " + std::to_string(data().size()) + " bytes";
  if (has_eof_) text += " eof";
  if (limit_ != kStreamLimit) text += " limit=" + std::to_string(limit_);
  if (waiter_ && !waiter_.done()) text += " waiter=" + to_string(waiter_);
  if (exception_ != nullptr) text += " exception=" + repr(exception_);
  if (const std::shared_ptr<Transport> transport = transport_.lock()) {
    text += " transport=" + to_string(*transport);
  }
  if (is_paused_) text += " paused";
  return text + ">";
}

}  // namespace rondo::detail
