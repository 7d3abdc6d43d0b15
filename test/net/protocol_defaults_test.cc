// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "net/create_connection.h"
#include "net/datagram_endpoint.h"
#include "net/sock.h"
#include "net/subprocess.h"
#include "reactor/snapshot.h"
#include "test/net/transport_pair.h"

// A protocol overrides what it wants to hear of; the rest does nothing. What
// operations give can be made by hand, by who stands in for one in a test.

namespace rondo {
namespace {

using test::Calls;
using test::connect;
using test::connected_pair;
using test::finish;

/// A loop that is told of no error, and watches nothing in the end.
struct QuietLoop {
  ~QuietLoop() {
    EXPECT_EQ(reports.messages, Calls());
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
  }
  bool watches_nothing() {
    const bool none =
        run_until(loop, [&] { return loop.snapshot().descriptors.empty(); });
    run_passes(loop, 3);  // for connection_lost()
    return none;
  }
  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
};

TEST(ProtocolDefaults, AChildNeedsNone) {
  QuietLoop quiet;
  const auto child =
      finish(
          quiet.loop,
          subprocess_exec([] { return std::make_shared<SubprocessProtocol>(); },
                          argv("/bin/sh", "-c", "cat; exit 3"),
                          SubprocessOptions().stdin(PIPE).stdout(PIPE)))
          .transport;
  const auto input = child->get_pipe_transport(0);
  input->write(std::string(1 << 20, 'x'));  // pauses, and resumes
  input->close();
  ASSERT_TRUE(quiet.watches_nothing());
  EXPECT_EQ(child->get_returncode(), 3);
}

TEST(ProtocolDefaults, DatagramsNeedNone) {
  QuietLoop quiet;
  const auto endpoint =
      finish(
          quiet.loop,
          create_datagram_endpoint(
              [] { return std::make_shared<DatagramProtocol>(); },
              DatagramOptions().local_address(Address::inet("127.0.0.1", 0))))
          .transport;
  endpoint->set_write_buffer_limits(1);
  quiet.kernel.fail(KernelCall::kSendmmsg, EPERM);
  endpoint->sendto("refused", endpoint->sockname());
  run_passes(quiet.loop, 2);
  quiet.kernel.fail(KernelCall::kSendmmsg, EAGAIN);
  endpoint->sendto("waits", endpoint->sockname());
  EXPECT_EQ(endpoint->get_write_buffer_size(), 5u);
  const std::uint64_t reads = quiet.kernel.calls(KernelCall::kRecvmmsg);
  ASSERT_TRUE(run_until(quiet.loop, [&] {
    return quiet.kernel.calls(KernelCall::kRecvmmsg) > reads;
  }));
  EXPECT_EQ(endpoint->get_write_buffer_size(), 0u);
  endpoint->close();
  EXPECT_TRUE(quiet.watches_nothing());
}

/// Overrides what has no default.
class Buffered : public BufferedProtocol {
 public:
  std::span<char> get_buffer(std::size_t /*hint*/) override { return buffer_; }
  void buffer_updated(std::size_t size) override { size_ += size; }
  std::size_t size() const { return size_; }

 private:
  char buffer_[16] = {};
  std::size_t size_ = 0;
};

TEST(ProtocolDefaults, AConnectionEndsWithWhatThePeerSays) {
  QuietLoop quiet;
  const auto buffered = std::make_shared<Buffered>();
  for (const std::shared_ptr<BaseProtocol>& protocol :
       {std::shared_ptr<BaseProtocol>(std::make_shared<Protocol>()),
        std::shared_ptr<BaseProtocol>(buffered)}) {
    auto [mine, theirs] = connected_pair(quiet.kernel);
    const auto transport = connect(quiet.loop, std::move(mine), protocol);
    write_text(theirs.get(), "hello");
    ::shutdown(theirs.get(), SHUT_WR);
    ASSERT_TRUE(quiet.watches_nothing());
    EXPECT_TRUE(transport->is_closing());
  }
  EXPECT_EQ(buffered->size(), 5u);
}

TEST(Results, CanBeMadeByHand) {
  const auto protocol = std::make_shared<Protocol>();
  EXPECT_EQ(Connection(nullptr, protocol).protocol, protocol);
  const auto datagrams = std::make_shared<DatagramProtocol>();
  EXPECT_EQ(DatagramEndpoint(nullptr, datagrams).protocol, datagrams);
  const auto child = std::make_shared<SubprocessProtocol>();
  EXPECT_EQ(Subprocess(nullptr, child).protocol, child);
  const Datagram datagram("text", Address::inet("127.0.0.1", 53));
  EXPECT_EQ(datagram.data, "text");
  EXPECT_EQ(datagram.from.port(), 53);
  for (const Redirect& redirect : {INHERIT, PIPE, DEVNULL, STDOUT}) {
    EXPECT_EQ(Redirect(redirect.kind()).kind(), redirect.kind());
    EXPECT_EQ(redirect.descriptor(), -1);
  }
}

}  // namespace
}  // namespace rondo
