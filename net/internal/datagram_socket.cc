// SPDX-License-Identifier: MIT
#include "net/internal/datagram_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/socket_queries.h"
#include "net/internal/system_error.h"
#include "reactor/event_loop.h"

// A datagram's way: the kernel, recvmmsg() into the memory that all endpoints
// of the loop share, datagram_received(); and back: sendto(), the queue,
// sendmmsg(). The rest is as in socket_transport.cc, whose order this has.

namespace rondo::detail {

namespace {

/// The longest datagram that is not cut off.
std::size_t bytes_max_of(Kernel& kernel, int fd) {
  int family = AF_UNSPEC;
  unsigned size = sizeof family;
  kernel.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family == AF_UNIX ? DatagramBatch::kUnixBytes
                           : DatagramBatch::kUdpBytes;
}

}  // namespace

std::shared_ptr<DatagramSocket> DatagramSocket::create(
    EventLoop& loop, UniqueFd socket,
    std::shared_ptr<DatagramProtocol> protocol, Address remote,
    Address peername, Future<void> made) {
  auto transport = std::make_shared<DatagramSocket>(
      loop, std::move(socket), std::move(remote), std::move(peername));
  transport->set_protocol(std::move(protocol));
  transport->begin_soon(transport, std::move(made));
  return transport;
}

DatagramSocket::DatagramSocket(EventLoop& loop, UniqueFd socket, Address remote,
                               Address peername)
    : TransportLife(loop),
      net_(NetState::of(loop)),
      socket_(std::move(socket)),
      claim_(net_.fd_uses(), socket_.get(), FdUse::kTransport),
      remote_(std::move(remote)),
      peername_(std::move(peername)),
      bytes_max_(bytes_max_of(net_.kernel(), socket_.get())) {}

DatagramSocket::~DatagramSocket() = default;

void DatagramSocket::set_protocol(std::shared_ptr<DatagramProtocol> protocol) {
  if (is_over()) return;
  if (protocol == nullptr) {
    throw std::invalid_argument("set_protocol: no protocol");
  }
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

void DatagramSocket::tell_made() {
  const std::shared_ptr<DatagramProtocol> keep = protocol_;
  guarded([this] { protocol_->connection_made(*this); },
          [this](const std::exception_ptr& error) {
            fail("Fatal error: protocol.connection_made() call failed.", error);
          });
}

// -- receiving ---------------------------------------------------------------

void DatagramSocket::start() {
  if (!is_open()) return;
  try {
    loop_.add_reader(socket_.get(), [this] { on_readable(); });
    reads_ = true;
  } catch (...) {
    fail("Fatal error: the socket cannot be watched", std::current_exception());
  }
}

void DatagramSocket::stop_reading() noexcept {
  if (std::exchange(reads_, false)) loop_.remove_reader(socket_.get());
}

void DatagramSocket::on_readable() {
  if (is_ending()) return;
  in_read_ = true;
  try {
    deliver_kept();
    receive();
  } catch (...) {
    in_read_ = false;
    flush_later();  // what was sent is sent all the same
    throw;
  }
  in_read_ = false;
  if (!is_blocked()) flush();
  tell_errors();
}

void DatagramSocket::receive() {
  if (!is_open()) return;
  DatagramBatch& batch = net_.datagrams();
  const int count = batch.receive(net_.kernel(), socket_.get(), bytes_max_);
  if (count < 0) {
    if (would_block(errno)) return;
    if (is_fatal(errno)) {
      return fail("Fatal read error on datagram transport", "recvmmsg", errno);
    }
    return note_error(errno);
  }
  for (int i = 0; i < count && is_open(); ++i) {
    try {
      if (batch.is_truncated(i)) {
        note_error(EMSGSIZE);
        tell_errors();
      } else {
        deliver(batch.data(i), batch.from(i));
      }
    } catch (...) {
      keep(batch, i + 1, count);
      throw;
    }
  }
}

void DatagramSocket::deliver(std::string_view data, const Address& from) {
  tell("protocol.datagram_received() call failed.",
       [&] { protocol_->datagram_received(data, from); });
}

/// The loop is left before its time. The memory is anybody's then.
void DatagramSocket::keep(const DatagramBatch& batch, int from,
                          int count) noexcept {
  try {
    for (int i = from; i < count; ++i) {
      if (!batch.is_truncated(i)) {
        kept_.emplace_back(batch.data(i), batch.from(i));
      }
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // Datagrams may be lost.
  }
  deliver_kept_soon();
}

void DatagramSocket::deliver_kept() {
  while (!kept_.empty() && is_open()) {
    const Kept next = std::move(kept_.front());
    kept_.pop_front();
    try {
      deliver(next.data, next.from);
    } catch (...) {
      deliver_kept_soon();
      throw;
    }
  }
}

void DatagramSocket::deliver_kept_soon() noexcept {
  if (kept_.empty()) return;
  try {
    loop_.call_soon([this, self = shared_from_this()] { deliver_kept(); });
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // Then before the next that comes.
  }
}

// -- its end -----------------------------------------------------------------

void DatagramSocket::close() {
  if (!is_open()) return;
  if (!is_blocked()) flush();
  if (!is_open()) return;  // that failed
  set_closing();
  stop_reading();
  if (unsent() == 0) end_soon(nullptr);
}

void DatagramSocket::stop() noexcept {
  stop_reading();
  stop_waiting();
}

void DatagramSocket::discard() noexcept {
  if (unsent() != 0) has_sent(queue_.size() - first_);
}

void DatagramSocket::tell_lost(std::exception_ptr error) {
  const std::shared_ptr<DatagramProtocol> keep = protocol_;
  keep->connection_lost(std::move(error));
}

void DatagramSocket::let_go() noexcept {
  claim_.drop();
  socket_.reset();
  kept_.clear();
  queue_ = std::vector<Waiting>();
  first_ = 0;
  sent_ = 0;
  std::string().swap(bytes_);  // (to assign would keep the memory)
  const std::shared_ptr<DatagramProtocol> protocol = std::move(protocol_);
}

// -- failure -----------------------------------------------------------------

template <class Callback>
void DatagramSocket::tell(const char* message, Callback&& callback) {
  const std::shared_ptr<DatagramProtocol> keep = protocol_;
  guarded(callback, [&](const std::exception_ptr& error) {
    report(*this, message, error);
  });
}

/// For error_received(), which is not called out of the protocol's own calls.
void DatagramSocket::note_error(int error_number) noexcept {
  try {
    errors_.push_back(error_number);
  } catch (const std::bad_alloc&) {
    return;  // there will be others
  }
  if (!in_read_) flush_later();
}

/// Those that are there now. What it sends may fail again, in the next pass.
void DatagramSocket::tell_errors() {
  if (errors_.empty()) return;
  struct Rest {
    ~Rest() {
      if (transport.errors_told_ < transport.errors_.size()) {
        transport.flush_later();
      } else {
        transport.errors_.clear();
        transport.errors_told_ = 0;
      }
    }
    DatagramSocket& transport;
  } const rest{*this};
  for (const std::size_t end = errors_.size(); errors_told_ < end;) {
    const std::error_code error(errors_[errors_told_++],
                                std::generic_category());
    if (protocol_ == nullptr) continue;
    tell("protocol.error_received() call failed.",
         [&] { protocol_->error_received(error); });
  }
}

void DatagramSocket::pause_protocol() {
  if (protocol_paused_ || unsent() <= limits_.high) return;
  protocol_paused_ = true;
  tell("protocol.pause_writing() failed",
       [this] { protocol_->pause_writing(); });
}

void DatagramSocket::resume_protocol() {
  if (!protocol_paused_ || unsent() > limits_.low) return;
  protocol_paused_ = false;
  tell("protocol.resume_writing() failed",
       [this] { protocol_->resume_writing(); });
}

// -- what it is --------------------------------------------------------------

const Address& DatagramSocket::sockname() const {
  // What is not bound yet is when it first sends.
  const bool is_known = sockname_.family() == AF_UNIX || sockname_.port() != 0;
  if (!is_known && socket_) {
    Address name = sockname_of(net_.kernel(), socket_.get());
    if (name) sockname_ = std::move(name);
  }
  return sockname_;
}

std::string DatagramSocket::description() const {
  std::string text = "<_SelectorDatagramTransport" + state();
  if (socket_) {
    text += std::string(" read=") + (reads_ ? "polling" : "idle");
    text += std::string(" write=<") + (is_blocked() ? "polling" : "idle") +
            ", bufsize=" + std::to_string(unsent()) + ">";
  }
  return text + ">";
}

}  // namespace rondo::detail
