// SPDX-License-Identifier: MIT
#include "net/internal/reader_state.h"

#include <new>
#include <stdexcept>

#include "net/stream_reader.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/loop_access.h"
#include "reactor/repr.h"

namespace rondo::detail {

void check_limit(std::size_t limit) {
  if (limit == 0) throw std::invalid_argument("Limit cannot be <= 0");
}

ReaderState::ReaderState(EventLoop& loop, std::size_t limit)
    : ReaderState(limit) {
  check_limit(limit);
  begin(loop);
}

ReaderState::~ReaderState() = default;

void Referred::end_references() noexcept {
  const std::shared_ptr<void> last = std::move(self_);
  static_cast<ReaderState*>(this)->forget();
}

/// Nobody can read, write or close any more. A peer that has said it all would
/// be waited for, for ever; the end of one that goes on is heard, if it is read
/// to there. (CPython's garbage collector finds such a transport.) Not where
/// another protocol goes on with it.
void ReaderState::forget() noexcept {
  is_forgotten_ = true;
  if (transport_ == nullptr || transport_->is_closing() ||
      transport_->loop().is_closed() ||
      dynamic_cast<ReaderState*>(transport_->get_protocol().get()) != this) {
    return;
  }
  try {
    // A fork's child would send what was written a second time.
    LoopAccess::check_usable(transport_->loop());
    unread_.reset();
    has_eof_ ? transport_->close() : resume();
  } catch (...) {
    log_safely([&] { log().error("{}: not closed", to_string(*transport_)); });
  }
}

// -- who brings the bytes ----------------------------------------------------

void ReaderState::set_transport(std::shared_ptr<Transport> transport) {
  if (is_paused_) transport->pause_reading();  // resume() is for this one
  transport_ = std::move(transport);
}

void ReaderState::feed_data(std::string_view data) {
  if (data.empty()) return;
  append(data);
  has_come();
}

void ReaderState::feed_received(std::string_view data) {
  // Only for who waits: others may leave it there for long.
  if (unread_ == nullptr && data.size() >= kLeftBytesMin && is_awaited()) {
    auto unread = std::make_unique<Unread>();
    unread->memory = net_->take_read_buffer(data);
    if (unread->memory != nullptr) {
      unread->end = data.size();
      unread_ = std::move(unread);
      return has_come();
    }
  }
  feed_data(data);
}

/// Changes nothing if it throws.
void ReaderState::append(std::string_view data) {
  if (unread_ == nullptr) {
    auto unread = std::make_unique<Unread>();
    unread->text = net_->take_buffer();
    unread->text.append(data);
    unread_ = std::move(unread);
    return;
  }
  settle();
  std::string& text = unread_->text;
  if (unread_->begin > text.size() / 2) {
    text.erase(0, std::exchange(unread_->begin, 0));
  }
  text.append(data);
}

/// What is left where recv(2) has put it goes to a string.
void ReaderState::settle() {
  if (unread_->memory == nullptr) return;
  std::string text = net_->take_buffer();
  text.append(unread_->data());
  unread_->text = std::move(text);
  unread_->begin = 0;
  net_->give_back_read_buffer(std::move(unread_->memory));
}

void ReaderState::has_come() {
  wake();
  const std::size_t size = data().size();
  if (is_paused_ || size < limit_ || size - limit_ <= limit_) return;
  if (transport_ == nullptr) return;
  transport_->pause_reading();
  is_paused_ = true;
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
  if (size > 0) {
    unread_->begin += size;
    if (unread_->data().empty()) {
      if (unread_->memory != nullptr) {
        net_->give_back_read_buffer(std::move(unread_->memory));
      } else {
        net_->give_back(unread_->text);
      }
      unread_.reset();
    } else {
      try {
        settle();
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
        // It stays where it is.
      }
    }
  }
  resume_if_there_is_room();
}

void ReaderState::resume_if_there_is_room() {
  if (data().size() <= limit_) resume();
}

void ReaderState::resume() {
  if (!is_paused_) return;
  is_paused_ = false;
  if (transport_ != nullptr) transport_->resume_reading();
}

std::uint32_t ReaderState::wait_for_data() {
  if (unread_ != nullptr) settle();
  resume();  // or it would wait for ever
  waiter_ = Future<void>(loop());
  wait_ = (wait_ + 1u) & kWaitMax;
  if (wait_ == 0) wait_ = 1;
  return wait_;
}

void ReaderState::stop_waiting(std::uint32_t wait) noexcept {
  if (wait == wait_) waiter_ = Future<void>();
}

std::string ReaderState::description() const {
  std::string text = "<StreamReader";
  if (!data().empty()) text += " " + std::to_string(data().size()) + " bytes";
  if (has_eof_) text += " eof";
  if (limit_ != kStreamLimit) text += " limit=" + std::to_string(limit_);
  if (waiter_ && !waiter_.done()) text += " waiter=" + to_string(waiter_);
  if (exception_ != nullptr) text += " exception=" + repr(exception_);
  if (transport_ != nullptr) {
    text += " transport=" + to_string(*transport_);
  }
  if (is_paused_) text += " paused";
  return text + ">";
}

}  // namespace rondo::detail
