// SPDX-License-Identifier: MIT
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

#include "net/internal/datagram_socket.h"
#include "net/internal/system_error.h"
#include "net/internal/write_buffer_limits.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"

// The half of DatagramSocket that sends; datagram_socket.cc has the rest.

namespace rondo::detail {

// -- sending -----------------------------------------------------------------
//
// A datagram goes into the queue, and from there to the kernel when the
// protocol's callback has returned, at the end of the pass, or when there are
// enough of them. If the kernel takes no more the rest waits until it does.

void DatagramSocket::sendto(std::string_view data, const Address& address) {
  if (data.empty()) return;
  if (remote_) {
    if (address && !(address == remote_)) {
      throw std::invalid_argument("Invalid address: must be None or " +
                                  to_string(remote_));
    }
  } else if (!address) {
    throw std::invalid_argument("sendto: there is no remote address");
  }
  if (is_ending()) {
    if (lost_ >= kLostWritesLogged) {
      log_safely([] { log().warn("socket.send() raised exception."); });
    }
    ++lost_;
    return;
  }
  if (!has_room_for(data.size())) {
    if (!std::exchange(has_dropped_, true)) note_error(ENOBUFS);
    return;
  }
  if (is_ending()) return;  // to make room has failed
  // Whom the socket is connected to it knows by itself.
  enqueue(data, remote_ ? (peername_ ? Address() : remote_) : address);
  if (is_blocked()) {
    pause_protocol();
  } else if (queue_.size() >= DatagramBatch::kMost ||
             unsent() >= kGatherBytes) {
    flush();
  } else if (!in_read_) {
    flush_later();
  }
}

bool DatagramSocket::has_room_for(std::size_t size) {
  const auto fits = [&] { return size <= cap_ - std::min(cap_, unsent()); };
  if (fits()) return true;
  if (!is_blocked()) flush();
  return fits();
}

void DatagramSocket::enqueue(std::string_view data, const Address& to) {
  if (bytes_.empty()) {
    bytes_ = net_.take_buffer();
  } else if (sent_ > bytes_.size() / 2) {
    bytes_.erase(0, std::exchange(sent_, 0));
    queue_.erase(
        queue_.begin(),
        queue_.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_, 0)));
  }
  const std::size_t before = queue_.size();
  try {
    queue_.emplace_back(data.size(), to);
    bytes_.append(data);
  } catch (...) {  // std::bad_alloc, std::length_error
    if (queue_.size() > before) queue_.pop_back();
    note_error(ENOMEM);
  }
}

/// Offers the kernel what waits, until it is empty or the kernel full.
void DatagramSocket::send_queue() {
  while (unsent() != 0 && !is_ending()) {
    const int count = send_batch();
    if (count > 0) {
      has_sent(static_cast<std::size_t>(count));
    } else if (would_block(errno)) {
      return wait_until_writable();
    } else if (errno == ENOBUFS) {
      return wait_a_while();
    } else {
      has_failed(errno);
    }
  }
}

int DatagramSocket::send_batch() {
  ::mmsghdr messages[DatagramBatch::kMost];
  ::iovec pieces[DatagramBatch::kMost];
  const auto count = static_cast<unsigned>(
      std::min<std::size_t>(queue_.size() - first_, DatagramBatch::kMost));
  char* data = bytes_.data() + sent_;
  for (unsigned i = 0; i < count; ++i) {
    const Waiting& waiting = queue_[first_ + i];
    messages[i] = {};
    ::msghdr& header = messages[i].msg_hdr;
    pieces[i] = {data, waiting.size};
    data += waiting.size;
    header.msg_iov = &pieces[i];
    header.msg_iovlen = 1;
    if (!waiting.to) continue;
    header.msg_name = const_cast<::sockaddr*>(waiting.to.native());
    header.msg_namelen = waiting.to.native_size();
  }
  return net_.kernel().sendmmsg(socket_.get(), messages, count,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
}

void DatagramSocket::has_sent(std::size_t count) noexcept {
  for (; count > 0; --count) sent_ += queue_[first_++].size;
  if (unsent() != 0) return;
  queue_.clear();
  first_ = 0;
  sent_ = 0;
  net_.give_back(bytes_);
}

/// The first that waits: sendmmsg(2) tells of others when they are the first.
void DatagramSocket::has_failed(int error_number) {
  has_sent(1);
  if (is_fatal(error_number)) {
    fail("Fatal write error on datagram transport", "sendmmsg", error_number);
  } else {
    note_error(error_number);
  }
}

void DatagramSocket::flush() {
  if (unsent() == 0 || is_ending()) return;
  send_queue();
  if (is_ending()) return;
  if (unsent() == 0) return all_sent();
  pause_protocol();
}

void DatagramSocket::all_sent() {
  stop_waiting();
  if (!is_open()) end_soon(nullptr);
}

void DatagramSocket::on_writable() {
  if (is_ending()) return;
  send_queue();
  if (!is_ending()) {
    resume_protocol();  // may send more
    if (!is_ending() && unsent() == 0) all_sent();
  }
  tell_errors();
}

void DatagramSocket::on_pass_end() {
  if (is_over()) return TransportLife::on_pass_end();
  if (is_lost_or_ending()) TransportLife::on_pass_end();
  has_dropped_ = false;
  if (!is_blocked()) flush();
  tell_errors();
}

void DatagramSocket::wait_until_writable() {
  if (writes_) return;
  try {
    loop_.add_writer(socket_.get(), [this] { on_writable(); });
    writes_ = true;
  } catch (...) {
    fail("Fatal error: the socket cannot be watched", std::current_exception());
  }
}

/// The socket is writable all the time; it is memory that the kernel lacks.
void DatagramSocket::wait_a_while() {
  stop_waiting();
  try {
    retry_ = loop_.call_later(std::chrono::milliseconds(10), [this] {
      retry_ = TimerHandle();
      on_writable();
    });
  } catch (...) {
    fail("Fatal error: no memory to send again", std::current_exception());
  }
}

void DatagramSocket::stop_waiting() noexcept {
  if (std::exchange(writes_, false)) loop_.remove_writer(socket_.get());
  if (retry_) std::exchange(retry_, TimerHandle()).cancel();
}

std::size_t DatagramSocket::get_write_buffer_size() {
  if (!is_blocked()) flush();
  return unsent();
}

void DatagramSocket::set_write_buffer_limits(std::optional<std::size_t> high,
                                             std::optional<std::size_t> low) {
  limits_ = write_buffer_limits(high, low);
  if (!is_blocked()) flush();  // what the kernel takes does not count
  pause_protocol();
}

}  // namespace rondo::detail
