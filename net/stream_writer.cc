// SPDX-License-Identifier: MIT
#include "net/stream_writer.h"

#include <cerrno>
#include <system_error>

#include "net/internal/stream_protocol.h"

namespace rondo {

StreamWriter::Drain StreamWriter::write(std::string_view data) const {
  transport_->write(data);
  return drain();
}

StreamWriter::Drain StreamWriter::writelines(
    std::span<const std::string_view> pieces) const {
  transport_->writelines(pieces);
  return drain();
}

StreamWriter::Drain StreamWriter::drain() const {
  return Drain(transport_, protocol_);
}

Future<void> StreamWriter::wait_closed() const {
  return protocol_->wait_closed();
}

std::string to_string(const StreamWriter& writer) {
  return writer
             ? "<StreamWriter transport=" + to_string(*writer.transport_) + ">"
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

}  // namespace rondo
