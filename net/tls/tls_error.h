// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace rondo {

/// A connection whose encryption failed: in the handshake, by what the peer
/// sent, or because it ended without saying so. Also a certificate or a key
/// that cannot be used.
///
/// Source: ssl.SSLError.
class TlsError : public std::runtime_error {
 public:
  /// `reason` lives for ever.
  TlsError(const char* reason, const std::string& text)
      : std::runtime_error(text), reason_(reason) {}
  /// What went wrong, without names, in OpenSSL's words: "wrong version
  /// number", "unexpected eof while reading".
  const char* reason() const noexcept { return reason_; }

 private:
  const char* reason_;
};

/// The peer's certificate is not to be trusted, or is somebody else's.
///
/// Source: ssl.SSLCertVerificationError.
class CertificateError : public TlsError {
 public:
  /// `verify_message` lives for ever.
  CertificateError(long verify_code, const char* verify_message,
                   const std::string& text)
      : TlsError("certificate verify failed", text),
        verify_code_(verify_code),
        verify_message_(verify_message) {}
  /// X509_V_ERR_...: see X509_verify_cert_error_string(3).
  long verify_code() const noexcept { return verify_code_; }
  /// The same in words: "certificate has expired".
  const char* verify_message() const noexcept { return verify_message_; }

 private:
  long verify_code_;
  const char* verify_message_;
};

}  // namespace rondo
