// SPDX-License-Identifier: MIT
#include "net/stream_writer.h"

#include <cerrno>
#include <system_error>

#include "net/internal/stream_protocol.h"
#include "reactor/errors.h"

namespace rondo {

StreamWriter::Drain StreamWriter::write(std::string_view data) const {
  transport().write(data);
  return drain();
}

StreamWriter::Drain StreamWriter::writelines(
    std::span<const std::string_view> pieces) const {
  transport().writelines(pieces);
  return drain();
}

StreamWriter::Drain StreamWriter::drain() const {
  const std::shared_ptr<Transport>& upgraded = protocol_->upgraded();
  return Drain(upgraded != nullptr ? upgraded : transport_, protocol_);
}

Transport& StreamWriter::transport() const noexcept {
  if (protocol_->upgraded() != nullptr) return *protocol_->upgraded();
  return *transport_;
}

StreamWriter::StartTls StreamWriter::start_tls(TlsOptions options) const {
  return StartTls(*this, std::move(options));
}

Future<void> StreamWriter::wait_closed() const {
  return protocol_->wait_closed();
}

std::string to_string(const StreamWriter& writer) {
  return writer
             ? "<StreamWriter transport=" + to_string(writer.transport()) + ">"
             : "<StreamWriter>";
}

StreamWriter::Drain::~Drain() {
  if (waiter_) protocol_->remove_drainer(waiter_);
}

Step StreamWriter::Drain::step(Resumption& resumption) {
  resumption.check();
  if (waiter_) return Step::done();
  if (!begun_) {
    begun_ = true;
    if (const std::exception_ptr& error = protocol_->reader()->exception()) {
      std::rethrow_exception(error);
    }
    // "Wait for protocol.connection_lost() call": a loop that only writes
    // would never hear of it otherwise.
    if (transport_->is_closing()) return Step::yield();
  }
  if (protocol_->is_lost()) {
    throw std::system_error(ECONNRESET, std::generic_category(),
                            "Connection lost");
  }
  if (!protocol_->is_paused()) return Step::done();
  waiter_ = protocol_->add_drainer();
  return Step::wait(waiter_);
}

StreamWriter::StartTls::StartTls(StreamWriter writer, TlsOptions options)
    : writer_(std::move(writer)),
      options_(std::move(options)),
      drain_(writer_.drain()) {}

Step StreamWriter::StartTls::step(Resumption& resumption) {
  if (!upgrade_) {
    const Step drained = drain_.step(resumption);
    if (drained.kind() != Step::Kind::kDone) return drained;
    const std::string_view early = writer_.protocol_->reader()->data();
    if (!early.empty()) {
      throw RuntimeError("start_tls: " + std::to_string(early.size()) +
                         " bytes of plain text came before the handshake");
    }
    if (writer_.protocol_->reader()->has_eof()) {
      throw std::system_error(ECONNRESET, std::generic_category(),
                              "start_tls: the peer sends no more");
    }
    upgrade_.emplace(rondo::start_tls(writer_.transport().shared_from_this(),
                                      writer_.protocol_, options_));
  }
  const Step upgraded = upgrade_->step(resumption);
  if (upgraded.kind() == Step::Kind::kDone) {
    writer_.protocol_->set_upgraded(upgrade_->result());
  }
  return upgraded;
}

}  // namespace rondo
