// SPDX-License-Identifier: MIT
#include "net/tls/start_tls.h"

#include <stdexcept>
#include <utility>

#include "net/internal/tls_transport.h"
#include "reactor/errors.h"

namespace rondo {

StartTls::StartTls(std::shared_ptr<Transport> transport,
                   std::shared_ptr<BaseProtocol> protocol, TlsOptions options)
    : transport_(std::move(transport)),
      protocol_(std::move(protocol)),
      options_(std::move(options)) {
  if (transport_ == nullptr || !options_) {
    throw std::invalid_argument(transport_ == nullptr
                                    ? "start_tls: no transport"
                                    : "start_tls: no context");
  }
}

StartTls::StartTls(StartTls&&) noexcept = default;

StartTls::~StartTls() {
  if (upgraded_ != nullptr) upgraded_->abort();
}

Step StartTls::step(Resumption& resumption) {
  resumption.check();
  if (made_) {
    made_.result();
    return Step::done();
  }
  if (transport_->is_closing()) {
    throw RuntimeError("start_tls: " + to_string(*transport_) + " is closing");
  }
  EventLoop& loop = resumption.loop();
  made_ = Future<void>(loop);
  upgraded_ = detail::TlsTransport::create(loop, std::move(protocol_), options_,
                                           std::string(), made_, true);
  upgraded_->upgrade(transport_);
  return Step::wait(made_);
}

std::shared_ptr<Transport> StartTls::result() {
  return std::exchange(upgraded_, nullptr);
}

StartTls start_tls(std::shared_ptr<Transport> transport,
                   std::shared_ptr<BaseProtocol> protocol, TlsOptions options) {
  return StartTls(std::move(transport), std::move(protocol),
                  std::move(options));
}

}  // namespace rondo
