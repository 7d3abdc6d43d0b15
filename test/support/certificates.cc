// SPDX-License-Identifier: MIT
#include "test/support/certificates.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <ctime>
#include <stdexcept>

namespace rondo::test {

namespace {

void check(bool succeeded, const char* what) {
  if (succeeded) return;
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  throw std::runtime_error(std::string("certificate: ") + what + ": " + text);
}

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const noexcept {
    kFree(object);
  }
};

template <class Write>
std::string pem(Write&& write) {
  const std::unique_ptr<BIO, Free<BIO_free>> out(BIO_new(BIO_s_mem()));
  check(write(out.get()) == 1, "PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

long next_serial() {
  static std::atomic<long> last{1000};
  return ++last;
}

/// As the only alternative name: the text form knows no NUL.
void add_raw_name(X509* certificate, const std::string& bytes) {
  const std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> names(
      GENERAL_NAMES_new());
  GENERAL_NAME* const name = GENERAL_NAME_new();
  ASN1_IA5STRING* const text = ASN1_IA5STRING_new();
  ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
  GENERAL_NAME_set0_value(name, GEN_DNS, text);
  check(sk_GENERAL_NAME_push(names.get(), name) != 0, "raw name");
  check(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0,
                          X509V3_ADD_DEFAULT) == 1,
        "raw name");
}

}  // namespace

class Identity::Parts {
 public:
  std::unique_ptr<X509, Free<X509_free>> certificate;
  std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>> key;
};

Identity::Identity() = default;
Identity::Identity(Identity&&) noexcept = default;
Identity& Identity::operator=(Identity&&) noexcept = default;
Identity::~Identity() = default;

Identity Identity::make(const CertificateWish& wish, const Parts* issuer) {
  Identity made;
  made.parts_ = std::make_unique<Parts>();
  Parts& parts = *made.parts_;
  parts.key.reset(wish.rsa_bits != 0 ? EVP_RSA_gen(wish.rsa_bits)
                                     : EVP_EC_gen("P-256"));
  check(parts.key != nullptr, "key");
  parts.certificate.reset(X509_new());
  X509* const x = parts.certificate.get();
  check(x != nullptr, "certificate");
  if (issuer == nullptr) issuer = &parts;
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), next_serial());
  X509_gmtime_adj(X509_getm_notBefore(x), wish.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(x), wish.valid_to);
  X509_set_pubkey(x, parts.key.get());
  X509_NAME* const name = X509_get_subject_name(x);
  check(X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_UTF8,
            reinterpret_cast<const unsigned char*>(wish.common_name.data()),
            static_cast<int>(wish.common_name.size()), -1, 0) == 1,
        "name");
  X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate.get()));

  const auto extend = [&](int nid, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer->certificate.get(), x, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    check(extension != nullptr, value.c_str());
    check(X509_add_ext(x, extension.get(), -1) == 1, "extension");
  };
  extend(NID_basic_constraints,
         wish.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (wish.is_authority) extend(NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(NID_subject_key_identifier, "hash");
  if (issuer != &parts) extend(NID_authority_key_identifier, "keyid");
  if (!wish.is_authority) extend(NID_key_usage, wish.key_usage);
  if (wish.raw_dns_name.empty()) {
    extend(NID_subject_alt_name, wish.subject_alt_names);
  } else {
    add_raw_name(x, wish.raw_dns_name);
  }
  extend(NID_ext_key_usage, wish.extended_key_usage);
  extend(NID_name_constraints, wish.name_constraints);
  check(X509_sign(x, issuer->key.get(),
                  EVP_get_digestbyname(wish.digest.c_str())) != 0,
        "signature");
  return made;
}

Identity Identity::self_signed(const CertificateWish& wish) {
  return make(wish, nullptr);
}

Identity Identity::issue(const CertificateWish& wish) const {
  return make(wish, parts_.get());
}

std::string Identity::revocation_list(const Identity* revoked) const {
  const std::unique_ptr<X509_CRL, Free<X509_CRL_free>> list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(),
                           X509_get_subject_name(parts_->certificate.get()));
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> now(
      ASN1_TIME_adj(nullptr, std::time(nullptr), 0, -60));
  const std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>> later(
      ASN1_TIME_adj(nullptr, std::time(nullptr), 1, 0));
  X509_CRL_set1_lastUpdate(list.get(), now.get());
  X509_CRL_set1_nextUpdate(list.get(), later.get());
  if (revoked != nullptr) {
    X509_REVOKED* const entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(
        entry, X509_get_serialNumber(revoked->parts_->certificate.get()));
    X509_REVOKED_set_revocationDate(entry, now.get());
    check(X509_CRL_add0_revoked(list.get(), entry) == 1, "revocation");
  }
  check(X509_CRL_sign(list.get(), parts_->key.get(), EVP_sha256()) != 0,
        "signature");
  return pem([&](BIO* out) { return PEM_write_bio_X509_CRL(out, list.get()); });
}

std::string Identity::certificate() const {
  return pem([&](BIO* out) {
    return PEM_write_bio_X509(out, parts_->certificate.get());
  });
}

std::string Identity::key() const {
  return pem([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, parts_->key.get(), nullptr, nullptr, 0,
                                    nullptr, nullptr);
  });
}

std::string Identity::key(const std::string& password) const {
  return pem([&](BIO* out) {
    return PEM_write_bio_PrivateKey(
        out, parts_->key.get(), EVP_aes_128_cbc(),
        reinterpret_cast<const unsigned char*>(password.data()),
        static_cast<int>(password.size()), nullptr, nullptr);
  });
}

TestCertificates::TestCertificates() {
  CertificateWish wish;
  wish.common_name = "rondo's test authority";
  wish.is_authority = true;
  authority = Identity::self_signed(wish);
  wish = CertificateWish();
  wish.common_name = "localhost";
  wish.subject_alt_names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  server = authority.issue(wish);
  wish = CertificateWish();
  wish.common_name = "a client";
  wish.extended_key_usage = "clientAuth";
  client = authority.issue(wish);
}

const TestCertificates& TestCertificates::get() {
  static const TestCertificates made;
  return made;
}

}  // namespace rondo::test
