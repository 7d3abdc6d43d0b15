// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rondo {

namespace detail {
class TlsContextState;
}  // namespace detail

/// Whether the peer has to show a certificate.
enum class VerifyMode : std::uint8_t {
  kNone,      ///< What it shows is not looked at.
  kOptional,  ///< One that it shows must be good. For servers.
  kRequired,  ///< It has to show one, and that must be good.
};

/// Versions of the protocol.
enum class TlsVersion : std::uint8_t { kTls12, kTls13 };

/// Keys, certificates, and what is asked of a peer: for one side of any number
/// of TLS connections. A handle: copies mean the same context.
///
/// Set it up first, on one thread; the connections of any loops on any threads
/// may use it then. Each call that fails throws and changes nothing: a
/// std::system_error for a file that cannot be read, a TlsError for what is in
/// it; both name it.
///
/// Source: ssl.SSLContext. What is built upon: OpenSSL 3.
class TlsContext {
 public:
  /// Means none, that is, no encryption.
  TlsContext() noexcept = default;

  /// For clients: the peer has to show a certificate for the name it was
  /// called by, from an authority that this system trusts. TLS 1.2 or 1.3.
  ///
  /// Source: ssl.create_default_context().
  static TlsContext client();
  /// For servers: a certificate is to be loaded yet.
  static TlsContext server();
  /// For servers, with the files of a certificate (the others of its chain
  /// behind it) and of its key, in PEM. Clients need no certificate.
  static TlsContext server(const std::string& certificate_file,
                           const std::string& key_file);

  /// The certificate to show, and its key, both in PEM; they may be in one
  /// file. A key that is encrypted needs the `password`; nobody is asked.
  TlsContext& load_cert_chain(const std::string& certificate_file,
                              const std::string& key_file,
                              const std::string& password = "");
  /// The same from memory.
  TlsContext& load_cert_chain_pem(std::string_view certificates,
                                  std::string_view key,
                                  const std::string& password = "");
  /// Trusts the authorities in `file`, too; or, for a server, wants clients to
  /// be known by one of them (see verify_mode()).
  TlsContext& load_verify_locations(const std::string& file);
  /// The same from memory.
  TlsContext& load_verify_pem(std::string_view certificates);
  /// Refuses what is revoked by the lists in `file`. Each authority of a chain
  /// has to have its list from now on.
  TlsContext& load_revocation_lists(const std::string& file);

  /// What the peer has to show. While nothing is asked for, no name is either.
  TlsContext& verify_mode(VerifyMode mode);
  /// Whether a server's certificate has to be for the name it was called by.
  /// On for clients, unless set.
  TlsContext& check_hostname(bool on);
  /// What is spoken inside, the best first (RFC 7301): "h2", "http/1.1".
  /// A server that has none in common with its client ends the handshake.
  /// Throws std::invalid_argument for a name that is empty or too long.
  TlsContext& alpn_protocols(const std::vector<std::string>& protocols);
  /// The oldest version to speak; TLS 1.2 unless set.
  TlsContext& minimum_version(TlsVersion version);
  /// The newest version to speak.
  TlsContext& maximum_version(TlsVersion version);
  /// The ciphers of TLS 1.2, in OpenSSL's language (see openssl-ciphers(1)).
  TlsContext& ciphers(const std::string& list);
  /// Takes a connection that just ends for one that has ended properly. Off
  /// unless set: whoever can cut a line could make a part look like the whole.
  /// (asyncio does not tell.)
  TlsContext& ignore_unexpected_eof(bool on) noexcept;
  /// Called in a server's handshake with the name that the client asks for
  /// (RFC 6066), empty if it asks for none. The context that it returns is
  /// used instead of this one, for all that it was told; a null one changes
  /// nothing; what it throws ends the handshake. On the loop's thread.
  TlsContext& server_name_callback(
      std::function<TlsContext(std::string_view)> callback);

  /// Whether it means a context.
  explicit operator bool() const noexcept { return state_ != nullptr; }

  /// For the library.
  const std::shared_ptr<detail::TlsContextState>& state() const noexcept {
    return state_;
  }

 private:
  explicit TlsContext(std::shared_ptr<detail::TlsContextState> state) noexcept
      : state_(std::move(state)) {}

  std::shared_ptr<detail::TlsContextState> state_;
};

}  // namespace rondo
