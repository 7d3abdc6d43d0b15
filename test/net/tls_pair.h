// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "net/create_connection.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_error.h"
#include "net/tls/tls_info.h"
#include "test/net/transport_pair.h"
#include "test/support/certificates.h"

namespace rondo::test {

/// A server's context with the test's own certificate.
inline TlsContext server_context() {
  const TestCertificates& certificates = TestCertificates::get();
  TlsContext context = TlsContext::server();
  context.load_cert_chain_pem(certificates.server.certificate(),
                              certificates.server.key());
  return context;
}

/// A client's context that trusts the test's authority.
inline TlsContext client_context() {
  TlsContext context = TlsContext::client();
  context.load_verify_pem(TestCertificates::get().authority.certificate());
  return context;
}

/// A client's options for "localhost".
inline TlsOptions client_options(const TlsContext& context = client_context()) {
  return TlsOptions(context).server_hostname("localhost");
}

/// A client and a server on one loop, both ours. At the end nothing is left
/// open.
struct TlsPair {
  explicit TlsPair(TlsOptions client_tls = client_options(),
                   TlsOptions server_tls = server_context()) {
    auto [mine, theirs] = connected_pair(kernel);
    connecting = begin(std::move(mine), client, std::move(client_tls));
    accepting = begin(std::move(theirs), server, std::move(server_tls));
  }
  ~TlsPair() {
    connecting = accepting = Task<Connection>();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  Task<Connection> begin(UniqueFd socket,
                         std::shared_ptr<BaseProtocol> protocol,
                         TlsOptions tls) {
    return create_connection([protocol] { return protocol; }, std::move(socket),
                             ConnectOptions().tls(std::move(tls)))
        .start(loop);
  }
  /// Runs until both handshakes are done, one way or the other.
  void shake_hands() {
    ASSERT_TRUE(
        run_until(loop, [&] { return connecting.done() && accepting.done(); }));
  }
  /// Runs until both have heard connection_lost().
  bool run_to_end() {
    return run_until(loop,
                     [&] { return client->losses > 0 && server->losses > 0; });
  }
  bool run_until_received(const Recorder& by, std::size_t size) {
    return run_until(loop, [&] { return by.received.size() >= size; });
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> client = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> server = std::make_shared<Recorder>();
  Task<Connection> connecting;
  Task<Connection> accepting;
};

}  // namespace rondo::test
