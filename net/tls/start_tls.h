// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "futures/operation.h"
#include "net/tls/tls_options.h"
#include "net/transport.h"

namespace rondo {

namespace detail {
class TlsTransport;
}  // namespace detail

/// What start_tls() gives: an operation.
class [[nodiscard]] StartTls
    : public Operation<StartTls, std::shared_ptr<Transport>> {
 public:
  /// For start_tls().
  StartTls(std::shared_ptr<Transport> transport,
           std::shared_ptr<BaseProtocol> protocol, TlsOptions options);
  /// Before the first step only.
  StartTls(StartTls&&) noexcept;
  ~StartTls();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  std::shared_ptr<Transport> result();
  /// asyncio's name of it.
  static constexpr const char* kName = "loop.start_tls";

 private:
  std::shared_ptr<Transport> transport_;
  std::shared_ptr<BaseProtocol> protocol_;
  TlsOptions options_;
  std::shared_ptr<detail::TlsTransport> upgraded_;
  Future<void> made_;
};

/// Encrypts a connection that was plain so far; gives the transport that
/// `protocol` is to use from now on, in place of `transport`, when the
/// handshake is done. What was written before goes first, as it is.
/// connection_made() is not called again. The context says which side this is.
///
/// What the protocol has received and not looked at yet is plain text that
/// came before the handshake: anybody may have put it there. Throw it away, or
/// better, take it for an attack (CVE-2011-0411). StreamWriter::start_tls()
/// does.
///
/// Throws a TlsError, or what else the connection fails with; it is aborted
/// then, and so it is by a cancel. Throws RuntimeError if `transport` is
/// closing, std::invalid_argument for a client without a server_hostname()
/// whose context checks it.
///
/// Source: asyncio.loop.start_tls.
StartTls start_tls(std::shared_ptr<Transport> transport,
                   std::shared_ptr<BaseProtocol> protocol, TlsOptions options);

}  // namespace rondo
