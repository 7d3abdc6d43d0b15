// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "net/datagram_endpoint.h"
#include "test/net/transport_pair.h"

namespace rondo::test {

/// A DatagramProtocol that writes down what it is called with, and then does
/// what it is told.
class DatagramRecorder : public DatagramProtocol {
 public:
  void connection_made(DatagramTransport& t) override {
    transport = &t;
    calls.emplace_back("made");
    if (on_made) on_made();
  }
  void datagram_received(std::string_view data,
                         const Address& sender) override {
    if (keeps) {
      received.emplace_back(data);
      from = sender;
    }
    ++count;
    if (on_datagram) on_datagram(data, sender);
  }
  void error_received(std::error_code e) override {
    errors.push_back(e.value());
    if (on_error) on_error();
  }
  void pause_writing() override {
    calls.emplace_back("pause");
    if (on_pause) on_pause();
  }
  void resume_writing() override {
    calls.emplace_back("resume");
    if (on_resume) on_resume();
  }
  void connection_lost(std::exception_ptr e) override {
    ++losses;
    error = e;
    calls.emplace_back("lost");
    if (on_lost) on_lost();
  }

  Calls calls;
  DatagramTransport* transport = nullptr;
  std::vector<std::string> received;
  Address from;
  std::vector<int> errors;
  std::exception_ptr error;
  int losses = 0;
  std::size_t count = 0;
  bool keeps = true;  // what is received
  std::function<void()> on_made, on_lost, on_pause, on_resume, on_error;
  std::function<void(std::string_view, const Address&)> on_datagram;
};

/// Opens an endpoint with `options`.
inline std::shared_ptr<DatagramTransport> open_endpoint(
    EventLoop& loop, const DatagramOptions& options,
    const std::shared_ptr<DatagramRecorder>& protocol) {
  return finish(loop, create_datagram_endpoint([protocol] { return protocol; },
                                               options))
      .transport;
}

/// A port of this machine that the kernel chooses.
inline DatagramOptions any_port() {
  DatagramOptions options;
  options.local_address(Address::inet("127.0.0.1", 0));
  return options;
}

inline DatagramOptions connected_to(const Address& address) {
  DatagramOptions options;
  options.remote_address(address);
  return options;
}

/// An endpoint that is bound, and one that is connected to it. At the end
/// nothing is left open, and nothing was closed twice.
struct DatagramPair {
  DatagramPair() {
    bound = open_endpoint(loop, any_port(), server);
    connected = open_endpoint(loop, connected_to(bound->sockname()), client);
  }
  ~DatagramPair() {
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(server.use_count(), 1);
    EXPECT_EQ(client.use_count(), 1);
  }
  /// Runs until the server has got `count` datagrams.
  bool served(std::size_t count) {
    return run_until(loop, [&] { return server->count >= count; });
  }
  /// The kernel takes nothing from now on.
  void block(int error_number = EAGAIN) {
    kernel.fail(KernelCall::kSendmmsg, error_number,
                {.times = ScriptedKernel::kForever});
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<DatagramRecorder> server =
      std::make_shared<DatagramRecorder>();
  std::shared_ptr<DatagramRecorder> client =
      std::make_shared<DatagramRecorder>();
  std::shared_ptr<DatagramTransport> bound;
  std::shared_ptr<DatagramTransport> connected;
};

}  // namespace rondo::test
