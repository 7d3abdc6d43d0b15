// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/tls/tls_options.h"

namespace rondo {

class Transport;

/// What a peer has shown.
class PeerCertificate {
 public:
  /// None.
  PeerCertificate() = default;
  /// Whom it is for (RFC 2253): "CN=localhost". Empty if there is none.
  std::string subject;
  /// Who says so.
  std::string issuer;
  /// The names and addresses it is for: "DNS:localhost",
  /// "IP Address:127.0.0.1".
  std::vector<std::string> subject_alt_names;
  /// SHA-256 of the whole, in hexadecimal digits.
  std::string fingerprint;
  /// The whole, in DER.
  std::string der;
};

/// What is known of a connection that is encrypted, as it is now.
class TlsInfo {
 public:
  /// Nothing.
  TlsInfo() = default;
  /// "TLSv1.3".
  std::string version;
  /// "TLS_AES_256_GCM_SHA384".
  std::string cipher;
  /// What was agreed upon (RFC 7301): "h2"; empty if nothing was.
  std::string selected_alpn_protocol;
  /// The name that the client has asked for; empty if it has not.
  std::string server_name;
  /// What the peer has shown.
  PeerCertificate peer_certificate;
  /// For a client's next connection to the same server. Null for as long as
  /// the server has not given one; with TLS 1.3 it does so after the
  /// handshake.
  TlsSession session;
  /// Whether this connection goes on with an earlier session.
  bool session_reused = false;
};

/// Looks at `transport`. Throws std::invalid_argument if it is not encrypted.
TlsInfo tls_info(const Transport& transport);

}  // namespace rondo
