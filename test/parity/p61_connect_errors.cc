// SPDX-License-Identifier: MIT
// shows: texts of connection and bind errors; create_connection/create_server
//   argument errors
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "net/create_connection.h"
#include "net/server.h"
#include "test/parity/python_socket.h"
#include "test/parity/python_words.h"

using python::print;
using python::Socket;
using rondo::Coro;
using rondo::create_connection;
using rondo::create_server;
using rondo::create_unix_connection;
using rondo::Protocol;
using rondo::ProtocolFactory;
using rondo::Server;
using rondo::UniqueFd;

static std::shared_ptr<Protocol> protocol() {
  return std::make_shared<Protocol>();
}

// Neither an address nor a socket is no program.
template <class F>
concept CanConnectNowhere = requires(F f) { create_connection(f); };
template <class F>
concept CanListenNowhere = requires(F f) { create_server(f); };
static_assert(!CanConnectNowhere<decltype(&protocol)> &&
              !CanListenNowhere<decltype(&protocol)>);

static std::string without_port(std::string text, std::uint16_t port) {
  const std::string digits = std::to_string(port);
  const std::size_t at = text.find(digits);
  return at == std::string::npos ? text
                                 : text.replace(at, digits.size(), "PORT");
}

template <class Operation>
static Coro<> attempt(const char* label, Operation operation,
                      std::uint16_t port) {
  try {
    co_await std::move(operation);
    print(label, "ok");
  } catch (const std::system_error& e) {
    print(label, python::Error().type, without_port(e.what(), port));
  }
}

static Coro<> main_coroutine() {
  Socket s(UniqueFd(::socket(AF_INET, SOCK_STREAM, 0)));
  const std::uint16_t port = s.bind();
  s.close();

  co_await attempt("refused:", create_connection(protocol, "127.0.0.1", port),
                   port);
  co_await attempt("unix path missing:",
                   create_unix_connection(protocol, "no-such-socket"), port);
  Server server = co_await create_server(protocol, "127.0.0.1", port);
  co_await attempt("port in use:", create_server(protocol, "127.0.0.1", port),
                   port);
  server.close();
  UniqueFd d(::socket(AF_INET, SOCK_DGRAM, 0));
  try {
    co_await create_connection(protocol, std::move(d));
  } catch (const std::invalid_argument& e) {
    const std::string text = e.what();
    print("datagram socket: ValueError:", text.substr(0, text.find(',')));
  }
}

int main() { rondo::run(main_coroutine()); }
