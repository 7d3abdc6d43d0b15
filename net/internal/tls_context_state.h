// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/tls/tls_context.h"
#include "net/tls/tls_error.h"

namespace rondo::detail {

/// Frees with one of OpenSSL's functions.
template <auto kFree>
struct OpenSslFree {
  template <class T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};

/// What the copies of a TlsContext share.
class TlsContextState {
 public:
  explicit TlsContextState(bool is_server);

  std::unique_ptr<SSL_CTX, OpenSslFree<SSL_CTX_free>> context;
  const bool is_server;
  bool check_hostname;
  bool ignore_unexpected_eof = false;
  std::string alpn_protocols;  // each behind its length
  std::function<TlsContext(std::string_view)> server_name_callback;
};

/// Throws std::invalid_argument in the name of `operation` if `context` is for
/// the other side. None is for both.
void check_side(const TlsContext& context, bool is_server,
                const char* operation);

/// The error that OpenSSL has queued last on this thread, as an exception that
/// says `operation`; the queue is empty then. For one that has queued none,
/// "unknown error".
TlsError take_tls_error(const std::string& operation);

}  // namespace rondo::detail
