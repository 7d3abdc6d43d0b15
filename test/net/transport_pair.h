// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "net/create_connection.h"
#include "net/protocol.h"
#include "net/transport.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

namespace rondo::test {

using Calls = std::vector<std::string>;

/// The errno of a std::system_error; 0 for no error, -1 for another one.
inline int errno_of(const std::exception_ptr& error) {
  if (error == nullptr) return 0;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code().value();
  } catch (...) {
    return -1;
  }
}

/// What `call()` throws, as "type: text", or "nothing".
template <class Call>
std::string thrown_by(Call&& call) {
  try {
    call();
  } catch (...) {
    return describe(std::current_exception());
  }
  return "nothing";
}

/// What all recorders do: write down the calls, then do what they are told.
template <class Base>
class Recording : public Base {
 public:
  void connection_made(Transport& t) override {
    transport = &t;
    calls.emplace_back("made");
    if (on_made) on_made();
  }
  void connection_lost(std::exception_ptr e) override {
    ++losses;
    error = e;
    calls.emplace_back("lost");
    if (on_lost) on_lost();
  }
  void pause_writing() override {
    calls.emplace_back("pause");
    if (on_pause) on_pause();
  }
  void resume_writing() override {
    calls.emplace_back("resume");
    if (on_resume) on_resume();
  }
  bool eof_received() override {
    calls.emplace_back("eof");
    return on_eof && on_eof();
  }

  Calls calls;
  Transport* transport = nullptr;
  std::string received;
  std::exception_ptr error;
  int losses = 0;
  std::function<void()> on_made, on_lost, on_pause, on_resume;
  std::function<bool()> on_eof;
  std::function<void(std::string_view)> on_data;
};

/// A Protocol that writes down what it is called with.
class Recorder : public Recording<Protocol> {
 public:
  void data_received(std::string_view data) override {
    calls.emplace_back("data");
    received += data;
    if (on_data) on_data(data);
  }
};

/// The same for a BufferedProtocol, with a buffer of four bytes.
class BufferedRecorder : public Recording<BufferedProtocol> {
 public:
  std::span<char> get_buffer(std::size_t hint) override {
    hints.push_back(hint);
    if (on_get) on_get();
    return std::span<char>(buffer, size);
  }
  void buffer_updated(std::size_t count) override {
    calls.emplace_back("data");
    received.append(buffer, count);
    if (on_data) on_data(std::string_view(buffer, count));
  }

  std::vector<std::size_t> hints;
  std::function<void()> on_get;
  char buffer[4] = {};
  std::size_t size = sizeof buffer;
};

/// Two connected stream sockets of `kernel`, non-blocking.
inline std::pair<UniqueFd, UniqueFd> connected_pair(Kernel& kernel) {
  int both[2];
  if (kernel.socketpair(both) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  for (const int fd : both) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return {UniqueFd(both[0], kernel), UniqueFd(both[1], kernel)};
}

/// Runs `loop` until `operation` is done, and gives its result.
template <class Operation>
auto finish(EventLoop& loop, Operation operation) {
  auto task = std::move(operation).start(loop);
  EXPECT_TRUE(run_until(loop, [&] { return task.done(); }));
  return task.take_result();
}

/// Makes a transport of `socket`.
inline std::shared_ptr<Transport> connect(
    EventLoop& loop, UniqueFd socket, std::shared_ptr<BaseProtocol> protocol) {
  return finish(loop, create_connection([protocol] { return protocol; },
                                        std::move(socket)))
      .transport;
}

/// A transport on one end of a socket pair. The test holds the other end. At
/// the end nothing is left open, and nothing was closed twice.
struct TransportPair {
  explicit TransportPair(
      std::shared_ptr<Recorder> p = std::make_shared<Recorder>())
      : protocol(std::move(p)) {
    open(protocol);
  }
  explicit TransportPair(const std::shared_ptr<BufferedRecorder>& p) {
    open(p);
  }
  ~TransportPair() {
    peer.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
  }
  void open(const std::shared_ptr<BaseProtocol>& p) {
    auto [mine, theirs] = connected_pair(kernel);
    peer = std::move(theirs);
    transport = connect(loop, std::move(mine), p);
  }
  /// Runs until connection_lost() was called.
  bool run_to_end() {
    return run_until(loop, [&] { return protocol->losses > 0; });
  }
  /// The kernel takes nothing from now on: what is written waits.
  void block() {
    kernel.fail(KernelCall::kSend, EAGAIN, {.times = ScriptedKernel::kForever});
    kernel.fail(KernelCall::kSendmsg, EAGAIN,
                {.times = ScriptedKernel::kForever});
  }
  /// Runs until the peer has got `size` bytes.
  std::string read(std::size_t size) {
    std::string text;
    EXPECT_TRUE(run_until(loop, [&] {
      text += read_text(peer.get());
      return text.size() >= size;
    }));
    return text;
  }
  std::uint64_t sends() const {
    return kernel.calls(KernelCall::kSend) + kernel.calls(KernelCall::kSendmsg);
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<Recorder> protocol;
  std::shared_ptr<Transport> transport;
  UniqueFd peer;
};

}  // namespace rondo::test
