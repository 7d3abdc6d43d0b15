// SPDX-License-Identifier: MIT
#include "net/internal/write_pipe_transport.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/pipe_signal.h"
#include "net/internal/system_error.h"
#include "net/internal/write_buffer_limits.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"

// A write goes the way of a socket's, see socket_transport.cc: small ones
// leave together at the end of the pass. What is different:
//
//   - write(2) raises SIGPIPE, see pipe_signal.h.
//   - The reader's hangup is no end of a stream that could be read: epoll(7)
//     reports it as EPOLLERR, for which the pipe is watched all the time.

namespace rondo::detail {

std::shared_ptr<WritePipeTransport> WritePipeTransport::create(
    EventLoop& loop, UniqueFd pipe, unsigned kind,
    std::shared_ptr<BaseProtocol> protocol, Future<void> made) {
  auto transport =
      std::make_shared<WritePipeTransport>(loop, std::move(pipe), kind);
  transport->set_protocol(std::move(protocol));
  transport->begin_soon(transport, std::move(made));
  return transport;
}

WritePipeTransport::WritePipeTransport(EventLoop& loop, UniqueFd pipe,
                                       unsigned kind)
    : PipeTransport(loop, std::move(pipe)), kind_(kind) {}

void WritePipeTransport::set_protocol(std::shared_ptr<BaseProtocol> protocol) {
  if (is_over()) return;
  if (protocol == nullptr) {
    throw std::invalid_argument("set_protocol: no protocol");
  }
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

// -- what the loop reports ---------------------------------------------------

/// That the reader of a pipe is gone comes unasked, but a descriptor of which
/// nothing is asked is not watched at all: so this is what a pipe never says.
/// Of a socket it is the end of what the peer says, which ends it as in
/// asyncio; what the peer says is left alone.
Events WritePipeTransport::interest() const noexcept {
  return writes_ ? Events::kReadHangup | Events::kWrite : Events::kReadHangup;
}

void WritePipeTransport::watch() {
  try {
    if (is_watched_) {
      loop_.modify_watch(pipe_.get(), interest());
    } else {
      loop_.watch(pipe_.get(), interest(),
                  [this](Events events) { on_events(events); });
      is_watched_ = true;
    }
  } catch (...) {
    fail("Fatal error: the pipe cannot be watched", std::current_exception());
  }
}

void WritePipeTransport::start() {
  // Not all devices can be watched, and most never make one wait.
  if (kind_ != S_IFCHR && !is_watched_) watch();
}

void WritePipeTransport::stop() noexcept {
  writes_ = false;
  if (std::exchange(is_watched_, false)) loop_.unwatch(pipe_.get());
}

void WritePipeTransport::on_events(Events events) {
  if (is_ending()) return;
  if (has(events, Events::kError | Events::kHangup | Events::kReadHangup)) {
    on_hangup();
  } else if (writes_) {
    on_writable();
  }
}

void WritePipeTransport::on_hangup() {
  if (unsent() == 0) {
    end_soon(nullptr);
  } else {
    fail("the reader has hung up", "write", EPIPE);
  }
}

void WritePipeTransport::on_writable() {
  write_buffer();
  if (is_ending()) return;
  resume_protocol();  // may write more
  if (!is_ending() && unsent() == 0) all_sent();
}

// -- writing -----------------------------------------------------------------

void WritePipeTransport::write(std::string_view data) {
  if (has_eof_) throw RuntimeError("Cannot call write() after write_eof()");
  if (data.empty()) return;
  if (!is_open()) {
    if (++lost_writes_ > kLostWritesLogged) {
      log_safely([] {
        log().warn("pipe closed by peer or write(pipe, data) has failed.");
      });
    }
    return;
  }
  if (!writes_) {
    if (unsent() + data.size() < kGatherBytes) {
      buffer(data);
      flush_later();
      return;
    }
    if (unsent() != 0) write_buffer();
    if (is_ending()) return;
    if (unsent() == 0) data.remove_prefix(write_now(data));
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
void WritePipeTransport::buffer(std::string_view data) {
  if (unsent() == 0) {
    sent_ = 0;
    buffer_.clear();
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

void WritePipeTransport::overflow() {
  fail("the write buffer has no room", "write buffer", ENOBUFS);
}

/// How much of `data` the kernel takes.
std::size_t WritePipeTransport::write_now(std::string_view data) {
  ssize_t size;
  switch (kind_) {
    case S_IFSOCK:
      size = kernel().send(pipe_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      break;
    case S_IFCHR:
      size = kernel().write(pipe_.get(), data.data(), data.size());
      break;
    default:
      size = write_quietly(kernel(), pipe_.get(), data.data(), data.size());
  }
  if (size >= 0) [[likely]]
    return static_cast<std::size_t>(size);
  if (!would_block(errno)) {
    fail("Fatal write error on pipe transport", "write", errno);
  }
  return 0;
}

/// Offers the kernel what waits, once: if it takes a part it is full.
void WritePipeTransport::write_buffer() {
  const std::size_t size = write_now(std::string_view(buffer_).substr(sent_));
  if (!is_ending()) sent_ += size;
}

void WritePipeTransport::flush() {
  if (unsent() == 0 || writes_ || is_ending()) return;
  write_buffer();
  if (is_ending()) return;
  if (unsent() == 0) return all_sent();
  if (unsent() > cap_) return overflow();
  wait_until_writable();
  pause_protocol();
}

void WritePipeTransport::on_pass_end() {
  if (is_lost_or_ending()) return TransportLife::on_pass_end();
  flush();
}

void WritePipeTransport::all_sent() {
  discard();
  stop_waiting();
  if (!is_open()) end_soon(nullptr);
}

void WritePipeTransport::discard() noexcept {
  sent_ = 0;
  net_.give_back(buffer_);
}

void WritePipeTransport::wait_until_writable() {
  if (std::exchange(writes_, true)) return;
  watch();
}

void WritePipeTransport::stop_waiting() {
  if (!std::exchange(writes_, false) || is_ending()) return;
  if (kind_ == S_IFCHR) {
    stop();
  } else {
    watch();
  }
}

void WritePipeTransport::write_eof() {
  if (!is_open()) return;
  has_eof_ = true;
  close();
}

void WritePipeTransport::close() {
  if (!is_open()) return;
  flush();
  if (!is_open()) return;  // that failed
  set_closing();
  if (unsent() == 0) end_soon(nullptr);
}

std::size_t WritePipeTransport::get_write_buffer_size() {
  flush();
  return unsent();
}

void WritePipeTransport::set_write_buffer_limits(
    std::optional<std::size_t> high, std::optional<std::size_t> low) {
  limits_ = write_buffer_limits(high, low);
  flush();  // what the kernel takes does not count
  pause_protocol();
}

void WritePipeTransport::pause_protocol() {
  if (is_ending() || protocol_paused_ || unsent() <= limits_.high) return;
  protocol_paused_ = true;
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  guarded([&] { keep->pause_writing(); },
          [this](const std::exception_ptr& error) {
            report(*this, "protocol.pause_writing() failed", error);
          });
}

void WritePipeTransport::resume_protocol() {
  if (!protocol_paused_ || unsent() > limits_.low) return;
  protocol_paused_ = false;
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  guarded([&] { keep->resume_writing(); },
          [this](const std::exception_ptr& error) {
            report(*this, "protocol.resume_writing() failed", error);
          });
}

std::string WritePipeTransport::description() const {
  std::string text = "<_UnixWritePipeTransport" + state(writes_);
  if (fd() >= 0) text += " bufsize=" + std::to_string(unsent());
  return text + ">";
}

}  // namespace rondo::detail
