// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

// Certificates made on the spot, so that nothing in the repository expires.

namespace rondo::test {

/// What a certificate is to say.
class CertificateWish {
 public:
  std::string common_name;
  /// As in OpenSSL's configuration: "DNS:localhost,IP:127.0.0.1"; none if
  /// empty. The same for the others.
  std::string subject_alt_names;
  std::string extended_key_usage;
  std::string name_constraints;
  std::string key_usage;
  /// A DNS name with any bytes in it, in place of those.
  std::string raw_dns_name;
  bool is_authority = false;
  /// Seconds from now.
  long valid_from = -3600;
  long valid_to = 24L * 3600;
  /// An RSA key of so many bits; P-256 if zero.
  unsigned rsa_bits = 0;
  std::string digest = "SHA256";
};

/// A certificate and its key.
class Identity {
 public:
  Identity();
  Identity(Identity&&) noexcept;
  Identity& operator=(Identity&&) noexcept;
  ~Identity();

  /// Signed by itself.
  static Identity self_signed(const CertificateWish& wish);
  /// One that this one signs.
  Identity issue(const CertificateWish& wish) const;
  /// A list of what this one has revoked: `revoked`, or nothing if null.
  std::string revocation_list(const Identity* revoked) const;

  /// In PEM.
  std::string certificate() const;
  std::string key() const;
  /// The same, encrypted.
  std::string key(const std::string& password) const;

 private:
  class Parts;
  static Identity make(const CertificateWish& wish, const Parts* issuer);
  std::unique_ptr<Parts> parts_;
};

/// An authority, and what most tests need of it. Made once.
class TestCertificates {
 public:
  static const TestCertificates& get();

  Identity authority;
  /// For localhost, 127.0.0.1 and ::1.
  Identity server;
  Identity client;

 private:
  TestCertificates();
};

}  // namespace rondo::test
