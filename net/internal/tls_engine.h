// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/internal/tls_context_state.h"
#include "net/tls/tls_info.h"

namespace rondo::detail {

/// See TlsSession.
class TlsSessionState {
 public:
  std::unique_ptr<SSL_SESSION, OpenSslFree<SSL_SESSION_free>> session;
  // What its server was found good by, and as whom.
  std::shared_ptr<TlsContextState> context;
  std::string server_hostname;
};

/// One side of a TLS connection as arithmetic: bytes in, bytes out, no socket
/// and no loop. OpenSSL below; what it would read comes from feed(), what it
/// would write goes to output(). asyncio's SSLObject with its two MemoryBIOs.
///
/// Each call that can fail throws a TlsError; output() has the alert for the
/// peer then, and the engine is not to be used any more.
class TlsEngine {
 public:
  enum class Outcome : std::uint8_t {
    kDone,
    kWantsInput,  // it goes on when there is more
    kEnd,         // the peer will send no more, and has said so
  };

  /// `server_hostname` is what a client calls its server by; may be empty if
  /// the context does not check it, else throws std::invalid_argument. So it
  /// does for a session of another context or another server.
  TlsEngine(std::shared_ptr<TlsContextState> context,
            const std::string& server_hostname, const TlsSession& session);
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;
  ~TlsEngine();

  /// What the peer has sent; it stays there until keep_rest().
  void feed(std::string_view input);
  /// Copies what was not used of feed(), for later. False without memory.
  bool keep_rest() noexcept;

  Outcome handshake();
  /// Decrypts into `to`; how much of it, if kDone.
  Outcome read(std::span<char> to, std::size_t& size);
  /// Encrypts all of `data`, or, if it wants input, none: the peer is in the
  /// middle of a message about keys.
  Outcome write(std::string_view data);
  /// Says that no more will be written. The same.
  Outcome shut_down();

  /// What is to be sent. To be emptied by the caller.
  std::string& output() noexcept { return output_; }

  bool is_server() const noexcept { return SSL_is_server(ssl_.get()) == 1; }
  bool ignores_unexpected_eof() const noexcept {
    return context_->ignore_unexpected_eof;
  }
  TlsInfo info() const;

  /// See SSL_CTX_set_client_hello_cb(3).
  static int on_client_hello(SSL* ssl, int* alert, void* argument);

 private:
  static BIO_METHOD* method();
  static int on_bio_read(BIO* bio, char* to, int size);
  static int on_bio_write(BIO* bio, const char* data, int size);
  static long on_bio_control(BIO* bio, int command, long, void*);

  void set_server_hostname(std::string name);
  void set_session(const TlsSessionState& session);
  TlsSession session() const;
  void choose_context();
  Outcome outcome_of(int answer, const char* operation);
  [[noreturn]] void fail(const char* operation);

  std::shared_ptr<TlsContextState> context_;
  std::unique_ptr<SSL, OpenSslFree<SSL_free>> ssl_;
  std::string_view input_;
  std::string kept_;  // what input_ is part of, unless that is the caller's
  std::string output_;
  std::string server_hostname_;  // a client's
  std::string server_name_;      // what a client asks a server for
  bool has_chosen_context_ = false;
  std::exception_ptr thrown_;  // by one of our functions that OpenSSL called
};

}  // namespace rondo::detail
