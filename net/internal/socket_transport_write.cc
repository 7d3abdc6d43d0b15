// SPDX-License-Identifier: MIT
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/socket_transport.h"
#include "net/internal/system_error.h"
#include "net/internal/write_buffer_limits.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"

// The half of SocketTransport that writes; socket_transport.cc has the rest.

namespace rondo::detail {

// -- writing -----------------------------------------------------------------
//
// Where a write goes:
//   the kernel would not take the last one   behind it in the buffer
//   it is large                              to the kernel; the rest waits
//   it is small                              into the buffer, and from there
//     to the kernel when the protocol's callback has returned, at the end of
//     the pass, or when there is enough of it.

void SocketTransport::write(std::string_view data) {
  if (has_eof_) throw RuntimeError("Cannot call write() after write_eof()");
  if (data.empty()) return;
  if (is_ending()) {
    if (lost_ < kLostWritesLogged) {
      ++lost_;
    } else {
      log_safely([] { log().warn("socket.send() raised exception."); });
    }
    return;
  }
  if (held_ != nullptr) return hold(data);
  if (!writes_) {
    if (unsent() + data.size() < kGatherBytes) {
      buffer(data);
      if (!in_read_) flush_later();
      return;
    }
    data.remove_prefix(send_behind_buffer(data));
    if (is_ending()) return;
    if (data.empty()) return all_sent();
    wait_until_writable();
    if (is_ending()) return;
  }
  if (data.size() > cap_ - std::min(cap_, unsent())) return overflow();
  buffer(data);
  pause_protocol();
}

/// Without memory for it the connection ends: a part may be gone already, and
/// nobody could tell which.
void SocketTransport::buffer(std::string_view data) {
  if (buffer_.empty()) {
    if (buffer_.capacity() < NetState::kKeptBytesMin) {
      buffer_ = net_.take_buffer();
    }
  } else if (sent_ > buffer_.size() / 2) {
    buffer_.erase(0, std::exchange(sent_, 0));
  }
  try {
    buffer_.append(data);
  } catch (...) {  // std::bad_alloc, std::length_error
    fail("Fatal error: no memory for what was written",
         std::current_exception());
  }
}

void SocketTransport::overflow() {
  force_close(system_error("write buffer", ENOBUFS));
}

/// What send(2) has answered, as a number of bytes: zero if it has failed.
std::size_t SocketTransport::has_sent(ssize_t size) {
  if (size >= 0) [[likely]]
    return static_cast<std::size_t>(size);
  if (!would_block(errno)) {
    fail("Fatal write error on socket transport", "send", errno);
  }
  return 0;
}

/// Offers the kernel what waits, once: if it takes a part it is full.
void SocketTransport::send_buffer() {
  sent_ += has_sent(net_.kernel().send(socket_.get(), buffer_.data() + sent_,
                                       unsent(), MSG_NOSIGNAL));
}

/// The same, with `data` behind it. How much of `data` it has taken.
std::size_t SocketTransport::send_behind_buffer(std::string_view data) {
  if (unsent() == 0) {
    return has_sent(net_.kernel().send(socket_.get(), data.data(), data.size(),
                                       MSG_NOSIGNAL));
  }
  ::iovec pieces[] = {{buffer_.data() + sent_, unsent()},
                      {const_cast<char*>(data.data()), data.size()}};
  ::msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = std::size(pieces);
  const std::size_t size =
      has_sent(net_.kernel().sendmsg(socket_.get(), &message, MSG_NOSIGNAL));
  const std::size_t of_buffer = std::min(size, unsent());
  sent_ += of_buffer;
  return size - of_buffer;
}

void SocketTransport::flush() {
  if (unsent() == 0) return;  // so is what ends: see discard()
  send_buffer();
  if (is_ending()) return;
  if (unsent() == 0) return all_sent();
  if (unsent() > cap_) return overflow();
  wait_until_writable();
  pause_protocol();
}

void SocketTransport::discard() noexcept {
  sent_ = 0;
  net_.give_back(buffer_);
}

void SocketTransport::all_sent() {
  discard();
  stop_waiting();
  if (held_ != nullptr) {
    take_turn();
  } else if (!is_open()) {
    end_soon(nullptr);
  } else if (has_eof_) {
    shut_down_writing();
  }
}

void SocketTransport::on_writable() {
  if (is_ending()) return;
  if (unsent() != 0) send_buffer();
  if (is_ending()) return;
  resume_protocol();  // may write more
  if (is_ending() || unsent() != 0) return;
  if (!is_open() && held_ == nullptr) return end_now();
  all_sent();
}

void SocketTransport::on_pass_end() {
  if (is_lost_or_ending()) return TransportLife::on_pass_end();
  if (!writes_) flush();
}

void SocketTransport::wait_until_writable() {
  try {
    loop_.add_writer(socket_.get(), [this] { on_writable(); });
    writes_ = true;
  } catch (...) {
    fail("Fatal error: the socket cannot be watched", std::current_exception());
  }
}

void SocketTransport::stop_waiting() noexcept {
  if (std::exchange(writes_, false)) loop_.remove_writer(socket_.get());
}

void SocketTransport::write_eof() {
  if (!is_open() || has_eof_) return;
  if (!writes_) flush();
  if (is_ending()) return;
  has_eof_ = true;
  if (unsent() == 0 && held_ == nullptr) shut_down_writing();
}

void SocketTransport::shut_down_writing() noexcept {
  // It fails if the peer is gone, which the next read says, too.
  net_.kernel().shutdown(socket_.get(), SHUT_WR);
}

std::size_t SocketTransport::get_write_buffer_size() {
  if (!writes_) flush();
  return unsent_in_all();
}

void SocketTransport::set_write_buffer_limits(std::optional<std::size_t> high,
                                              std::optional<std::size_t> low) {
  limits_ = write_buffer_limits(high, low);
  if (!writes_) flush();  // what the kernel takes does not count
  pause_protocol();
}

void SocketTransport::pause_protocol() {
  if (protocol_paused_ || unsent_in_all() <= limits_.high) return;
  protocol_paused_ = true;
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  guarded([&] { keep->pause_writing(); },
          [this](const std::exception_ptr& error) {
            report(*this, "protocol.pause_writing() failed", error);
          });
}

void SocketTransport::resume_protocol() {
  if (!protocol_paused_ || unsent_in_all() > limits_.low) return;
  protocol_paused_ = false;
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  guarded([&] { keep->resume_writing(); },
          [this](const std::exception_ptr& error) {
            report(*this, "protocol.resume_writing() failed", error);
          });
}

// -- while sendfile() writes -------------------------------------------------

Future<void> SocketTransport::hold_writes() {
  if (held_ != nullptr) {
    throw RuntimeError("unable to write; sendfile is in progress");
  }
  held_ = std::make_unique<Held>(loop_);
  const Future<void> turn = held_->turn;
  if (!writes_) flush();
  if (unsent() == 0 && !turn.done()) turn.set_result();
  return turn;
}

void SocketTransport::hold(std::string_view data) {
  if (data.size() > cap_ - std::min(cap_, unsent_in_all())) return overflow();
  try {
    held_->later.append(data);
  } catch (...) {  // std::bad_alloc, std::length_error
    return fail("Fatal error: no memory for what was written",
                std::current_exception());
  }
  pause_protocol();
}

void SocketTransport::take_turn() const {
  if (!held_->turn.done()) held_->turn.set_result();
}

Future<void> SocketTransport::wait_writable() {
  held_->turn = Future<void>(loop_);
  const Future<void> turn = held_->turn;
  if (!writes_) wait_until_writable();  // its failure ends this, too
  return turn;
}

void SocketTransport::release_writes() noexcept {
  const std::unique_ptr<Held> held = std::move(held_);
  if (held == nullptr || is_ending() || loop_.is_closed()) return;
  if (!held->later.empty()) buffer(held->later);
  if (is_ending()) return;
  if (unsent() == 0 && !protocol_paused_) return all_sent();
  if (!writes_) wait_until_writable();  // the loop sends, and resumes
}

std::exception_ptr SocketTransport::lost_error() const {
  if (!is_ending()) return nullptr;
  return error() != nullptr ? error() : system_error("sendfile", ECONNABORTED);
}

}  // namespace rondo::detail
