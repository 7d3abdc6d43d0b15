// SPDX-License-Identifier: MIT
#include "net/internal/datagram_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <source_location>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/socket_queries.h"
#include "net/internal/system_error.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"

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
  DatagramSocket& t = *transport;
  loop.call_soon([&t, done = std::move(made)]() mutable { t.begin(done); });
  t.self_ = transport;
  LoopState::of(loop).link(t);
  return transport;
}

DatagramSocket::DatagramSocket(EventLoop& loop, UniqueFd socket, Address remote,
                               Address peername)
    : loop_(loop),
      net_(NetState::of(loop)),
      socket_(std::move(socket)),
      claim_(net_.fd_uses(), socket_.get(), FdUse::kTransport),
      remote_(std::move(remote)),
      peername_(std::move(peername)),
      bytes_max_(bytes_max_of(net_.kernel(), socket_.get())) {}

DatagramSocket::~DatagramSocket() = default;

void DatagramSocket::set_protocol(std::shared_ptr<DatagramProtocol> protocol) {
  if (is_over_) return;
  if (protocol == nullptr) {
    throw std::invalid_argument("set_protocol: no protocol");
  }
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

void DatagramSocket::begin(Future<void>& made) {
  // asyncio goes on with one that has failed. It may be half made, though.
  const std::shared_ptr<DatagramProtocol> keep = protocol_;
  try {
    guarded([this] { protocol_->connection_made(*this); },
            [this](const std::exception_ptr& error) {
              fail("Fatal error: protocol.connection_made() call failed.",
                   error);
            });
  } catch (...) {
    go_on(made);
    throw;  // SystemExit and its like: the loop may run again
  }
  go_on(made);
}

void DatagramSocket::go_on(Future<void>& made) {
  if (!is_closing_) start_reading();
  if (!made || made.done()) return;
  if (error_ != nullptr) {
    made.set_exception(error_);
  } else {
    made.set_result();
  }
}

// -- receiving ---------------------------------------------------------------

void DatagramSocket::start_reading() {
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
  if (lost_ != 0) return;
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
  if (is_closing_) return;
  DatagramBatch& batch = net_.datagrams();
  const int count = batch.receive(net_.kernel(), socket_.get(), bytes_max_);
  if (count < 0) {
    if (would_block(errno)) return;
    if (is_fatal(errno)) {
      return fail("Fatal read error on datagram transport", "recvmmsg", errno);
    }
    return note_error(errno);
  }
  for (int i = 0; i < count && !is_closing_; ++i) {
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
  while (!kept_.empty() && !is_closing_) {
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
    loop_.call_soon([self = self_] { self->deliver_kept(); });
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // Then before the next that comes.
  }
}

// -- its end -----------------------------------------------------------------

void DatagramSocket::close() {
  if (is_closing_) return;
  if (!is_blocked()) flush();
  if (is_closing_) return;  // that failed
  is_closing_ = true;
  stop_reading();
  if (unsent() == 0) end_soon(nullptr);
}

void DatagramSocket::force_close(std::exception_ptr error) {
  if (lost_ != 0) return;
  if (unsent() != 0) has_sent(queue_.size() - first_);  // it is lost
  is_closing_ = true;
  end_soon(std::move(error));
}

/// In the loop's queue: asyncio's name of it.
struct DatagramSocket::End {
  void operator()() const { transport->end(); }
  std::string description() const {
    return "_SelectorTransport._call_connection_lost()";
  }
  DatagramSocket* transport;
};

void DatagramSocket::end_soon(std::exception_ptr error) {
  if (lost_ != 0) return;
  ++lost_;
  error_ = std::move(error);
  stop_reading();
  stop_waiting();
  if (!loop_.is_closed()) queue_end();  // else see abandon()
}

void DatagramSocket::queue_end() {
  try {
    loop_.call_soon(End{this}, std::source_location());
    end_is_queued_ = true;
  } catch (const std::bad_alloc&) {
    flush_later();  // tries again
  }
}

void DatagramSocket::end() {
  if (is_over_) return;
  const std::shared_ptr<DatagramProtocol> keep = protocol_;
  struct LetGo {
    ~LetGo() { transport.let_go(); }
    DatagramSocket& transport;
  } const let_go{*this};
  keep->connection_lost(std::exchange(error_, nullptr));
}

void DatagramSocket::let_go() noexcept {
  if (std::exchange(is_over_, true)) return;
  claim_.drop();
  socket_.reset();
  kept_.clear();
  queue_ = std::vector<Waiting>();
  first_ = 0;
  sent_ = 0;
  std::string().swap(bytes_);  // (to assign would keep the memory)
  const std::shared_ptr<DatagramSocket> keep = self_;
  const std::shared_ptr<DatagramProtocol> protocol = std::move(protocol_);
  // What the end of the pass has in its list lives until then.
  if (!is_waiting()) release();
}

void DatagramSocket::release() noexcept {
  LoopState::of(loop_).unlink(*this);
  const std::shared_ptr<DatagramSocket> self = std::move(self_);
}

/// The loop is closed: nothing is called any more.
void DatagramSocket::abandon() noexcept {
  const std::shared_ptr<DatagramSocket> keep = self_;
  lost_ = std::max(lost_, 1u);
  is_closing_ = true;
  stop_waiting();
  stop_reading();
  let_go();
  if (self_ != nullptr) release();  // no pass comes to an end any more
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

/// asyncio's _fatal_error(): an error of the socket is nobody's fault.
void DatagramSocket::fail(const char* message,
                          const std::exception_ptr& error) {
  // Even if the handler leaves the loop.
  struct Close {
    ~Close() { transport.force_close(error); }
    DatagramSocket& transport;
    std::exception_ptr error;
  } const close{*this, error};
  report(*this, message, error);
}

void DatagramSocket::fail(const char* message, const char* operation,
                          int error_number) {
  const std::exception_ptr error = system_error(operation, error_number);
  if (loop_.get_debug()) {
    log_safely([&] {
      log().debug("{}: {}: {}", description(), message, describe(error));
    });
  }
  force_close(error);
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
  std::string text = "<_SelectorDatagramTransport";
  if (!socket_) {
    text += " closed";
  } else if (is_closing_) {
    text += " closing";
  }
  text += " fd=" + std::to_string(socket_.get());
  if (socket_) {
    text += std::string(" read=") + (reads_ ? "polling" : "idle");
    text += std::string(" write=<") + (is_blocked() ? "polling" : "idle") +
            ", bufsize=" + std::to_string(unsent()) + ">";
  }
  return text + ">";
}

}  // namespace rondo::detail
