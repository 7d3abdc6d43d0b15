// SPDX-License-Identifier: MIT
//
// Echo by datagrams (UDP). There is no connection: a server has one transport
// for all its clients, and each datagram says where it came from. It arrives as
// it was sent, or it does not arrive at all; so the client asks again, and
// gives up after the third time.
//
// Expected output:
//   server: 'one' from 127.0.0.1
//   client: 'one'
//   server: 'two' from 127.0.0.1
//   client: 'two'
//   server: closed
//   client: nobody listens
//   client: nobody listens
//   client: nobody listens
//   client: no answer to 'three', giving up
//   client: closed

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "net/datagram_endpoint.h"

namespace {

class EchoServer : public rondo::DatagramProtocol {
 public:
  void connection_made(rondo::DatagramTransport& transport) override {
    transport_ = &transport;  // stays until connection_lost()
  }
  void datagram_received(std::string_view data,
                         const rondo::Address& from) override {
    std::printf("server: '%s' from %s\n", std::string(data).c_str(),
                from.host().c_str());
    transport_->sendto(data, from);
  }
  void connection_lost(std::exception_ptr) override {
    std::puts("server: closed");
  }

 private:
  rondo::DatagramTransport* transport_ = nullptr;
};

/// Waits for one answer at a time.
class Client : public rondo::DatagramProtocol {
 public:
  void connection_made(rondo::DatagramTransport& transport) override {
    transport_ = &transport;
  }
  /// Sends `question`. Done with the answer, or when there will be none.
  rondo::Future<std::string> ask(std::string_view question) {
    answer_ = rondo::Future<std::string>(transport_->loop());
    transport_->sendto(question);
    return answer_;
  }
  void datagram_received(std::string_view data,
                         const rondo::Address&) override {
    if (!answer_.done()) answer_.set_result(std::string(data));
  }
  // An earlier datagram has met with a port where nobody listens. Nothing is
  // over: somebody may open it again.
  void error_received(std::error_code error) override {
    if (answer_.done()) return;
    answer_.set_exception(std::make_exception_ptr(std::system_error(error)));
  }
  void connection_lost(std::exception_ptr) override {
    std::puts("client: closed");
  }

 private:
  rondo::DatagramTransport* transport_ = nullptr;
  rondo::Future<std::string> answer_;
};

rondo::Coro<> ask_up_to_three_times(Client& client, const char* question) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto answer = client.ask(question);
    auto limited = rondo::wait_for(answer, 5);
    try {
      const std::string text = co_await limited;
      std::printf("client: '%s'\n", text.c_str());
      co_return;
    } catch (const rondo::TimeoutError&) {
      // Lost on the way there, or on the way back. Nobody can tell.
    } catch (const std::system_error&) {
      std::puts("client: nobody listens");
    }
  }
  std::printf("client: no answer to '%s', giving up\n", question);
}

rondo::Coro<> talk() {
  rondo::DatagramOptions here;
  here.local_address(rondo::Address::inet("127.0.0.1", 0));
  auto serving = rondo::create_datagram_endpoint(
      [] { return std::make_unique<EchoServer>(); }, here);
  const rondo::DatagramEndpoint server = co_await std::move(serving);

  // To be connected means only that the kernel knows where to send, lets
  // nobody else's datagrams in, and tells when nobody listens.
  rondo::DatagramOptions there;
  there.remote_address(server.transport->sockname());
  auto opening = rondo::create_datagram_endpoint(
      [] { return std::make_unique<Client>(); }, there);
  const rondo::DatagramEndpoint endpoint = co_await std::move(opening);
  const auto client = std::static_pointer_cast<Client>(endpoint.protocol);

  co_await ask_up_to_three_times(*client, "one");
  co_await ask_up_to_three_times(*client, "two");
  server.transport->close();
  co_await rondo::sleep(0);  // connection_lost() comes from the loop
  co_await ask_up_to_three_times(*client, "three");
  endpoint.transport->close();
  co_await rondo::sleep(0);
}

}  // namespace

int main() { rondo::run(talk()); }
