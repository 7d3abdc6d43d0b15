// SPDX-License-Identifier: MIT
#include "net/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>

#include "net/internal/tls_context_state.h"
#include "net/internal/tls_engine.h"

namespace rondo {

using detail::OpenSslFree;
using detail::take_tls_error;
using detail::TlsContextState;

namespace {

using Bio = std::unique_ptr<BIO, OpenSslFree<BIO_free>>;
using Certificate = std::unique_ptr<X509, OpenSslFree<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, OpenSslFree<EVP_PKEY_free>>;

void check(bool succeeded, const std::string& operation) {
  if (!succeeded) throw take_tls_error(operation);
}

std::string read_file(const std::string& operation, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rbe"), std::fclose);
  std::string text;
  char piece[4096];
  std::size_t size = 0;
  while (file != nullptr &&
         (size = std::fread(piece, 1, sizeof piece, file.get())) > 0) {
    text.append(piece, size);
  }
  if (file == nullptr || std::ferror(file.get()) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            operation + " '" + path + "'");
  }
  return text;
}

Bio memory(std::string_view text) {
  if (text.size() > INT_MAX) throw std::length_error("TlsContext: PEM");
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (bio == nullptr) throw std::bad_alloc();
  return bio;
}

/// Gives the password, if there is one. Without this OpenSSL would ask at the
/// terminal.
int give_password(char* to, int size, int /*encrypts*/, void* context) {
  const auto& password = *static_cast<const std::string*>(context);
  if (password.empty() || password.size() > static_cast<std::size_t>(size)) {
    return -1;
  }
  return static_cast<int>(password.copy(to, password.size()));
}

/// Whether reading stopped because there was nothing more.
bool is_end_of_pem() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM &&
         ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

void load_certificates(SSL_CTX* context, const std::string& operation,
                       std::string_view certificates, std::string_view key,
                       const std::string& password) {
  const Bio in = memory(certificates);
  void* const secret = const_cast<std::string*>(&password);
  const Certificate first(
      PEM_read_bio_X509_AUX(in.get(), nullptr, give_password, secret));
  check(first != nullptr, operation);
  std::vector<Certificate> chain;
  for (;;) {
    Certificate next(
        PEM_read_bio_X509(in.get(), nullptr, give_password, secret));
    if (next == nullptr) break;
    chain.push_back(std::move(next));
  }
  check(is_end_of_pem(), operation);
  const Bio key_in = memory(key);
  const Key private_key(
      PEM_read_bio_PrivateKey(key_in.get(), nullptr, give_password, secret));
  check(private_key != nullptr, operation + ", key");
  check(X509_check_private_key(first.get(), private_key.get()) == 1,
        operation + ", key");
  // From here on nothing fails but for want of memory, or a key too weak.
  check(SSL_CTX_use_certificate(context, first.get()) == 1, operation);
  check(SSL_CTX_use_PrivateKey(context, private_key.get()) == 1, operation);
  SSL_CTX_clear_chain_certs(context);
  for (const Certificate& each : chain) {
    check(SSL_CTX_add1_chain_cert(context, each.get()) == 1, operation);
  }
}

void trust(TlsContextState& state, const std::string& operation,
           std::string_view certificates) {
  const Bio in = memory(certificates);
  std::vector<Certificate> all;
  for (;;) {
    Certificate next(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    all.push_back(std::move(next));
  }
  check(!all.empty() && is_end_of_pem(), operation);
  ERR_clear_error();
  X509_STORE* const store = SSL_CTX_get_cert_store(state.context.get());
  for (const Certificate& each : all) {
    check(X509_STORE_add_cert(store, each.get()) == 1, operation);
    if (state.is_server) {  // clients are told whose certificates will do
      check(SSL_CTX_add_client_CA(state.context.get(), each.get()) == 1,
            operation);
    }
  }
}

int native(TlsVersion version) {
  return version == TlsVersion::kTls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

/// See SSL_CTX_set_alpn_select_cb(3). The server's order counts.
int select_alpn(SSL* /*ssl*/, const unsigned char** selected,
                unsigned char* size, const unsigned char* offered,
                unsigned offered_size, void* argument) {
  const auto& ours = static_cast<TlsContextState*>(argument)->alpn_protocols;
  unsigned char* found = nullptr;
  const int answer = SSL_select_next_proto(
      &found, size, reinterpret_cast<const unsigned char*>(ours.data()),
      static_cast<unsigned>(ours.size()), offered, offered_size);
  *selected = found;
  return answer == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
                                          : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

// -- making one --------------------------------------------------------------

detail::TlsContextState::TlsContextState(bool server)
    : context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())),
      is_server(server),
      check_hostname(!server) {
  if (context == nullptr) throw take_tls_error("TlsContext");
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_security_level(c, 2);  // keys of 112 bits; no SHA-1
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                             SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Buffers of 17 KiB each way only while there is something in them.
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  // A server keeps nothing: what it would keep, its tickets hold.
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  // What one context has found good another may not.
  static std::atomic<std::uint64_t> last_id{0};
  const std::uint64_t id = ++last_id;
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>(&id),
                                 sizeof id);
  if (server) {
    SSL_CTX_set_client_hello_cb(c, detail::TlsEngine::on_client_hello, nullptr);
  }
  SSL_CTX_set_verify(c, server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  // Names are those that the certificate says are names (RFC 6125).
  X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(c),
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

TlsContext TlsContext::client() {
  TlsContext made(std::make_shared<TlsContextState>(false));
  check(SSL_CTX_set_default_verify_paths(made.state_->context.get()) == 1,
        "the system's certificates");
  return made;
}

TlsContext TlsContext::server(const std::string& certificate_file,
                              const std::string& key_file) {
  TlsContext made = server();
  made.load_cert_chain(certificate_file, key_file);
  return made;
}

TlsContext TlsContext::server() {
  return TlsContext(std::make_shared<TlsContextState>(true));
}

// -- setting it up -----------------------------------------------------------

TlsContext& TlsContext::load_cert_chain(const std::string& certificate_file,
                                        const std::string& key_file,
                                        const std::string& password) {
  const std::string certificates =
      read_file("load_cert_chain", certificate_file);
  const std::string key = read_file("load_cert_chain", key_file);
  load_certificates(state_->context.get(),
                    "load_cert_chain '" + certificate_file + "'", certificates,
                    key, password);
  return *this;
}

TlsContext& TlsContext::load_cert_chain_pem(std::string_view certificates,
                                            std::string_view key,
                                            const std::string& password) {
  load_certificates(state_->context.get(), "load_cert_chain_pem", certificates,
                    key, password);
  return *this;
}

TlsContext& TlsContext::load_verify_locations(const std::string& file) {
  trust(*state_, "load_verify_locations '" + file + "'",
        read_file("load_verify_locations", file));
  return *this;
}

TlsContext& TlsContext::load_verify_pem(std::string_view certificates) {
  trust(*state_, "load_verify_pem", certificates);
  return *this;
}

TlsContext& TlsContext::load_revocation_lists(const std::string& file) {
  using List = std::unique_ptr<X509_CRL, OpenSslFree<X509_CRL_free>>;
  const std::string operation = "load_revocation_lists '" + file + "'";
  const std::string text = read_file("load_revocation_lists", file);
  const Bio in = memory(text);
  std::vector<List> lists;
  for (;;) {
    List next(PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    lists.push_back(std::move(next));
  }
  check(!lists.empty() && is_end_of_pem(), operation);
  ERR_clear_error();
  X509_STORE* const store = SSL_CTX_get_cert_store(state_->context.get());
  for (const List& each : lists) {
    check(X509_STORE_add_crl(store, each.get()) == 1, operation);
  }
  X509_STORE_set_flags(store,
                       X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return *this;
}

TlsContext& TlsContext::verify_mode(VerifyMode mode) {
  int native = SSL_VERIFY_NONE;
  if (mode == VerifyMode::kOptional) native = SSL_VERIFY_PEER;
  if (mode == VerifyMode::kRequired) {
    native = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_CTX_set_verify(state_->context.get(), native, nullptr);
  return *this;
}

TlsContext& TlsContext::check_hostname(bool on) {
  if (on && SSL_CTX_get_verify_mode(state_->context.get()) == SSL_VERIFY_NONE) {
    throw std::invalid_argument(
        "check_hostname needs a verify_mode other than kNone");
  }
  state_->check_hostname = on;
  return *this;
}

TlsContext& TlsContext::alpn_protocols(
    const std::vector<std::string>& protocols) {
  std::string packed;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) {
      throw std::invalid_argument("alpn_protocols: '" + protocol +
                                  "' is not of 1 to 255 bytes");
    }
    packed += static_cast<char>(protocol.size());
    packed += protocol;
  }
  if (packed.size() > 65535) {
    throw std::invalid_argument("alpn_protocols: too many");
  }
  SSL_CTX* const context = state_->context.get();
  if (SSL_CTX_set_alpn_protos(
          context, reinterpret_cast<const unsigned char*>(packed.data()),
          static_cast<unsigned>(packed.size())) != 0) {
    throw std::bad_alloc();
  }
  state_->alpn_protocols = std::move(packed);
  SSL_CTX_set_alpn_select_cb(
      context, state_->alpn_protocols.empty() ? nullptr : select_alpn,
      state_.get());
  return *this;
}

TlsContext& TlsContext::minimum_version(TlsVersion version) {
  SSL_CTX_set_min_proto_version(state_->context.get(), native(version));
  return *this;
}

TlsContext& TlsContext::maximum_version(TlsVersion version) {
  SSL_CTX_set_max_proto_version(state_->context.get(), native(version));
  return *this;
}

TlsContext& TlsContext::ciphers(const std::string& list) {
  ERR_clear_error();
  check(SSL_CTX_set_cipher_list(state_->context.get(), list.c_str()) == 1,
        "ciphers '" + list + "'");
  return *this;
}

TlsContext& TlsContext::ignore_unexpected_eof(bool on) noexcept {
  state_->ignore_unexpected_eof = on;
  return *this;
}

TlsContext& TlsContext::server_name_callback(
    std::function<TlsContext(std::string_view)> callback) {
  state_->server_name_callback = std::move(callback);
  return *this;
}

// -- errors ------------------------------------------------------------------

void detail::check_side(const TlsContext& context, bool is_server,
                        const char* operation) {
  if (!context || context.state()->is_server == is_server) return;
  throw std::invalid_argument(
      std::string(operation) +
      (is_server ? ": a client's TlsContext" : ": a server's TlsContext"));
}

TlsError detail::take_tls_error(const std::string& operation) {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  if (reason == nullptr) reason = "unknown error";
  ERR_clear_error();
  return TlsError(reason, operation + ": " + reason);
}

}  // namespace rondo
