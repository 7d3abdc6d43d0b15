// SPDX-License-Identifier: MIT
#include "net/internal/tls_transport.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "futures/errors.h"
#include "net/internal/protocol_call.h"
#include "net/internal/system_error.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"

// One byte's way up: the transport below calls data_received() with what is
// encrypted, the engine decrypts it into memory that all connections of the
// loop share, and from there it goes to the protocol. Down: write(), the
// engine, its output, and as one piece to the transport below, which has the
// only buffer. The names and the order are those of asyncio's sslproto.py.

namespace rondo::detail {

namespace {

// What is encrypted before the transport below gets it.
constexpr std::size_t kWriteBytes = std::size_t{256} * 1024;
// asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
constexpr unsigned kLostWritesLogged = 5;
// How long a client that is refused is waited for.
constexpr Duration kLingerTime = std::chrono::seconds(1);
// What a peer may send that was told of our end, and has all that was written.
constexpr std::size_t kSendsOnMax = std::size_t{1} << 20;

std::string name_to_check(const TlsOptions& options,
                          const std::string& server_hostname) {
  if (options.context().state()->is_server) return {};
  return options.server_hostname().value_or(server_hostname);
}

std::exception_ptr timed_out(Duration handshake_timeout) {
  char text[96];
  std::snprintf(text, sizeof text,
                "TLS handshake is taking longer than %.3g seconds: aborting "
                "the connection",
                std::chrono::duration<double>(handshake_timeout).count());
  return system_error(text, ECONNABORTED);
}

}  // namespace

// -- its beginning -----------------------------------------------------------

std::shared_ptr<TlsTransport> TlsTransport::create(
    EventLoop& loop, std::shared_ptr<BaseProtocol> protocol,
    const TlsOptions& options, const std::string& server_hostname,
    Future<void> made, bool is_upgrade) {
  auto transport = std::make_shared<TlsTransport>(
      loop, options, server_hostname, std::move(made), is_upgrade);
  transport->set_protocol(std::move(protocol));
  return transport;
}

TlsTransport::TlsTransport(EventLoop& loop, const TlsOptions& options,
                           const std::string& server_hostname,
                           Future<void> made, bool is_upgrade)
    : loop_(loop),
      net_(NetState::of(loop)),
      engine_(options.context().state(),
              name_to_check(options, server_hostname), options.session()),
      made_(std::move(made)),
      handshake_timeout_(options.handshake_timeout()),
      shutdown_timeout_(options.shutdown_timeout()),
      is_made_(is_upgrade) {
  LoopState::of(loop_).link(*this);
}

TlsTransport::~TlsTransport() {
  deadline_.cancel();
  if (state_ != State::kEnded) LoopState::of(loop_).unlink(*this);
}

std::shared_ptr<BaseProtocol> TlsTransport::protocol() {
  return std::shared_ptr<BaseProtocol>(shared_from_this(),
                                       static_cast<BaseProtocol*>(this));
}

void TlsTransport::set_protocol(std::shared_ptr<BaseProtocol> protocol) {
  if (state_ == State::kEnded) return;
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

void TlsTransport::upgrade(const std::shared_ptr<Transport>& below) {
  attach(below);
  below->set_protocol(protocol());
  below->resume_reading();
  begin();
}

void TlsTransport::connection_made(Transport& /*below*/) { begin(); }

void TlsTransport::begin() {
  if (is_closing()) return;
  set_deadline(handshake_timeout_);
  go_on();
}

// -- what comes from below ---------------------------------------------------

void TlsTransport::data_received(std::string_view data) {
  if (state_ >= State::kAborting) return;
  try {
    engine_.feed(data);
  } catch (const std::bad_alloc&) {
    return fail(std::current_exception());
  }
  go_on();
}

/// Does what can be done with what was received.
void TlsTransport::go_on() {
  const std::shared_ptr<Transport> keep = shared_from_this();
  struct Rest {
    ~Rest() {
      if (transport.engine_.keep_rest()) return;
      transport.fail(std::make_exception_ptr(std::bad_alloc()));
    }
    TlsTransport& transport;
  } const rest{*this};
  struct Later {
    ~Later() {
      // SystemExit and its like: the loop may run on.
      if (std::uncaught_exceptions() > before) transport.go_on_later();
    }
    TlsTransport& transport;
    const int before = std::uncaught_exceptions();
  } const later{*this};
  guarded([this] { advance(); },
          [this](const std::exception_ptr& error) { fail(error); });
}

void TlsTransport::advance() {
  lend_output();
  if (state_ == State::kHandshake) shake_hands();
  if (state_ == State::kOpen) read_all();
  if (state_ == State::kOpen) send_backlog();
  if (state_ == State::kClosing) discard_rest();
  send_answers();
}

/// The same in the next pass: not out of a call of the protocol's own.
void TlsTransport::go_on_later() noexcept {
  if (will_go_on_ || state_ >= State::kAborting || loop_.is_closed()) return;
  try {
    loop_.call_soon([this, keep = shared_from_this()] {
      will_go_on_ = false;
      if (state_ >= State::kAborting) return;
      go_on();
      if (!is_paused_ && !is_choked_ && state_ < State::kAborting) {
        below_->resume_reading();
      }
    });
    will_go_on_ = true;
  } catch (...) {
    fail(std::current_exception());
  }
}

void TlsTransport::shake_hands() {
  switch (engine_.handshake()) {
    case TlsEngine::Outcome::kWantsInput:
      return;
    case TlsEngine::Outcome::kEnd:
      return fail(system_error("TLS handshake", ECONNRESET));
    case TlsEngine::Outcome::kDone:
      break;
  }
  deadline_.cancel();
  state_ = State::kOpen;
  send_output();
  struct Made {
    ~Made() { transport.tell_that_made(); }
    TlsTransport& transport;
  } const made{*this};  // also if this leaves the loop
  if (!std::exchange(is_made_, true)) {
    tell("Fatal error: protocol.connection_made() call failed.",
         [this] { protocol_->connection_made(*this); });
  }
  if (is_paused_ && state_ == State::kOpen) below_->pause_reading();
  tell_of_pressure();
}

void TlsTransport::tell_that_made() noexcept {
  if (!made_ || made_.done() || error_ != nullptr) return;
  try {
    made_.set_result();
  } catch (...) {
    // In a child that connection_made() has forked.
    fail(std::current_exception());
  }
}

void TlsTransport::read_all() {
  while (state_ == State::kOpen && !is_paused_ && !has_read_all_) {
    const bool has_more = stream_protocol_ != nullptr ? read_into_shared()
                                                      : read_into_protocols();
    if (!has_more) break;
  }
}

/// Whether there may be more to read.
bool TlsTransport::read_into_shared() {
  const NetState::PlainMemory memory(net_);
  auto outcome = TlsEngine::Outcome::kDone;
  std::size_t size = 0;
  std::exception_ptr error;
  try {
    while (outcome == TlsEngine::Outcome::kDone && size < memory.size()) {
      std::size_t more = 0;
      outcome =
          engine_.read({memory.data() + size, memory.size() - size}, more);
      size += more;
    }
  } catch (const TlsError&) {
    error = std::current_exception();  // what came before it is good
  }
  if (size != 0 &&
      !tell("Fatal error: protocol.data_received() call failed.",
            [&] { stream_protocol_->data_received({memory.data(), size}); })) {
    return false;
  }
  if (error != nullptr && state_ <= State::kClosing) {
    std::rethrow_exception(error);
  }
  return has_more(outcome);
}

/// The same for a BufferedProtocol.
bool TlsTransport::read_into_protocols() {
  BufferedProtocol* const reader = buffered_protocol_;
  std::span<char> memory;
  if (!tell("Fatal error: protocol.get_buffer() call failed.", [&] {
        memory = reader->get_buffer(NetState::PlainMemory::size());
        if (memory.empty()) {
          throw RuntimeError("get_buffer() returned an empty buffer");
        }
      })) {
    return false;
  }
  if (buffered_protocol_ != reader) return true;  // it has set another
  std::size_t size = 0;
  const TlsEngine::Outcome outcome = engine_.read(memory, size);
  if (outcome == TlsEngine::Outcome::kDone &&
      !tell("Fatal error: protocol.buffer_updated() call failed.",
            [&] { reader->buffer_updated(size); })) {
    return false;
  }
  return has_more(outcome);
}

bool TlsTransport::has_more(TlsEngine::Outcome outcome) {
  if (outcome == TlsEngine::Outcome::kEnd && state_ == State::kOpen) {
    on_end_of_stream();
  }
  return outcome == TlsEngine::Outcome::kDone;
}

/// The engine's own answers. A peer that asks for them (KeyUpdate) and does not
/// read them is not read itself until it does.
void TlsTransport::send_answers() {
  const bool has_answers = !engine_.output().empty();
  send_output();
  if (!has_answers || !is_below_full_ || state_ >= State::kAborting) return;
  is_choked_ = true;
  below_->pause_reading();
}

/// What comes after close(): nobody wants it, but for the peer's end.
void TlsTransport::discard_rest() {
  const NetState::PlainMemory memory(net_);
  for (;;) {
    std::size_t size = 0;
    switch (engine_.read({memory.data(), memory.size()}, size)) {
      case TlsEngine::Outcome::kDone:
        if (!has_shut_down_ || get_write_buffer_size() != 0) break;
        sent_on_ += size;
        if (sent_on_ <= kSendsOnMax) break;
        return fail(std::make_exception_ptr(
            TlsError("application data after close notify",
                     "TLS close: the peer goes on sending")));
      case TlsEngine::Outcome::kWantsInput:
        return finish_close();
      case TlsEngine::Outcome::kEnd:
        has_read_all_ = true;
        return finish_close();
    }
  }
}

/// Says that this side ends, as soon as that can be said.
void TlsTransport::finish_close() {
  send_backlog();
  if (!has_shut_down_ && backlog_.empty()) {
    has_shut_down_ = engine_.shut_down() == TlsEngine::Outcome::kDone;
    send_output();
  }
  if (state_ == State::kClosing && has_read_all_) below_->close();
}

/// The peer has said all it has to say. Whether writing goes on.
bool TlsTransport::on_end_of_stream() {
  has_read_all_ = true;
  struct Again {
    ~Again() {
      // SystemExit and its like: it is asked once more.
      if (std::uncaught_exceptions() > before) transport.has_read_all_ = false;
    }
    TlsTransport& transport;
    const int before = std::uncaught_exceptions();
  } const again{*this};
  bool keep_open = false;
  if (!tell("Fatal error: protocol.eof_received() call failed.", [&] {
        keep_open = stream_protocol_ != nullptr
                        ? stream_protocol_->eof_received()
                        : buffered_protocol_->eof_received();
      })) {
    return false;
  }
  if (!keep_open) close();
  return state_ == State::kOpen;
}

/// The connection below is at its end.
bool TlsTransport::eof_received() {
  const std::shared_ptr<Transport> keep = shared_from_this();
  if (state_ == State::kHandshake) {
    fail(system_error("TLS handshake", ECONNRESET));
    return false;
  }
  if (state_ != State::kOpen) return false;
  if (has_read_all_) return true;  // still writing
  if (engine_.ignores_unexpected_eof()) return on_end_of_stream();
  // Who has cut it? What came may be a part only.
  fail(std::make_exception_ptr(
      TlsError("unexpected eof while reading",
               "TLS read: EOF occurred in violation of protocol")));
  return false;
}

// -- reading -----------------------------------------------------------------

void TlsTransport::pause_reading() {
  if (!is_reading()) return;
  is_paused_ = true;
  if (state_ == State::kOpen) below_->pause_reading();
}

void TlsTransport::resume_reading() {
  if (is_closing() || !is_paused_) return;
  is_paused_ = false;
  if (state_ == State::kOpen) go_on_later();
}

// -- writing -----------------------------------------------------------------

void TlsTransport::write(std::string_view data) {
  if (data.empty()) return;
  if (is_closing()) {
    if (lost_writes_ >= kLostWritesLogged) {
      log_safely([] { log().warn("SSL connection is closed"); });
    }
    ++lost_writes_;
    return;
  }
  const std::shared_ptr<Transport> keep = shared_from_this();
  guarded(
      [&] {
        if (state_ == State::kOpen && backlog_.empty()) {
          data.remove_prefix(encrypt(data));
        }
        if (data.empty() || state_ >= State::kAborting) return;
        if (data.size() > cap_ - std::min(cap_, backlog_.size())) {
          return fail(system_error("write buffer", ENOBUFS));
        }
        backlog_.append(data);
      },
      [this](const std::exception_ptr& error) { fail(error); });
  tell_of_pressure();
}

/// Sends `data`. How much of it the engine has taken. What pause_writing()
/// writes is not to come between its pieces: tell_of_pressure() is due.
std::size_t TlsTransport::encrypt(std::string_view data) {
  struct Encrypting {
    ~Encrypting() { flag = false; }
    bool& flag;
  } const encrypting{is_encrypting_ = true};
  std::size_t size = 0;
  while (size < data.size() && state_ < State::kAborting) {
    const std::string_view piece = data.substr(size, kWriteBytes);
    lend_output();
    const TlsEngine::Outcome outcome = engine_.write(piece);
    send_output();
    if (outcome != TlsEngine::Outcome::kDone) break;
    size += piece.size();
  }
  return size;
}

/// Sends what had to wait.
void TlsTransport::send_backlog() {
  if (backlog_.empty()) return;
  std::string backlog = std::exchange(backlog_, std::string());
  backlog.erase(0, encrypt(backlog));
  backlog_ = std::move(backlog);
  tell_of_pressure();
}

/// Memory for what the engine will write.
void TlsTransport::lend_output() {
  std::string& output = engine_.output();
  if (output.empty() && output.capacity() < NetState::kKeptBytesMin) {
    output = net_.take_buffer();
  }
}

void TlsTransport::send_output() {
  std::string output = std::exchange(engine_.output(), std::string());
  if (!output.empty()) below_->write(output);
  net_.give_back(output);
}

void TlsTransport::write_eof() {
  throw RuntimeError("write_eof: a TLS connection ends both ways at once");
}

std::size_t TlsTransport::get_write_buffer_size() {
  return backlog_.size() + below_->get_write_buffer_size();
}

WriteBufferLimits TlsTransport::get_write_buffer_limits() const noexcept {
  return below_->get_write_buffer_limits();
}

void TlsTransport::set_write_buffer_limits(std::optional<std::size_t> high,
                                           std::optional<std::size_t> low) {
  below_->set_write_buffer_limits(high, low);
  tell_of_pressure();
}

void TlsTransport::set_write_buffer_cap(std::size_t bytes) {
  cap_ = bytes;
  below_->set_write_buffer_cap(bytes);
}

void TlsTransport::pause_writing() {
  is_below_full_ = true;
  tell_of_pressure();
}

void TlsTransport::resume_writing() {
  // Not full, as far as we know: it was before upgrade(), and so it was told.
  if (!std::exchange(is_below_full_, false)) protocol_paused_ = true;
  tell_of_pressure();
  if (std::exchange(is_choked_, false)) go_on_later();
}

void TlsTransport::tell_of_pressure() {
  const bool is_full =
      is_below_full_ || backlog_.size() > get_write_buffer_limits().high;
  if (is_full == protocol_paused_ || is_encrypting_ || !is_made_ ||
      protocol_ == nullptr) {
    return;
  }
  protocol_paused_ = is_full;
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  if (is_full) {
    guarded([&] { keep->pause_writing(); },
            [this](const std::exception_ptr& error) {
              report(*this, "protocol.pause_writing() failed", error);
            });
  } else {
    guarded([&] { keep->resume_writing(); },
            [this](const std::exception_ptr& error) {
              report(*this, "protocol.resume_writing() failed", error);
            });
  }
}

// -- its end -----------------------------------------------------------------

bool TlsTransport::is_closing() const noexcept {
  return state_ >= State::kClosing || below_->is_closing();
}

void TlsTransport::close() {
  if (is_closing()) return;
  if (state_ == State::kHandshake) return abort();  // nothing can be sent yet
  const std::shared_ptr<Transport> keep = shared_from_this();
  state_ = State::kClosing;
  guarded(
      [this] {
        is_drained_ = get_write_buffer_size() == 0;
        lend_output();
        finish_close();
        if (state_ != State::kClosing || below_->is_closing()) return;
        unsent_at_deadline_ = get_write_buffer_size();
        set_deadline(shutdown_timeout_);
        // The peer's end is among what was not wanted so far.
        const bool was_paused = is_paused_ || is_choked_;
        is_paused_ = is_choked_ = false;
        if (was_paused) go_on_later();
      },
      [this](const std::exception_ptr& error) { fail(error); });
}

void TlsTransport::abort() {
  if (state_ == State::kEnded) return;
  state_ = State::kAborting;  // it may be, see linger()
  deadline_.cancel();
  below_->abort();
}

void TlsTransport::set_deadline(Duration delay) {
  deadline_.cancel();
  deadline_ = loop_.call_later(delay, [this] { on_deadline(); });
}

void TlsTransport::on_deadline() {
  if (state_ == State::kHandshake) return fail(timed_out(handshake_timeout_));
  if (state_ == State::kAborting) return below_->abort();  // see linger()
  const std::size_t unsent = get_write_buffer_size();
  if (unsent != 0 && unsent < unsent_at_deadline_) {  // slow, but not dead
    unsent_at_deadline_ = unsent;
    guarded([this] { set_deadline(shutdown_timeout_); },
            [this](const std::exception_ptr& error) { fail(error); });
    return;
  }
  fail(std::make_exception_ptr(TimeoutError("TLS shutdown timed out")));
}

void TlsTransport::connection_lost(std::exception_ptr error) {
  if (state_ == State::kEnded) return;
  const std::shared_ptr<Transport> keep = shared_from_this();
  deadline_.cancel();
  state_ = State::kEnded;
  LoopState::of(loop_).unlink(*this);
  if (error_ != nullptr) {
    error = std::exchange(error_, nullptr);
  } else if (is_drained_) {
    error = nullptr;  // all was sent; how the peer ends is its own affair
  }
  if (made_ && !made_.done()) {
    made_.set_exception(
        error != nullptr ? error : system_error("TLS handshake", ECONNABORTED));
  }
  made_ = Future<void>();
  struct LetGo {
    ~LetGo() {
      transport.stream_protocol_ = nullptr;
      transport.buffered_protocol_ = nullptr;
      transport.protocol_ = nullptr;
    }
    TlsTransport& transport;
  } const let_go{*this};
  const std::shared_ptr<BaseProtocol> protocol = protocol_;
  if (is_made_) protocol->connection_lost(std::move(error));
}

/// The loop is closed: nothing is called any more.
void TlsTransport::abandon() noexcept {
  const std::shared_ptr<Transport> keep = shared_from_this();
  LoopState::of(loop_).unlink(*this);
  state_ = State::kEnded;
  deadline_.cancel();
  made_ = Future<void>();
  stream_protocol_ = nullptr;
  buffered_protocol_ = nullptr;
  const std::shared_ptr<BaseProtocol> protocol = std::move(protocol_);
}

// -- failure -----------------------------------------------------------------

/// Calls `callback`, which calls the protocol; what it throws ends the
/// connection, and the exception handler hears `message`. Whether it has
/// thrown nothing.
template <class Callback>
bool TlsTransport::tell(const char* message, Callback&& callback) {
  const std::shared_ptr<BaseProtocol> keep = protocol_;
  return guarded(callback, [&](const std::exception_ptr& error) {
    fail(error);
    report(*this, message, error);
  });
}

/// The peer is told why, if it will listen.
void TlsTransport::fail(const std::exception_ptr& error) noexcept {
  if (state_ >= State::kAborting) return;
  const bool refuses = state_ == State::kHandshake && engine_.is_server() &&
                       !engine_.output().empty();
  state_ = State::kAborting;
  error_ = error;
  deadline_.cancel();
  std::string().swap(backlog_);
  log_safely([&] {
    if (!loop_.get_debug()) return;
    log().debug("{}: {}", description(), describe(error));
  });
  try {
    send_output();
    if (below_->get_write_buffer_size() == 0) {
      return refuses ? linger() : below_->close();
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // Then without.
  }
  below_->abort();
}

/// A client that sends more than was read resets the connection when that is
/// closed, and may never hear why. So it is read on, and nothing made of it,
/// until it ends or its time is over; unless somebody waits for the handshake.
void TlsTransport::linger() {
  if (made_ || below_->is_closing() || !below_->can_write_eof()) {
    return below_->close();
  }
  set_deadline(kLingerTime);
  below_->write_eof();
}

// -- what it is --------------------------------------------------------------

std::string TlsTransport::get_extra_info(std::string_view name,
                                         std::string otherwise) const {
  if (state_ != State::kHandshake) {
    if (name == "cipher") return info().cipher;
    if (name == "peercert") return info().peer_certificate.subject;
  }
  return below_->get_extra_info(name, std::move(otherwise));
}

std::string TlsTransport::description() const {
  return "<_SSLProtocolTransport over " + below_->description() + ">";
}

Transport& uppermost(Transport& transport) {
  Transport* upper = &transport;
  for (;;) {
    const std::shared_ptr<BaseProtocol> protocol = upper->get_protocol();
    auto* const tls = dynamic_cast<TlsTransport*>(protocol.get());
    if (tls == nullptr) return *upper;
    upper = tls;
  }
}

}  // namespace rondo::detail

namespace rondo {

TlsInfo tls_info(const Transport& transport) {
  const auto* tls = dynamic_cast<const detail::TlsTransport*>(&transport);
  if (tls == nullptr) {
    throw std::invalid_argument("tls_info: " + to_string(transport) +
                                " is not encrypted");
  }
  return tls->info();
}

}  // namespace rondo
