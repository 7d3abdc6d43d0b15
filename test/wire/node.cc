// SPDX-License-Identifier: MIT
//
// What stands at the near end of the wire: check.py builds it.
//
//     node serve HOST UNIX_PATH ABSTRACT_NAME   echo in every way, until
//     SIGTERM node talk HOST PORT SIZE                  asks an echo, and
//     checks it node talk-tls HOST PORT SIZE              the same, encrypted
//     node talk-unix PATH SIZE                  the same on a Unix socket
//     ("@x":
//                                               the abstract name x)
//
// It says on stdout what it is told: `+ WAY PEER` for each connection_made(),
// `- WAY PEER ERROR` for each connection_lost().

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sync/event.h"
#include "net/create_connection.h"
#include "net/datagram_endpoint.h"
#include "net/examples/throwaway_certificate.h"
#include "net/server.h"
#include "net/streams.h"
#include "reactor/event_loop.h"

namespace {

using rondo::Coro;
using rondo::Server;
using rondo::StreamReader;
using rondo::Streams;
using rondo::StreamWriter;
using rondo::Transport;

constexpr std::size_t kChunk = 65'536;

std::string text_of(const std::exception_ptr& error) {
  if (error == nullptr) return "none";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  }
}

void say(char what, const char* way, const rondo::Address& peer,
         const std::string& more = "") {
  std::printf("%c %s %s%s\n", what, way, to_string(peer).c_str(), more.c_str());
}

// ---- Echo ------------------------------------------------------------------

/// By callbacks. Whoever does not read its answers is not read, either.
class Echo : public rondo::Protocol {
 public:
  explicit Echo(const char* way) : way_(way) {}

  void connection_made(Transport& transport) override {
    transport_ = &transport;
    say('+', way_, transport.peername());
  }
  void data_received(std::string_view data) override {
    transport_->write(data);
  }
  void pause_writing() override { transport_->pause_reading(); }
  void resume_writing() override { transport_->resume_reading(); }
  // The end of the stream: Protocol's own sends what waits, and closes.
  void connection_lost(std::exception_ptr error) override {
    say('-', way_, transport_->peername(), " " + text_of(error));
  }

 private:
  const char* const way_;
  Transport* transport_ = nullptr;
};

class EchoDatagrams : public rondo::DatagramProtocol {
 public:
  void connection_made(rondo::DatagramTransport& transport) override {
    transport_ = &transport;
  }
  void datagram_received(std::string_view data,
                         const rondo::Address& from) override {
    transport_->sendto(data, from);
  }
  void error_received(std::error_code error) override {
    std::printf("! datagrams %s\n", error.message().c_str());
  }

 private:
  rondo::DatagramTransport* transport_ = nullptr;
};

