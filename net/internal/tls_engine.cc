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
  BIO_clear_retry_flags(bio);
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
  if (session) set_session(*session.state());
}

TlsEngine::~TlsEngine() = default;

/// What the server's certificate has to be for, and what it is asked for.
void TlsEngine::set_server_hostname(std::string name) {
  const bool checks = context_->check_hostname &&
                      SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE;
  if (name.empty()) {
    if (!checks) return;
    throw std::invalid_argument(
        "TLS: no server_hostname, which the context wants to check");
  }
  if (name.find('\0') != std::string::npos || name.front() == '.') {
    throw std::invalid_argument("TLS: server_hostname '" + name +
                                "' is not a host's name");
  }
  // Neither a zone (fe80::1%eth0) nor the root's dot is in a certificate.
  if (name.find(':') != std::string::npos)
    name = name.substr(0, name.find('%'));
  if (name.back() == '.') name.pop_back();
  server_hostname_ = name;
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl_.get());
  using IpAddress =
      std::unique_ptr<ASN1_OCTET_STRING, OpenSslFree<ASN1_OCTET_STRING_free>>;
  const IpAddress address(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  bool done = true;
  if (checks) {
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

/// With a session goes what was verified when it was made: by other rules, or
/// for another name, that says nothing.
void TlsEngine::set_session(const TlsSessionState& session) {
  if (session.context != context_) {
    throw std::invalid_argument("TLS: the session is of another context");
  }
  if (session.server_hostname != server_hostname_) {
    throw std::invalid_argument("TLS: the session is of '" +
                                session.server_hostname + "', not of '" +
                                server_hostname_ + "'");
  }
  if (SSL_set_session(ssl_.get(), session.session.get()) != 1) {
    throw take_tls_error("TLS: session");
  }
}

/// Before OpenSSL looks for a session or a version, so that both are those of
/// the context that is chosen here.
int TlsEngine::on_client_hello(SSL* ssl, int* alert, void* /*argument*/) {
  auto& engine = *static_cast<TlsEngine*>(SSL_get_app_data(ssl));
  try {
    engine.choose_context();
    return SSL_CLIENT_HELLO_SUCCESS;
  } catch (...) {
    engine.thrown_ = std::current_exception();
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
  }
}

namespace {

/// The host's name in a ClientHello; empty if there is none. What is malformed
/// OpenSSL refuses afterwards.
std::string name_asked_for(SSL* ssl) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) !=
      1) {
    return {};
  }
  // RFC 6066: the list's size (2), the kind of name (1), its size (2), the name
  constexpr std::size_t kHead = 5;
  if (size <= kHead || data[2] != TLSEXT_NAMETYPE_host_name) return {};
  const std::size_t name_size =
      static_cast<std::size_t>(data[3]) << 8 | data[4];
  if (name_size > size - kHead) return {};
  std::string name(reinterpret_cast<const char*>(data + kHead), name_size);
  if (name.find('\0') != std::string::npos) return {};
  return name;
}

}  // namespace

void TlsEngine::choose_context() {
  // A second ClientHello belongs to the same handshake.
  if (std::exchange(has_chosen_context_, true)) return;
  server_name_ = name_asked_for(ssl_.get());
  if (!context_->server_name_callback) return;
  const std::shared_ptr<TlsContextState> keep = context_;
  const TlsContext other = keep->server_name_callback(server_name_);
  if (!other) return;
  check_side(other, true, "server_name_callback");
  SSL_CTX* const chosen = other.state()->context.get();
  if (SSL_set_SSL_CTX(ssl_.get(), chosen) == nullptr) {
    throw take_tls_error("server_name_callback");
  }
  context_ = other.state();
  // OpenSSL takes over the certificate only.
  SSL_set_verify(ssl_.get(), SSL_CTX_get_verify_mode(chosen), nullptr);
  SSL_set_min_proto_version(ssl_.get(), SSL_CTX_get_min_proto_version(chosen));
  SSL_set_max_proto_version(ssl_.get(), SSL_CTX_get_max_proto_version(chosen));
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
    std::string().swap(kept_);  // (to assign would keep the memory)
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

TlsEngine::Outcome TlsEngine::write(std::string_view data) {
  ERR_clear_error();
  std::size_t size = 0;
  // The output takes everything, so this is all or nothing.
  return outcome_of(SSL_write_ex(ssl_.get(), data.data(), data.size(), &size),
                    "TLS write");
}

TlsEngine::Outcome TlsEngine::shut_down() {
  if (SSL_in_init(ssl_.get()) == 1) return Outcome::kWantsInput;
  ERR_clear_error();
  // Zero: the peer has not said so yet.
  if (SSL_shutdown(ssl_.get()) < 0 &&
      SSL_get_error(ssl_.get(), -1) == SSL_ERROR_SSL) {
    fail("TLS shutdown");
  }
  return Outcome::kDone;
}

TlsEngine::Outcome TlsEngine::outcome_of(int answer, const char* operation) {
  if (answer == 1) [[likely]]
    return Outcome::kDone;
  if (thrown_ != nullptr) fail(operation);
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

}  // namespace

/// A copy: what becomes of this connection is nothing to the next one.
TlsSession TlsEngine::session() const {
  const SSL_SESSION* const session = SSL_get0_session(ssl_.get());
  if (session == nullptr || SSL_SESSION_is_resumable(session) != 1) return {};
  auto copy = std::make_shared<TlsSessionState>();
  copy->session.reset(SSL_SESSION_dup(session));
  if (copy->session == nullptr) throw std::bad_alloc();
  copy->context = context_;
  copy->server_hostname = server_hostname_;
  return TlsSession(std::move(copy));
}

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
  if (is_server()) {
    info.server_name = server_name_;
  } else if (const char* name =
                 SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    info.server_name = name;
  }
  info.peer_certificate = shown_by(ssl);
  if (!is_server()) info.session = session();
  info.session_reused = SSL_session_reused(ssl) == 1;
  ERR_clear_error();
  return info;
}

}  // namespace rondo::detail
