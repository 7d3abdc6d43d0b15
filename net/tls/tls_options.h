// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/tls/tls_context.h"
#include "reactor/clock.h"

namespace rondo {

namespace detail {
class TlsSessionState;
}  // namespace detail

/// What a client keeps of one connection to make the next one to the same
/// server sooner. A handle; see TlsInfo::session().
class TlsSession {
 public:
  /// Means none.
  TlsSession() noexcept = default;
  /// Whether it means a session.
  explicit operator bool() const noexcept { return state_ != nullptr; }

  /// For the library.
  explicit TlsSession(std::shared_ptr<detail::TlsSessionState> state) noexcept
      : state_(std::move(state)) {}
  /// For the library.
  const std::shared_ptr<detail::TlsSessionState>& state() const noexcept {
    return state_;
  }

 private:
  std::shared_ptr<detail::TlsSessionState> state_;
};

/// How to encrypt a connection. A TlsContext alone will do:
///
///     ConnectOptions().tls(TlsContext::client())
///     ServerOptions().tls(TlsOptions(context).handshake_timeout(5))
class TlsOptions {
 public:
  /// Not at all.
  TlsOptions() = default;
  /// With `context`.
  TlsOptions(TlsContext context) noexcept  // NOLINT: a context alone will do
      : context_(std::move(context)) {}

  /// For clients: the name or the address that the server's certificate has to
  /// be for. The host connected to unless set. A dot at its end does not count,
  /// nor does the zone of an IPv6 address.
  TlsOptions& server_hostname(std::string name) {
    server_hostname_ = std::move(name);
    return *this;
  }
  /// A handshake that takes longer ends the connection with ECONNABORTED. 60 s
  /// unless set.
  TlsOptions& handshake_timeout(Delay timeout) noexcept {
    handshake_timeout_ = timeout.value();
    return *this;
  }
  /// How long close() waits for the peer to take what was written, and to say
  /// that it ends, too; what it takes begins that time anew. Then the
  /// connection is aborted with a TimeoutError. 30 s unless set. A peer that
  /// has taken all, and of which more than a megabyte comes instead of its end
  /// (or was on its way already), is cut sooner, with a TlsError.
  TlsOptions& shutdown_timeout(Delay timeout) noexcept {
    shutdown_timeout_ = timeout.value();
    return *this;
  }
  /// For clients: goes on with a session of an earlier connection, if the
  /// server will. Of the same context and server_hostname(): what was verified
  /// is not verified again. Another one makes the connection fail with
  /// std::invalid_argument.
  TlsOptions& session(TlsSession session) noexcept {
    session_ = std::move(session);
    return *this;
  }

  /// See TlsOptions(TlsContext).
  const TlsContext& context() const noexcept { return context_; }
  /// See server_hostname(std::string).
  const std::optional<std::string>& server_hostname() const noexcept {
    return server_hostname_;
  }
  /// See handshake_timeout(Delay).
  Duration handshake_timeout() const noexcept { return handshake_timeout_; }
  /// See shutdown_timeout(Delay).
  Duration shutdown_timeout() const noexcept { return shutdown_timeout_; }
  /// See session(TlsSession).
  const TlsSession& session() const noexcept { return session_; }
  /// Whether to encrypt at all.
  explicit operator bool() const noexcept { return bool(context_); }

 private:
  TlsContext context_;
  std::optional<std::string> server_hostname_;
  Duration handshake_timeout_ = std::chrono::seconds(60);
  Duration shutdown_timeout_ = std::chrono::seconds(30);
  TlsSession session_;
};

}  // namespace rondo
