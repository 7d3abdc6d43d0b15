// SPDX-License-Identifier: MIT
// shows: DatagramProtocol: one datagram_received per datagram, borders kept;
//   an empty datagram from outside is delivered, but sendto(b'') sends nothing
//   (3.11); a connected endpoint gets error_received(ConnectionRefusedError)
//   and stays open; sendto checks; order of callbacks
#include <sys/socket.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "net/datagram_endpoint.h"
#include "reactor/unique_fd.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Address;
using rondo::Coro;
using rondo::create_datagram_endpoint;
using rondo::DatagramEndpoint;
using rondo::DatagramOptions;
using rondo::DatagramProtocol;
using rondo::DatagramTransport;
using rondo::sleep;
using rondo::UniqueFd;

// A text that is not bytes is no program: sendto('text') is bytes here.

class P : public DatagramProtocol {
 public:
  explicit P(std::string name) : name_(std::move(name)) {}
  void connection_made(DatagramTransport& transport) override {
    t_ = &transport;
    print(name_, "connection_made");
  }
  void datagram_received(std::string_view data, const Address& addr) override {
    print(name_, "datagram_received", python::repr(Bytes(std::string(data))),
          addr.host());
    if (name_ == "server") t_->sendto("echo:" + std::string(data), addr);
  }
  void error_received(std::error_code exc) override {
    const bool refused = exc == std::errc::connection_refused;
    print(name_, "error_received",
          (refused ? "ConnectionRefusedError(" : "OSError(") +
              std::to_string(exc.value()) + ", '" + exc.message() + "')");
  }
  void connection_lost(std::exception_ptr exc) override {
    print(name_, "connection_lost", exc);
  }

 private:
  std::string name_;
  DatagramTransport* t_ = nullptr;
};

static Coro<> main_coroutine() {
  DatagramOptions local;
  local.local_address(Address::inet("127.0.0.1", 0));
  auto serving = create_datagram_endpoint(
      [] { return std::make_unique<P>("server"); }, local);
  const DatagramEndpoint server = co_await std::move(serving);
  const auto st = server.transport;
  const Address addr = st->sockname();
  DatagramOptions remote;
  remote.remote_address(addr);
  auto opening = create_datagram_endpoint(
      [] { return std::make_unique<P>("client"); }, remote);
  const DatagramEndpoint client = co_await std::move(opening);
  const auto ct = client.transport;
  print("peername", ct->peername() == addr, st->get_extra_info("peername"));
  ct->sendto("one");
  ct->sendto("two");
  co_await sleep(0.05);
  print("sendto(b\"\")");
  ct->sendto("");
  co_await sleep(0.05);
  print("empty datagram from a raw socket");
  UniqueFd raw(::socket(AF_INET, SOCK_DGRAM, 0));
  ::sendto(raw.get(), "", 0, 0, addr.native(), addr.native_size());
  co_await sleep(0.05);
  raw.reset();
  try {
    ct->sendto("x", Address::inet("127.0.0.1", 9));
  } catch (const std::invalid_argument& e) {
    const std::string text = e.what();
    print("ValueError:", text.substr(0, text.find(':')));
  }
  st->close();
  co_await sleep(0.02);
  ct->sendto("nobody listens");
  co_await sleep(0.02);
  ct->sendto("again");
  co_await sleep(0.02);
  print("is_closing", ct->is_closing());
  ct->abort();
  print("abort called");
  co_await sleep(0);
  ct->sendto("after close");
  co_await sleep(0.01);
}

int main() { rondo::run(main_coroutine()); }
