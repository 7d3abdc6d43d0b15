// SPDX-License-Identifier: MIT
#include "net/sendfile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "net/internal/net_state.h"
#include "net/internal/socket_transport.h"
#include "net/protocol.h"
#include "reactor/errors.h"

namespace rondo {

namespace detail {

/// Stands before a transport's protocol while a file is written, and hears
/// when to wait. asyncio's _SendfileFallbackProtocol; what that refuses or
/// keeps to itself this one hands on.
class SendfileProtocol final : public Protocol {
 public:
  SendfileProtocol(Transport& transport, EventLoop& loop)
      : loop_(loop),
        next_(transport.get_protocol()),
        was_reading_(transport.is_reading()),
        is_paused_(transport.get_write_buffer_size() >
                   transport.get_write_buffer_limits().high) {
    transport.pause_reading();
  }

  bool is_paused() const noexcept { return is_paused_; }
  bool is_lost() const noexcept { return is_lost_; }
  const std::exception_ptr& error() const noexcept { return error_; }
  /// Done when it is no longer paused, or lost.
  const Future<void>& turn() {
    turn_ = Future<void>(loop_);
    return turn_;
  }
  void restore(Transport& transport) const {
    if (is_lost_) return;
    transport.set_protocol(next_);
    if (was_reading_) transport.resume_reading();
  }

  void pause_writing() override {
    is_paused_ = true;
    next_->pause_writing();
  }
  void resume_writing() override {
    is_paused_ = false;
    wake();
    next_->resume_writing();
  }
  void connection_lost(std::exception_ptr error) override {
    is_lost_ = true;
    error_ = error;
    wake();
    next_->connection_lost(std::move(error));
  }
  // What was decrypted before the pause.
  void data_received(std::string_view data) override {
    if (auto* stream = dynamic_cast<Protocol*>(next_.get())) {
      return stream->data_received(data);
    }
    auto& buffered = dynamic_cast<BufferedProtocol&>(*next_);
    while (!data.empty()) {
      const std::span<char> memory = buffered.get_buffer(data.size());
      if (memory.empty()) {
        throw RuntimeError("get_buffer() returned an empty buffer");
      }
      const std::size_t size = std::min(memory.size(), data.size());
      std::memcpy(memory.data(), data.data(), size);
      data.remove_prefix(size);
      buffered.buffer_updated(size);
    }
  }
  bool eof_received() override {
    if (auto* stream = dynamic_cast<Protocol*>(next_.get())) {
      return stream->eof_received();
    }
    return dynamic_cast<BufferedProtocol&>(*next_).eof_received();
  }

 private:
  void wake() const {
    if (turn_ && !turn_.done()) turn_.set_result();
  }

  EventLoop& loop_;
  const std::shared_ptr<BaseProtocol> next_;
  const bool was_reading_;
  bool is_paused_;
  bool is_lost_ = false;
  std::exception_ptr error_;
  Future<void> turn_;
};

}  // namespace detail

using Outcome = detail::FileSender::Outcome;

Sendfile::Sendfile(std::shared_ptr<Transport> transport, int file,
                   std::int64_t offset, std::optional<std::int64_t> count,
                   bool fallback)
    : transport_(std::move(transport)),
      sender_(file, offset, count, fallback),
      fallback_(fallback) {}

Sendfile::Sendfile(Sendfile&&) noexcept = default;

Sendfile::~Sendfile() { end(); }

Step Sendfile::step(Resumption& resumption) {
  resumption.check();
  EventLoop& loop = resumption.loop();
  if (!has_begun_) {
    begin(loop);
    if (turn_ && !turn_.done()) return Step::wait(turn_);
  }
  const Step step = socket_ != nullptr ? send(loop) : write(loop);
  if (step.kind() == Step::Kind::kDone) end();
  return step;
}

void Sendfile::begin(EventLoop& loop) {
  if (&loop != &transport_->loop()) {
    throw std::invalid_argument("sendfile: the transport is another loop's");
  }
  if (transport_->is_closing()) throw RuntimeError("Transport is closing");
  has_begun_ = true;
  if (auto* socket = dynamic_cast<detail::SocketTransport*>(transport_.get())) {
    turn_ = socket->hold_writes();
    socket_ = socket;
    return;
  }
  if (!fallback_) {
    throw SendfileNotAvailableError(
        "fallback is disabled and native sendfile is not supported for "
        "transport " +
        to_string(*transport_));
  }
  auto protocol = std::make_shared<detail::SendfileProtocol>(*transport_, loop);
  transport_->set_protocol(protocol);
  protocol_ = std::move(protocol);
}

Step Sendfile::send(EventLoop& loop) {
  if (const std::exception_ptr lost = socket_->lost_error()) {
    std::rethrow_exception(lost);
  }
  Kernel& kernel = detail::NetState::of(loop).kernel();
  Outcome outcome;
  try {
    outcome = sender_.send(loop, kernel, socket_->fd());
  } catch (const std::system_error& error) {
    if (sender_.is_socket_error()) {
      socket_->fail_write("sendfile", error.code().value());
    }
    throw;
  }
  switch (outcome) {
    case Outcome::kDone:
      break;
    case Outcome::kMore:
      return Step::yield();
    case Outcome::kReading:
      return Step::wait(sender_.reading());
    case Outcome::kBlocked:
      turn_ = socket_->wait_writable();
      return Step::wait(turn_);
  }
  return Step::done();
}

/// To a transport that only it knows how to send through.
Step Sendfile::write(EventLoop& loop) {
  Kernel& kernel = detail::NetState::of(loop).kernel();
  for (;;) {
    if (protocol_->is_lost() || transport_->is_closing()) {
      if (protocol_->error() != nullptr) {
        std::rethrow_exception(protocol_->error());
      }
      throw std::system_error(ECONNABORTED, std::generic_category(),
                              "sendfile");
    }
    if (protocol_->is_paused()) return Step::wait(protocol_->turn());
    switch (sender_.read(loop, kernel)) {
      case Outcome::kMore:
        transport_->write(sender_.chunk());
        sender_.sent(sender_.chunk().size());
        break;
      case Outcome::kReading:
        return Step::wait(sender_.reading());
      case Outcome::kDone:
      case Outcome::kBlocked:
        return Step::done();
    }
  }
}

void Sendfile::end() noexcept {
  if (auto* socket = std::exchange(socket_, nullptr)) socket->release_writes();
  if (const auto protocol = std::exchange(protocol_, nullptr)) {
    protocol->restore(*transport_);
  }
}

Sendfile sendfile(Transport& transport, int file, std::int64_t offset,
                  std::optional<std::int64_t> count, bool fallback) {
  return Sendfile(transport.shared_from_this(), file, offset, count, fallback);
}

}  // namespace rondo