/// By streams.
Coro<> echo(StreamReader reader, StreamWriter writer) {
  const rondo::Address peer = writer.transport().peername();
  say('+', "streams", peer);
  std::exception_ptr error;
  try {
    for (;;) {
      const std::string data = co_await reader.read(kChunk);
      if (data.empty()) break;
      co_await writer.write(data);
    }
    writer.close();
    co_await writer.wait_closed();
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  say('-', "streams", peer, " " + text_of(error));
}

// ---- The servers -----------------------------------------------------------

rondo::ProtocolFactory echo_factory(const char* way) {
  return [way] { return std::make_unique<Echo>(way); };
}

void say_port(const char* way, const Server& server) {
  std::printf("%s %d\n", way, server.sockets().at(0).getsockname().port());
}

Coro<> serve(std::string host, std::string path, std::string name) {
  rondo::Event stopped;
  rondo::get_running_loop().add_signal_handler(SIGTERM, [&] { stopped.set(); });
  auto context = rondo::TlsContext::server();
  context.load_cert_chain_pem(kThrowawayCertificate, kThrowawayKey);

  std::vector<Server> servers;
  auto plain = rondo::create_server(echo_factory("callbacks"), host, 0);
  servers.push_back(co_await std::move(plain));
  say_port("callbacks", servers.back());
  const auto kept_alive = rondo::ServerOptions().keep_alive(true);
  auto streams = rondo::start_server(echo, host, 0, kept_alive);
  servers.push_back(co_await std::move(streams));
  say_port("streams", servers.back());
  const auto encrypted = rondo::ServerOptions().tls(context);
  auto tls = rondo::create_server(echo_factory("tls"), host, 0, encrypted);
  servers.push_back(co_await std::move(tls));
  say_port("tls", servers.back());
  auto unix = rondo::create_unix_server(echo_factory("unix"), path);
  servers.push_back(co_await std::move(unix));
  const std::string abstract_name = std::string(1, '\0') + name;
  auto abstract =
      rondo::create_unix_server(echo_factory("abstract"), abstract_name);
  servers.push_back(co_await std::move(abstract));

  rondo::DatagramOptions options;
  options.local_address(rondo::HostAndPort(host, 0));
  auto opening = rondo::create_datagram_endpoint(
      [] { return std::make_unique<EchoDatagrams>(); }, options);
  const rondo::DatagramEndpoint datagrams = co_await std::move(opening);
  std::printf("datagrams %d\nready\n", datagrams.transport->sockname().port());

  co_await stopped.wait();
  datagrams.transport->close();
  for (const Server& server : servers) {
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
  }
  std::puts("end");
}

// ---- The client ------------------------------------------------------------

/// What is sent: the same in ends.py. The period is a prime number, so that
/// no piece looks like another one that begins elsewhere.
std::string pattern(std::size_t size) {
  constexpr std::size_t kPeriod = 65'521;
  std::string bytes;
  bytes.reserve(size);
  std::uint32_t state = 1;
  while (bytes.size() < size && bytes.size() < kPeriod) {
    state = state * 1'664'525 + 1'013'904'223;
    bytes.push_back(static_cast<char>(state >> 24));
  }
  while (bytes.size() < size) {
    bytes.push_back(bytes[bytes.size() - kPeriod]);
  }
  return bytes;
}

Coro<> send(StreamWriter writer, const std::string& data) {
  for (std::size_t at = 0; at < data.size(); at += kChunk) {
    co_await writer.write(std::string_view(data).substr(at, kChunk));
  }
  if (writer.can_write_eof()) writer.write_eof();
}

Coro<> talk(rondo::OpenConnection connecting, std::size_t size) {
  const Streams streams = co_await std::move(connecting);
  const std::string data = pattern(size);
  const rondo::Task<void> sending =
      rondo::create_task(send(streams.writer, data));
  std::size_t came = 0;
  while (came < size) {
    const std::string part = co_await streams.reader.read(kChunk);
    if (part.empty()) throw std::runtime_error("the answer is too short");
    if (data.compare(came, part.size(), part) != 0) {
      throw std::runtime_error("another byte after " + std::to_string(came));
    }
    came += part.size();
  }
  co_await sending;
  if (streams.writer.can_write_eof()) {
    const std::string more = co_await streams.reader.read();
    if (!more.empty()) throw std::runtime_error("the answer is too long");
  }
  streams.writer.close();
  co_await streams.writer.wait_closed();
  std::printf("%zu bytes there and back\n", came);
}

std::size_t number(const std::string& text) {
  return std::strtoul(text.c_str(), nullptr, 10);
}

Coro<> run_as(const std::vector<std::string>& words) {
  const std::string& what = words.at(0);
  if (what == "serve") return serve(words.at(1), words.at(2), words.at(3));
  if (what == "talk-unix") {
    std::string path = words.at(1);
    if (path.starts_with('@')) path[0] = '\0';
    return talk(rondo::open_unix_connection(path), number(words.at(2)));
  }
  rondo::ConnectOptions options;
  if (what == "talk-tls") {
    auto context = rondo::TlsContext::client();
    context.load_verify_pem(kThrowawayCertificate);
    options.tls(rondo::TlsOptions(context).server_hostname("localhost"));
  }
  const auto port = static_cast<std::uint16_t>(number(words.at(2)));
  return talk(rondo::open_connection(words.at(1), port, options),
              number(words.at(3)));
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    rondo::run(run_as(words));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "node: %s\n", error.what());
    return 1;
  }
}
