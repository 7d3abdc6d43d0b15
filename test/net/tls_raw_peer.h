// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "net/internal/tls_context_state.h"
#include "reactor/testing/virtual_time.h"
#include "test/net/tls_pair.h"

namespace rondo::test {

/// The other side of a TLS connection: OpenSSL on the end of a socket pair,
/// driven by hand, so that it can do what no transport of ours does.
class RawPeer {
 public:
  RawPeer(const TlsContext& context, UniqueFd socket)
      : socket_(std::move(socket)),
        context_(context.state()),
        ssl_(SSL_new(context_->context.get())),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl(), in_, out_);
    // What our contexts call back expects to find a TlsEngine.
    SSL_set_SSL_CTX(ssl(), context_->context.get());
    if (context_->is_server) {
      SSL_CTX_set_client_hello_cb(context_->context.get(), nullptr, nullptr);
      SSL_set_accept_state(ssl());
    } else {
      SSL_set_connect_state(ssl());
      SSL_set_tlsext_host_name(ssl(), "localhost");
    }
  }

  SSL* ssl() const noexcept { return ssl_.get(); }
  int fd() const noexcept { return socket_.get(); }
  bool is_ready() const noexcept { return SSL_is_init_finished(ssl()) == 1; }
  /// Ends the connection without a word.
  void drop() { socket_.reset(); }

  /// One step: takes what has come, does what that asks for, sends what is
  /// allowed.
  void pump() {
    if (socket_) take();
    work();
    flush();
  }
  void work() {
    ERR_clear_error();
    if (!is_ready()) SSL_do_handshake(ssl());
    char memory[4096];
    std::size_t size = 0;
    while (is_ready() &&
           SSL_read_ex(ssl(), memory, sizeof memory, &size) == 1) {
      received.append(memory, size);
    }
    ERR_clear_error();
  }
  /// Encrypts; sent with the next flush().
  void write(std::string_view data) {
    std::size_t size = 0;
    EXPECT_EQ(SSL_write_ex(ssl(), data.data(), data.size(), &size), 1);
  }
  void shut_down() { SSL_shutdown(ssl()); }
  void flush() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    if (size > 0) pending.append(data, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(out_));
    while (socket_ && !pending.empty() && sent < allowed) {
      const std::size_t most = std::min(pending.size(), allowed - sent);
      const ssize_t n =
          ::send(socket_.get(), pending.data(), most, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
      pending.erase(0, static_cast<std::size_t>(n));
    }
  }

  std::string received;
  std::string pending;                      // made, and not sent yet
  std::size_t sent = 0;                     // bytes of the record stream
  std::size_t allowed = std::string::npos;  // to be sent in all
  std::size_t taken = 0;                    // bytes of the record stream
  bool is_deaf = false;                     // reads nothing

 private:
  void take() {
    char memory[16384];
    ssize_t n = 0;
    while (!is_deaf &&
           (n = ::recv(socket_.get(), memory, sizeof memory, 0)) > 0) {
      taken += static_cast<std::size_t>(n);
      BIO_write(in_, memory, static_cast<int>(n));
    }
  }

  UniqueFd socket_;
  std::shared_ptr<detail::TlsContextState> context_;
  std::unique_ptr<SSL, detail::OpenSslFree<SSL_free>> ssl_;
  BIO* in_;  // ssl_ has them
  BIO* out_;
};

/// The contexts of this program, made once: the system's certificates take
/// their time.
inline const TlsContext& shared_client_context() {
  static const TlsContext made = client_context();
  return made;
}
inline const TlsContext& shared_server_context() {
  static const TlsContext made = server_context();
  return made;
}

/// One of our transports and a RawPeer.
struct RawPair {
  explicit RawPair(bool we_are_client = true, TlsContext ours = TlsContext(),
                   TlsContext theirs = TlsContext(),
                   const std::shared_ptr<BaseProtocol>& with = nullptr) {
    if (!ours) ours = we_are_client ? client_context() : server_context();
    if (!theirs) theirs = we_are_client ? server_context() : client_context();
    const TlsOptions options =
        (we_are_client ? client_options(ours) : TlsOptions(ours));
    start(options, theirs, with);
  }
  RawPair(const TlsOptions& options, const TlsContext& theirs) {
    start(options, theirs, nullptr);
  }
  void start(const TlsOptions& options, const TlsContext& theirs,
             const std::shared_ptr<BaseProtocol>& with) {
    auto [mine, other] = connected_pair(kernel);
    peer = std::make_unique<RawPeer>(theirs, std::move(other));
    const std::shared_ptr<BaseProtocol> used =
        with != nullptr ? with : protocol;
    connecting = create_connection([used] { return used; }, std::move(mine),
                                   ConnectOptions().tls(options))
                     .start(loop);
  }
  ~RawPair() {
    peer.reset();
    connecting = Task<Connection>();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  /// Lets both sides work until `done()`.
  template <class Done>
  bool run(Done&& done) {
    return run_until(loop, [&] {
      peer->pump();
      return done();
    });
  }
  void shake_hands() {
    ASSERT_TRUE(run([&] { return connecting.done() && peer->is_ready(); }));
    ASSERT_EQ(connecting.exception(), nullptr)
        << describe(connecting.exception());
  }
  void passes(int count) {
    for (; count > 0; --count) {
      peer->pump();
      run_one_pass(loop);
    }
  }
  bool has_ended() const {
    return protocol->losses > 0 ||
           (connecting.done() && connecting.exception() != nullptr);
  }
  /// What the connection has failed with, in its handshake or later.
  std::exception_ptr error() const {
    return connecting.done() && connecting.exception() != nullptr
               ? connecting.exception()
               : protocol->error;
  }

  VirtualKernel clock;  // a deadline passes when there is nothing else to do
  ScriptedKernel kernel{clock};
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  std::unique_ptr<RawPeer> peer;
  Task<Connection> connecting;
};

}  // namespace rondo::test
