// SPDX-License-Identifier: MIT
//
// 01 with encryption: the coroutines are the same, and only how a connection
// is made says that it is encrypted. A TlsContext has what one side needs: the
// server's its certificate and key, the client's the authorities it believes.
// A client checks whom it talks to unless it is told not to.
//
// Without arguments it is both sides of a conversation. Its certificate is made
// for this file and thrown away: it is what a client that knows it believes.
// With arguments it is one side, for real certificates and other programs:
//
//   06_echo_tls serve CERTIFICATE KEY [PORT]     until Ctrl-C
//   06_echo_tls connect HOST PORT AUTHORITIES    sends what it reads, by lines
//
//   openssl s_client -connect 127.0.0.1:PORT -CAfile AUTHORITIES
//
// New against 01: TlsContext; tls_info(); what a stranger hears.
//
// Expected output:
//   client: TLSv1.3
//   server: 'Hello'
//   client: 'Hello'
//   server: 'World'
//   client: 'World'
//   server: the client has finished
//   stranger: self-signed certificate

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "net/examples/throwaway_certificate.h"
#include "net/server.h"
#include "net/streams.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_error.h"
#include "net/tls/tls_info.h"

using rondo::ConnectOptions;
using rondo::Coro;
using rondo::ServerOptions;
using rondo::StreamReader;
using rondo::StreamWriter;
using rondo::TlsContext;

static void print(const char* who, std::string line) {
  if (line.ends_with('\n')) line.pop_back();
  std::printf("%s: '%s'\n", who, line.c_str());
  std::fflush(stdout);
}

static Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (;;) {
    const std::string line = co_await reader.readline();
    if (line.empty()) break;
    print("server", line);
    co_await writer.write(line);
  }
  std::puts("server: the client has finished");
  std::fflush(stdout);
  writer.close();
}

// -- both sides ---------------------------------------------------------------

static Coro<> talk(std::uint16_t port, TlsContext context) {
  const ConnectOptions options = ConnectOptions().tls(
      rondo::TlsOptions(context).server_hostname("localhost"));
  auto connecting = rondo::open_connection("127.0.0.1", port, options);
  const rondo::Streams streams = co_await connecting;
  const rondo::TlsInfo info = rondo::tls_info(streams.writer.transport());
  std::printf("client: %s\n", info.version.c_str());
  for (const char* message : {"Hello\n", "World\n"}) {
    co_await streams.writer.write(message);
    const std::string line = co_await streams.reader.readline();
    print("client", line);
  }
  // An encrypted connection ends both ways at once.
  streams.writer.close();
  co_await streams.writer.wait_closed();
}

/// Somebody who has never heard of our certificate.
static Coro<> be_a_stranger(std::uint16_t port) {
  const ConnectOptions options = ConnectOptions().tls(
      rondo::TlsOptions(TlsContext::client()).server_hostname("localhost"));
  try {
    auto connecting = rondo::open_connection("127.0.0.1", port, options);
    co_await connecting;
  } catch (const rondo::CertificateError& error) {
    std::printf("stranger: %s\n", error.verify_message());
  }
}

static Coro<> demonstrate() {
  TlsContext server_context = TlsContext::server();
  server_context.load_cert_chain_pem(kThrowawayCertificate, kThrowawayKey);
  const ServerOptions options = ServerOptions().tls(server_context);
  auto starting = rondo::start_server(echo, "127.0.0.1", 0, options);
  const rondo::Server server = co_await starting;
  const std::uint16_t port = server.sockets().at(0).getsockname().port();
  TlsContext client_context = TlsContext::client();
  client_context.load_verify_pem(kThrowawayCertificate);
  co_await talk(port, client_context);
  co_await be_a_stranger(port);
  server.close();
  co_await server.wait_closed();
}

// -- one side -----------------------------------------------------------------

static Coro<> serve(TlsContext context, std::uint16_t port) {
  const ServerOptions options = ServerOptions().tls(context);
  auto starting = rondo::start_server(echo, "127.0.0.1", port, options);
  const rondo::Server server = co_await starting;
  std::printf("listening on 127.0.0.1:%d\n",
              server.sockets().at(0).getsockname().port());
  std::fflush(stdout);
  co_await server.serve_forever();
}

static Coro<> connect(std::string host, std::uint16_t port,
                      TlsContext context) {
  const ConnectOptions options = ConnectOptions().tls(context);
  auto connecting = rondo::open_connection(host, port, options);
  const rondo::Streams streams = co_await connecting;
  const rondo::TlsInfo info = rondo::tls_info(streams.writer.transport());
  std::printf("%s %s\n", info.version.c_str(),
              info.peer_certificate.subject.c_str());
  for (std::string line; std::getline(std::cin, line);) {
    co_await streams.writer.write(line + "\n");
    const std::string answer = co_await streams.reader.readline();
    print("client", answer);
  }
  streams.writer.close();
  co_await streams.writer.wait_closed();
}

static std::uint16_t port_of(const char* text) {
  return static_cast<std::uint16_t>(std::strtoul(text, nullptr, 10));
}

int main(int count, char** arguments) {
  const std::string_view what = count > 1 ? arguments[1] : "";
  try {
    if (count == 1) {
      rondo::run(demonstrate());
    } else if (what == "serve" && (count == 4 || count == 5)) {
      TlsContext context = TlsContext::server(arguments[2], arguments[3]);
      const std::uint16_t port = count == 5 ? port_of(arguments[4]) : 0;
      rondo::run(serve(context, port));
    } else if (what == "connect" && count == 5) {
      TlsContext context = TlsContext::client();
      context.load_verify_locations(arguments[4]);
      rondo::run(connect(arguments[2], port_of(arguments[3]), context));
    } else {
      std::fputs(
          "usage: 06_echo_tls [serve CERTIFICATE KEY [PORT] |"
          " connect HOST PORT AUTHORITIES]\n",
          stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "06_echo_tls: %s\n", error.what());
    return 1;
  }
  return 0;
}
