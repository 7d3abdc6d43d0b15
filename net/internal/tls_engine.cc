// SPDX-License-Identifier: MIT
#include "net/internal/tls_engine.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "net/address.h"

// OpenSSL knows neither sockets nor us: it reads and writes through a BIO, of
// which the functions are here. None of them may throw into C; what they would
// have thrown is kept in thrown_.

namespace rondo::detail {

// -- below OpenSSL -----------------------------------------------------------

BIO_METHOD* TlsEngine::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "rondo");
    if (m == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(m, on_bio_read);
    BIO_meth_set_write(m, on_bio_write);
    BIO_meth_set_ctrl(m, on_bio_control);
    return m;
  }();
  return made;
}

int TlsEngine::on_bio_read(BIO* bio, char* to, int size) {
  auto& engine = *static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t n =
      std::min(engine.input_.size(), static_cast<std::size_t>(size));
  if (n == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(to, engine.input_.data(), n);
  engine.input_.remove_prefix(n);
  return static_cast<int>(n);
}

int TlsEngine::on_bio_write(BIO* bio, const char* data, int size) {
  auto& engine = *static_cast<TlsEngine*>(BIO_get_data(bio));
  try {
    engine.output_.append(data, static_cast<std::size_t>(size));
    return size;
  } catch (...) {
    engine.thrown_ = std::current_exception();
    return -1;
  }
}

long TlsEngine::on_bio_control(BIO* /*bio*/, int command, long /*number*/,
                               void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// -- making one --------------------------------------------------------------

TlsEngine::TlsEngine(std::shared_ptr<TlsContextState> context,
                     const std::string& server_hostname,
                     const TlsSession& session)
    : context_(std::move(context)) {
  ERR_clear_error();
  ssl_.reset(SSL_new(context_->context.get()));
  if (ssl_ == nullptr) throw take_tls_error("TLS");
  BIO* const bio = BIO_new(method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  if (context_->is_server) {
    SSL_set_accept_state(ssl_.get());
    return;
  }
  SSL_set_connect_state(ssl_.get());
  set_server_hostname(server_hostname);
  if (session) SSL_set_session(ssl_.get(), session.state()->session.get());
}

TlsEngine::~TlsEngine() = default;

/// What the server's certificate has to be for, and what it is asked for.
void TlsEngine::set_server_hostname(const std::string& name) {
  if (name.empty()) {
    if (!context_->check_hostname) return;
    throw std::invalid_argument(
        "TLS: no server_hostname, which the context wants to check");
  }
  if (name.find('\0') != std::string::npos || name.front() == '.') {
    throw std::invalid_argument("TLS: server_hostname '" + name +
                                "' is not a host's name");
  }
  server_hostname_ = name;
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl_.get());
  using IpAddress =
      std::unique_ptr<ASN1_OCTET_STRING, OpenSslFree<ASN1_OCTET_STRING_free>>;
  const IpAddress address(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  bool done = true;
  if (context_->check_hostname) {
    done = address != nullptr
               ? X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1
               : SSL_set1_host(ssl_.get(), name.c_str()) == 1;
  }
  // An address is no name to ask for (RFC 6066, section 3).
  if (done && address == nullptr) {
    done = SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1;
  }
  if (!done) throw take_tls_error("TLS: server_hostname '" + name + "'");
}

int TlsEngine::on_server_name(SSL* ssl, int* /*alert*/, void* /*argument*/) {
  auto& engine = *static_cast<TlsEngine*>(SSL_get_app_data(ssl));
  try {
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const TlsContext other = engine.context_->server_name_callback(
        name == nullptr ? std::string_view() : std::string_view(name));
    if (!other) return SSL_TLSEXT_ERR_OK;
    if (SSL_set_SSL_CTX(ssl, other.state()->context.get()) == nullptr) {
      throw take_tls_error("server_name_callback");
    }
    engine.context_ = other.state();
    return SSL_TLSEXT_ERR_OK;
  } catch (...) {
    engine.thrown_ = std::current_exception();
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
}

// -- input -------------------------------------------------------------------

void TlsEngine::feed(std::string_view input) {
  if (input_.empty()) {
    kept_.clear();
    input_ = input;
    return;
  }
  kept_.erase(0, kept_.size() - input_.size());
  input_ = kept_;
  kept_.append(input);
  input_ = kept_;
}

bool TlsEngine::keep_rest() noexcept {
  if (input_.empty()) {
    kept_ = std::string();
    return true;
  }
  if (!kept_.empty()) return true;  // what is left is a part of it
  try {
    kept_ = input_;
  } catch (...) {
    input_ = {};
    return false;
  }
  input_ = kept_;
  return true;
}

// -- the protocol ------------------------------------------------------------

TlsEngine::Outcome TlsEngine::handshake() {
  ERR_clear_error();
  return outcome_of(SSL_do_handshake(ssl_.get()), "TLS handshake");
}

TlsEngine::Outcome TlsEngine::read(std::span<char> to, std::size_t& size) {
  ERR_clear_error();
  return outcome_of(SSL_read_ex(ssl_.get(), to.data(), to.size(), &size),
                    "TLS read");
}

void TlsEngine::write(std::string_view data) {
  ERR_clear_error();
  std::size_t size = 0;
  // The output takes everything, so this is all or nothing.
  if (SSL_write_ex(ssl_.get(), data.data(), data.size(), &size) != 1) {
    fail("TLS write");
  }
}

void TlsEngine::shut_down() {
  ERR_clear_error();
  // Zero: the peer has not said so yet.
  if (SSL_shutdown(ssl_.get()) < 0 &&
      SSL_get_error(ssl_.get(), -1) == SSL_ERROR_SSL) {
    fail("TLS shutdown");
  }
}

TlsEngine::Outcome TlsEngine::outcome_of(int answer, const char* operation) {
  if (answer == 1) [[likely]]
    return Outcome::kDone;
  switch (SSL_get_error(ssl_.get(), answer)) {
    case SSL_ERROR_WANT_READ:
      return Outcome::kWantsInput;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::kEnd;
    default:
      fail(operation);
  }
}

void TlsEngine::fail(const char* operation) {
  if (thrown_ != nullptr) {
    ERR_clear_error();
    std::rethrow_exception(std::exchange(thrown_, nullptr));
  }
  std::string text = operation;
  if (!server_hostname_.empty()) text += " with '" + server_hostname_ + "'";
  const long verified = SSL_get_verify_result(ssl_.get());
  const unsigned long error = ERR_peek_last_error();
  const bool is_of_certificate =
      ERR_GET_LIB(error) == ERR_LIB_SSL &&
      ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (!is_of_certificate || verified == X509_V_OK) throw take_tls_error(text);
  ERR_clear_error();
  const char* const why = X509_verify_cert_error_string(verified);
  text += ": certificate verify failed: ";
  throw CertificateError(verified, why, text + why);
}

// -- what is known -----------------------------------------------------------

namespace {

std::string text_of(const X509_NAME* name) {
  const std::unique_ptr<BIO, OpenSslFree<BIO_free>> out(BIO_new(BIO_s_mem()));
  if (out == nullptr) throw std::bad_alloc();
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

void free_names(GENERAL_NAMES* names) {
  sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> texts;
  const std::unique_ptr<GENERAL_NAMES, OpenSslFree<free_names>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(
          certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int n = 0; n < sk_GENERAL_NAME_num(names.get()); ++n) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), n);
    const std::unique_ptr<BIO, OpenSslFree<BIO_free>> out(BIO_new(BIO_s_mem()));
    if (out == nullptr) throw std::bad_alloc();
    GENERAL_NAME_print(out.get(), const_cast<GENERAL_NAME*>(name));
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    texts.emplace_back(text, static_cast<std::size_t>(size));
  }
  return texts;
}

PeerCertificate shown_by(const SSL* ssl) {
  PeerCertificate shown;
  const X509* const certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return shown;
  shown.subject = text_of(X509_get_subject_name(certificate));
  shown.issuer = text_of(X509_get_issuer_name(certificate));
  shown.subject_alt_names = names_of(certificate);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1) {
    for (const unsigned char byte : std::span(digest, size)) {
      constexpr const char* kDigits = "0123456789abcdef";
      shown.fingerprint += kDigits[byte >> 4];
      shown.fingerprint += kDigits[byte & 15];
    }
  }
  const int der_size = i2d_X509(certificate, nullptr);
  if (der_size > 0) {
    shown.der.resize(static_cast<std::size_t>(der_size));
    auto* to = reinterpret_cast<unsigned char*>(shown.der.data());
    i2d_X509(certificate, &to);
  }
  return shown;
}

/// A copy: what becomes of this connection is nothing to the next one.
TlsSession session_of(const SSL* ssl) {
  const SSL_SESSION* const session = SSL_get0_session(ssl);
  if (session == nullptr || SSL_SESSION_is_resumable(session) != 1) return {};
  auto copy = std::make_shared<TlsSessionState>(nullptr);
  copy->session.reset(SSL_SESSION_dup(session));
  if (copy->session == nullptr) throw std::bad_alloc();
  return TlsSession(std::move(copy));
}

}  // namespace

TlsInfo TlsEngine::info() const {
  const SSL* const ssl = ssl_.get();
  TlsInfo info;
  info.version = SSL_get_version(ssl);
  if (const char* cipher = SSL_get_cipher_name(ssl)) info.cipher = cipher;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  info.selected_alpn_protocol.assign(reinterpret_cast<const char*>(protocol),
                                     size);
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    info.server_name = name;
  }
  info.peer_certificate = shown_by(ssl);
  if (!is_server()) info.session = session_of(ssl);
  info.session_reused = SSL_session_reused(ssl) == 1;
  ERR_clear_error();
  return info;
}

}  // namespace rondo::detail
