// SPDX-License-Identifier: MIT
#include "net/stream_writer.h"

#include <cerrno>
#include <system_error>

#include "net/internal/stream_protocol.h"
#include "reactor/errors.h"

namespace rondo {

using detail::StreamProtocol;

StreamWriter::StreamWriter(std::shared_ptr<StreamProtocol> protocol) noexcept
    : protocol_(std::move(protocol)) {}

StreamProtocol& StreamWriter::protocol() const noexcept {
  return protocol_.get<StreamProtocol>();
}

StreamWriter::Drain StreamWriter::write(std::string_view data) const {
  transport().write(data);
  return drain();
}

StreamWriter::Drain StreamWriter::writelines(
    std::span<const std::string_view> pieces) const {
  transport().writelines(pieces);
  return drain();
}

StreamWriter::Drain StreamWriter::drain() const { return Drain(protocol_); }

Transport& StreamWriter::transport() const noexcept {
  return *protocol().transport();
}

StreamWriter::StartTls StreamWriter::start_tls(TlsOptions options) const {
  return StartTls(*this, std::move(options));
}

Future<void> StreamWriter::wait_closed() const {
  return protocol().wait_closed();
}

std::string to_string(const StreamWriter& writer) {
  return writer
             ? "<StreamWriter transport=" + to_string(writer.transport()) + ">"
             : "<StreamWriter>";
}

StreamWriter::Drain::~Drain() {
  if (protocol_ && wait_ != 0) protocol().remove_drainer(wait_);
}

StreamProtocol& StreamWriter::Drain::protocol() const noexcept {
  return protocol_.get<StreamProtocol>();
}

Step StreamWriter::Drain::step(Resumption& resumption) {
  resumption.check();
  if (wait_ != 0) return Step::done();
  StreamProtocol& protocol = this->protocol();
  if (!begun_) {
    begun_ = true;
    if (const std::exception_ptr& error = protocol.exception()) {
      std::rethrow_exception(error);
    }
    // "Wait for protocol.connection_lost() call": a loop that only writes
    // would never hear of it otherwise.
    if (protocol.transport()->is_closing()) return Step::yield();
  }
  if (protocol.is_lost()) {
    throw std::system_error(ECONNRESET, std::generic_category(),
                            "Connection lost");
  }
  if (!protocol.is_paused()) return Step::done();
  const auto [wait, future] = protocol.add_drainer();
  wait_ = wait;
  return Step::wait(future);
}

StreamWriter::StartTls::StartTls(StreamWriter writer, TlsOptions options)
    : writer_(std::move(writer)),
      options_(std::move(options)),
      drain_(writer_.drain()) {}

Step StreamWriter::StartTls::step(Resumption& resumption) {
  if (!upgrade_) {
    const Step drained = drain_.step(resumption);
    if (drained.kind() != Step::Kind::kDone) return drained;
    const std::string_view early = writer_.protocol().data();
    if (!early.empty()) {
      throw RuntimeError("start_tls: " + std::to_string(early.size()) +
                         " bytes of plain text came before the handshake");
    }
    if (writer_.protocol().has_eof()) {
      throw std::system_error(ECONNRESET, std::generic_category(),
                              "start_tls: the peer sends no more");
    }
    upgrade_.emplace(rondo::start_tls(writer_.transport().shared_from_this(),
                                      writer_.protocol().shared(), options_));
  }
  const Step upgraded = upgrade_->step(resumption);
  if (upgraded.kind() == Step::Kind::kDone) {
    writer_.protocol().set_transport(upgrade_->result());
  }
  return upgraded;
}

}  // namespace rondo
