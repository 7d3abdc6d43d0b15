// SPDX-License-Identifier: MIT
#include "net/internal/socket_transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <source_location>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/system_error.h"
#include "net/internal/write_buffer_limits.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/loop_access.h"
#include "reactor/repr.h"

// One byte's way: the kernel, recv() into the memory that all connections of
// the loop share, data_received(); and back: write(), the buffer, send(). The
// names and the order are those of asyncio's selector_events.py.

namespace rondo::detail {

std::shared_ptr<SocketTransport> SocketTransport::create(
    EventLoop& loop, UniqueFd socket, std::shared_ptr<BaseProtocol> protocol,
    Address peername, TransportOwner* owner, Future<void> made) {
  auto transport = std::make_shared<SocketTransport>(
      loop, std::move(socket), std::move(peername), owner);
  transport->set_protocol(std::move(protocol));
  SocketTransport& t = *transport;
  loop.call_soon([&t, done = std::move(made)]() mutable { t.begin(done); });
  t.self_ = transport;
  LoopState::of(loop).link(t);
  return transport;
}

SocketTransport::SocketTransport(EventLoop& loop, UniqueFd socket,
                                 Address peername, TransportOwner* owner)
    : loop_(loop),
      net_(NetState::of(loop)),
      socket_(std::move(socket)),
      claim_(net_.fd_uses(), socket_.get(), FdUse::kTransport),
      owner_(owner),
      peername_(std::move(peername)) {}

SocketTransport::~SocketTransport() = default;

void SocketTransport::set_protocol(std::shared_ptr<BaseProtocol> protocol) {
  if (is_over_) return;
  auto* stream = dynamic_cast<class Protocol*>(protocol.get());
  auto* buffered = dynamic_cast<BufferedProtocol*>(protocol.get());
  if (stream == nullptr && buffered == nullptr) {
    throw std::invalid_argument(
        protocol == nullptr
            ? "set_protocol: no protocol"
            : "set_protocol: neither a Protocol nor a BufferedProtocol");
  }
  stream_protocol_ = stream;
  buffered_protocol_ = buffered;
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

void SocketTransport::begin(Future<void>& made) {
  // asyncio goes on with one that has failed. It may be half made, though.
  try {
    tell("Fatal error: protocol.connection_made() call failed.",
         [this] { protocol_->connection_made(*this); });
  } catch (...) {
    go_on(made);
    throw;  // SystemExit and its like: the loop may run again
  }
  go_on(made);
}

void SocketTransport::go_on(Future<void>& made) {
  if (is_reading()) start_reading();
  if (!made || made.done()) return;
  if (error_ != nullptr) {
    made.set_exception(error_);
  } else {
    made.set_result();
  }
}

// -- reading -----------------------------------------------------------------

void SocketTransport::start_reading() {
  if (reads_ || has_read_all_) return;
  try {
    loop_.add_reader(socket_.get(), [this] { on_readable(); });
    reads_ = true;
  } catch (...) {
    fail("Fatal error: the socket cannot be watched", std::current_exception());
  }
}

void SocketTransport::stop_reading() noexcept {
  if (std::exchange(reads_, false)) loop_.remove_reader(socket_.get());
}

void SocketTransport::pause_reading() {
  if (!is_reading()) return;
  is_paused_ = true;
  stop_reading();
}

void SocketTransport::resume_reading() {
  if (is_closing_ || !is_paused_) return;
  is_paused_ = false;
  start_reading();
}

void SocketTransport::on_readable() {
  if (lost_ != 0) return;
  in_read_ = true;
  try {
    if (stream_protocol_ != nullptr) {
      read_into_shared();
    } else {
      read_into_protocols();
    }
  } catch (...) {
    in_read_ = false;
    if (unsent() != 0) flush_later();  // it was written all the same
    throw;
  }
  in_read_ = false;
  if (!writes_) flush();
}

void SocketTransport::read_into_shared() {
  char* const memory = net_.read_buffer();
  const ssize_t size =
      net_.kernel().recv(socket_.get(), memory, NetState::kReadBytes, 0);
  if (!has_read(size)) return;
  const std::string_view data(memory, static_cast<std::size_t>(size));
  tell("Fatal error: protocol.data_received() call failed.",
       [&] { stream_protocol_->data_received(data); });
}

void SocketTransport::read_into_protocols() {
  std::span<char> memory;
  if (!tell("Fatal error: protocol.get_buffer() call failed.", [&] {
        memory = buffered_protocol_->get_buffer(NetState::kReadBytes);
        if (memory.empty()) {
          throw RuntimeError("get_buffer() returned an empty buffer");
        }
      })) {
    return;
  }
  const ssize_t size =
      net_.kernel().recv(socket_.get(), memory.data(), memory.size(), 0);
  if (!has_read(size)) return;
  tell("Fatal error: protocol.buffer_updated() call failed.", [&] {
    buffered_protocol_->buffer_updated(static_cast<std::size_t>(size));
  });
}

bool SocketTransport::has_read(ssize_t size) {
  if (size > 0) [[likely]]
    return true;
  if (size == 0) {
    on_end_of_stream();
  } else if (!would_block(errno)) {
    fail("Fatal read error on socket transport", "recv", errno);
  }
  return false;
}

void SocketTransport::on_end_of_stream() {
  bool keep_open = false;
  const bool succeeded =
      tell("Fatal error: protocol.eof_received() call failed.", [&] {
        keep_open = stream_protocol_ != nullptr
                        ? stream_protocol_->eof_received()
                        : buffered_protocol_->eof_received();
      });
  if (!succeeded) return;
  if (keep_open) {
    // The peer has said all it has to say. Writing goes on.
    has_read_all_ = true;
    stop_reading();
  } else {
    close();
  }
}

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
  if (lost_ != 0) {
    if (lost_ >= kLostWritesLogged) {
      log_safely([] { log().warn("socket.send() raised exception."); });
    }
    ++lost_;
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
    if (lost_ != 0) return;
    if (data.empty()) return all_sent();
    wait_until_writable();
    if (lost_ != 0) return;
  }
  if (data.size() > cap_ - std::min(cap_, unsent())) return overflow();
  buffer(data);
  pause_protocol();
}

/// Without memory for it the connection ends: a part may be gone already, and
/// nobody could tell which.
void SocketTransport::buffer(std::string_view data) {
  if (buffer_.empty()) {
    if (buffer_.capacity() < data.size()) buffer_ = net_.take_buffer();
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

void SocketTransport::flush_later() noexcept {
  if (!is_waiting()) LoopAccess::at_pass_end(loop_, *this);
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
  if (unsent() == 0 || lost_ != 0) return;
  send_buffer();
  if (lost_ != 0) return;
  if (unsent() == 0) return all_sent();
  if (unsent() > cap_) return overflow();
  wait_until_writable();
  pause_protocol();
}

void SocketTransport::all_sent() {
  sent_ = 0;
  net_.give_back(buffer_);
  stop_waiting();
  if (held_ != nullptr) {
    take_turn();
  } else if (is_closing_) {
    end_soon(nullptr);
  } else if (has_eof_) {
    shut_down_writing();
  }
}

void SocketTransport::on_writable() {
  if (lost_ != 0) return;
  if (unsent() != 0) send_buffer();
  if (lost_ != 0) return;
  resume_protocol();  // may write more
  if (lost_ == 0 && unsent() == 0) all_sent();
}

void SocketTransport::on_pass_end() {
  if (is_over_) {
    release();
  } else if (lost_ != 0) {
    if (!end_is_queued_) queue_end();
  } else if (!writes_) {
    flush();
  }
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
  if (is_closing_ || has_eof_) return;
  if (!writes_) flush();
  if (lost_ != 0) return;
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
  if (held == nullptr || lost_ != 0 || loop_.is_closed()) return;
  if (!held->later.empty()) buffer(held->later);
  if (lost_ != 0) return;
  if (unsent() == 0 && !protocol_paused_) return all_sent();
  if (!writes_) wait_until_writable();  // the loop sends, and resumes
}

std::exception_ptr SocketTransport::lost_error() const {
  if (lost_ == 0) return nullptr;
  return error_ != nullptr ? error_ : system_error("sendfile", ECONNABORTED);
}

// -- its end -----------------------------------------------------------------

void SocketTransport::close() {
  if (is_closing_) return;
  if (!writes_) flush();
  if (is_closing_) return;  // that failed
  is_closing_ = true;
  stop_reading();
  if (unsent() == 0 && held_ == nullptr) end_soon(nullptr);
}

void SocketTransport::force_close(std::exception_ptr error) {
  if (lost_ != 0) return;
  sent_ = 0;
  net_.give_back(buffer_);
  is_closing_ = true;
  end_soon(std::move(error));
}

/// In the loop's queue: asyncio's name of it.
struct SocketTransport::End {
  void operator()() const { transport->end(); }
  std::string description() const {
    return "_SelectorTransport._call_connection_lost()";
  }
  SocketTransport* transport;
};

void SocketTransport::end_soon(std::exception_ptr error) {
  if (lost_ != 0) return;
  ++lost_;
  error_ = std::move(error);
  stop_reading();
  stop_waiting();
  if (held_ != nullptr) take_turn();
  if (!loop_.is_closed()) queue_end();  // else see abandon()
}

void SocketTransport::queue_end() {
  try {
    loop_.call_soon(End{this}, std::source_location());
    end_is_queued_ = true;
  } catch (const std::bad_alloc&) {
    flush_later();  // tries again
  }
}

void SocketTransport::end() {
  if (is_over_) return;
  const std::shared_ptr<BaseProtocol> keep = protocol_;  // it may set another
  struct LetGo {
    ~LetGo() { transport.let_go(); }
    SocketTransport& transport;
  } const let_go{*this};
  keep->connection_lost(std::exchange(error_, nullptr));
}

void SocketTransport::let_go() noexcept {
  if (std::exchange(is_over_, true)) return;
  if (TransportOwner* owner = std::exchange(owner_, nullptr)) {
    owner->on_transport_end(*this);
  }
  claim_.drop();
  socket_.reset();
  held_.reset();
  stream_protocol_ = nullptr;
  buffered_protocol_ = nullptr;
  sent_ = 0;
  std::string().swap(buffer_);
  const std::shared_ptr<SocketTransport> keep = self_;
  const std::shared_ptr<BaseProtocol> protocol = std::move(protocol_);
  // What the end of the pass has in its list lives until then.
  if (!is_waiting()) release();
}

void SocketTransport::release() noexcept {
  LoopState::of(loop_).unlink(*this);
  const std::shared_ptr<SocketTransport> self = std::move(self_);
}

/// The loop is closed: nothing is called any more.
void SocketTransport::abandon() noexcept {
  const std::shared_ptr<SocketTransport> keep = self_;
  lost_ = std::max(lost_, 1u);
  is_closing_ = true;
  stop_waiting();
  stop_reading();
  let_go();
  if (self_ != nullptr) release();  // no pass comes to an end any more
}

// -- failure -----------------------------------------------------------------

template <class Callback>
bool SocketTransport::tell(const char* message, Callback&& callback) {
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  return guarded(callback, [&](const std::exception_ptr& error) {
    if (!writes_) flush();  // what it had written before
    fail(message, error);
  });
}

/// asyncio's _fatal_error(): an error of the connection is nobody's fault.
void SocketTransport::fail(const char* message,
                           const std::exception_ptr& error) {
  // Even if the handler leaves the loop.
  struct Close {
    ~Close() { transport.force_close(error); }
    SocketTransport& transport;
    std::exception_ptr error;
  } const close{*this, error};
  report(*this, message, error);
}

void SocketTransport::fail(const char* message, const char* operation,
                           int error_number) {
  const std::exception_ptr error = system_error(operation, error_number);
  if (loop_.get_debug()) {
    log_safely([&] {
      log().debug("{}: {}: {}", description(), message, describe(error));
    });
  }
  force_close(error);
}

// -- what it is --------------------------------------------------------------

const Address& SocketTransport::sockname() const {
  static const Address kNone;
  if (sockname_ == nullptr && socket_) {
    ::sockaddr_storage storage;
    unsigned size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    if (net_.kernel().getsockname(socket_.get(), native, &size) == 0) {
      sockname_ =
          std::make_unique<const Address>(Address::from_native(native, size));
    }
  }
  return sockname_ != nullptr ? *sockname_ : kNone;
}

std::string SocketTransport::description() const {
  std::string text = "<_SelectorSocketTransport";
  if (!socket_) {
    text += " closed";
  } else if (is_closing_) {
    text += " closing";
  }
  text += " fd=" + std::to_string(socket_.get());
  if (socket_) {
    text += std::string(" read=") + (reads_ ? "polling" : "idle");
    text += std::string(" write=<") + (writes_ ? "polling" : "idle") +
            ", bufsize=" + std::to_string(unsent_in_all()) + ">";
  }
  return text + ">";
}

}  // namespace rondo::detail
