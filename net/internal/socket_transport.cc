// SPDX-License-Identifier: MIT
#include "net/internal/socket_transport.h"

#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/socket_queries.h"
#include "net/internal/system_error.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

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
  transport->begin_soon(transport, std::move(made));
  return transport;
}

SocketTransport::SocketTransport(EventLoop& loop, UniqueFd socket,
                                 Address peername, TransportOwner* owner)
    : TransportLife(loop),
      net_(NetState::of(loop)),
      socket_(std::move(socket)),
      owner_(owner),
      peername_(std::move(peername)) {
  net_.fd_uses().add(socket_.get(), FdUse::kTransport);
}

SocketTransport::~SocketTransport() { close_socket(); }

void SocketTransport::close_socket() noexcept {
  if (!socket_) return;
  net_.fd_uses().remove(socket_.get(), FdUse::kTransport);
  socket_.reset();
}

void SocketTransport::set_protocol(std::shared_ptr<BaseProtocol> protocol) {
  if (is_over()) return;
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

void SocketTransport::tell_made() {
  tell("Fatal error: protocol.connection_made() call failed.",
       [this] { protocol_->connection_made(*this); });
}

void SocketTransport::start() {
  if (is_reading()) start_reading();
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
  if (!is_open() || !is_paused_) return;
  is_paused_ = false;
  start_reading();
}

void SocketTransport::on_readable() {
  if (is_ending()) return;
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
  BufferedProtocol* const reader = buffered_protocol_;
  std::span<char> memory;
  if (!tell("Fatal error: protocol.get_buffer() call failed.", [&] {
        memory = reader->get_buffer(NetState::kReadBytes);
        if (memory.empty()) {
          throw RuntimeError("get_buffer() returned an empty buffer");
        }
      })) {
    return;
  }
  if (buffered_protocol_ != reader) return;  // it has set another
  const ssize_t size =
      net_.kernel().recv(socket_.get(), memory.data(), memory.size(), 0);
  if (!has_read(size)) return;
  tell("Fatal error: protocol.buffer_updated() call failed.",
       [&] { reader->buffer_updated(static_cast<std::size_t>(size)); });
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

// -- its end -----------------------------------------------------------------

void SocketTransport::close() {
  if (!is_open()) return;
  if (!writes_) flush();
  if (!is_open()) return;  // that failed
  set_closing();
  stop_reading();
  if (unsent() == 0 && held_ == nullptr) end_soon(nullptr);
}

void SocketTransport::stop() noexcept {
  stop_reading();
  stop_waiting();
  if (held_ != nullptr && !loop_.is_closed()) take_turn();
}

void SocketTransport::tell_lost(std::exception_ptr error) {
  const std::shared_ptr<BaseProtocol> keep = protocol_;  // it may set another
  keep->connection_lost(std::move(error));
}

void SocketTransport::let_go() noexcept {
  if (TransportOwner* owner = std::exchange(owner_, nullptr)) {
    owner->on_transport_end(*this);
  }
  close_socket();
  held_.reset();
  sent_ = 0;
  std::string().swap(buffer_);
  stream_protocol_ = nullptr;
  buffered_protocol_ = nullptr;
  const std::shared_ptr<BaseProtocol> protocol = std::move(protocol_);
}

template <class Callback>
bool SocketTransport::tell(const char* message, Callback&& callback) {
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  return guarded(callback, [&](const std::exception_ptr& error) {
    if (!writes_) flush();  // what it had written before
    fail(message, error);
  });
}

// -- what it is --------------------------------------------------------------

const Address& SocketTransport::sockname() const {
  static const Address kNone;
  if (sockname_ == nullptr && socket_) {
    Address name = sockname_of(net_.kernel(), socket_.get());
    if (name) sockname_ = std::make_unique<const Address>(std::move(name));
  }
  return sockname_ != nullptr ? *sockname_ : kNone;
}

std::string SocketTransport::description() const {
  std::string text = "<_SelectorSocketTransport" + state();
  if (socket_) {
    text += std::string(" read=") + (reads_ ? "polling" : "idle");
    text += std::string(" write=<") + (writes_ ? "polling" : "idle") +
            ", bufsize=" + std::to_string(unsent_in_all()) + ">";
  }
  return text + ">";
}

}  // namespace rondo::detail
