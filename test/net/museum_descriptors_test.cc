// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/pipe.h"
#include "net/server.h"
#include "net/sock.h"
#include "net/streams.h"
#include "reactor/snapshot.h"
#include "test/net/datagram_pair.h"
#include "test/net/tls_pair.h"
#include "test/net/transport_pair.h"

// Bugs of others about descriptors: a number that has got another owner, a
// duplicate that outlives the original, an operation that is cancelled. Which
// test is for which bug: test/museum.md.

namespace rondo {
namespace {

using test::Calls;
using test::DatagramPair;
using test::DatagramRecorder;
using test::finish;
using test::Recorder;
using test::TransportPair;

// -- a number with another owner ----------------------------------------------

/// Two connected sockets, the first one under the given number, as if the
/// kernel had chosen that.
SocketPair pair_under(int number) {
  SocketPair pair;
  if (pair.b.get() == number) std::swap(pair.a, pair.b);
  if (pair.a.get() == number) return pair;
  move_onto(std::move(pair.a), number);
  pair.a = UniqueFd(number);
  return pair;
}

enum class Kind { kSocket, kTls, kReadPipe, kWritePipe };
constexpr Kind kKinds[] = {Kind::kSocket, Kind::kTls, Kind::kReadPipe,
                           Kind::kWritePipe};

/// A transport that has ended, and the number that it had.
struct Former {
  Former(EventLoop& loop, Kind kind) {
    switch (kind) {
      case Kind::kSocket: {
        SocketPair pair;
        number = pair.a.get();
        transport = test::connect(loop, std::move(pair.a), protocol);
        break;
      }
      case Kind::kTls: {
        SocketPair pair;
        number = pair.a.get();
        const auto begin = [&](UniqueFd& socket,
                               const std::shared_ptr<Recorder>& recorder,
                               const TlsOptions& tls) {
          return create_connection([recorder] { return recorder; },
                                   std::move(socket), ConnectOptions().tls(tls))
              .start(loop);
        };
        auto mine = begin(pair.a, protocol, test::client_options());
        auto theirs = begin(pair.b, std::make_shared<Recorder>(),
                            TlsOptions(test::server_context()));
        EXPECT_TRUE(
            run_until(loop, [&] { return mine.done() && theirs.done(); }));
        transport = mine.take_result().transport;
        break;
      }
      case Kind::kReadPipe: {
        Pipe pipe;
        number = pipe.reader.get();
        transport = finish(loop, connect_read_pipe([this] { return protocol; },
                                                   std::move(pipe.reader)))
                        .transport;
        break;
      }
      case Kind::kWritePipe: {
        Pipe pipe;
        number = pipe.writer.get();
        transport = finish(loop, connect_write_pipe([this] { return protocol; },
                                                    std::move(pipe.writer)))
                        .transport;
        break;
      }
    }
    transport->close();
    EXPECT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
    run_passes(loop, 3);
  }
  /// All that a program might still call.
  void use() const {
    const std::vector<std::function<void(Transport&)>> calls = {
        [](Transport& t) { t.write("nobody's"); },
        [](Transport& t) { t.write_eof(); },
        [](Transport& t) { t.pause_reading(); },
        [](Transport& t) { t.resume_reading(); },
        [](Transport& t) { t.set_write_buffer_limits(0); },
        [](Transport& t) { t.get_write_buffer_size(); },
        [](Transport& t) { t.close(); },
        [](Transport& t) { t.abort(); }};
    for (const auto& call : calls) {
      try {
        call(*transport);
      } catch (const RuntimeError&) {  // of another direction
      }
    }
  }

  std::shared_ptr<Recorder> protocol = std::make_shared<Recorder>();
  std::shared_ptr<Transport> transport;
  int number = -1;
};

TEST(DescriptorMuseum, ATransportThatHasEndedLeavesTheNextOwnerAlone) {
  for (const Kind kind : kKinds) {
    EventLoop loop;
    const Reports reports(loop);
    Former former(loop, kind);
    // A watcher of the loop's, and then another transport, has the number now.
    for (const bool is_transport : {false, true}) {
      SocketPair next = pair_under(former.number);
      const auto protocol = std::make_shared<Recorder>();
      std::shared_ptr<Transport> transport;
      int reads = 0;
      if (is_transport) {
        transport = test::connect(loop, std::move(next.a), protocol);
      } else {
        loop.add_reader(former.number, [&] {
          ++reads;
          read_text(former.number);
        });
      }
      former.use();
      run_passes(loop, 3);
      write_text(next.b.get(), "still there?");
      run_passes(loop, 3);
      EXPECT_EQ(is_transport ? protocol->received : "still there?",
                "still there?");
      EXPECT_EQ(reads, is_transport ? 0 : 1);
      EXPECT_EQ(read_text(next.b.get()), "");
      if (is_transport) {
        transport->abort();
        run_passes(loop, 2);
      } else {
        EXPECT_TRUE(loop.remove_reader(former.number));
      }
    }
    former.transport.reset();
    EXPECT_EQ(former.protocol->losses, 1);
    EXPECT_EQ(reports.messages, Calls());
  }
}

TEST(DescriptorMuseum, AnEndpointThatHasEndedLeavesTheNextOwnerAlone) {
  EventLoop loop;
  const auto protocol = std::make_shared<DatagramRecorder>();
  const auto former = test::open_endpoint(loop, test::any_port(), protocol);
  const int number = former->fd();
  const Address nobody = former->sockname();
  former->close();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  const SocketPair next = pair_under(number);
  std::string got;
  loop.add_reader(number, [&] { got += read_text(number); });
  former->sendto("nobody's", nobody);
  former->get_write_buffer_size();
  former->close();
  former->abort();
  write_text(next.b.get(), "still there?");
  run_passes(loop, 3);
  EXPECT_EQ(got, "still there?");
  EXPECT_TRUE(loop.remove_reader(number));
}

// In asyncio the number of a writer that nobody closes is free while the loop
// still watches it: the next connection under that number is never read.
TEST(DescriptorMuseum, StreamsThatNobodyClosesDoNotSilenceTheNextConnection) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const Server server =
      finish(loop, start_server(
                       [](const StreamReader&, const StreamWriter& writer) {
                         writer.write("hello\n");  // and forgets it
                       },
                       "127.0.0.1", 0));
  const std::uint16_t port = server.sockets().at(0).getsockname().port();
  for (std::size_t round = 1; round <= 20; ++round) {
    // Those of the clients are forgotten, too: dropped while they are open.
    const Streams streams = finish(loop, open_connection("127.0.0.1", port));
    EXPECT_EQ(finish(loop, streams.reader.readline()), "hello\n");
  }
  // Both ends are open, and somebody who asks is told so.
  EXPECT_EQ(server.client_count(), 20u);
  server.close();
  server.close_clients();
  const Future<void> closed = server.wait_closed();
  EXPECT_TRUE(run_until(loop, [&] { return closed.done(); }));
  EXPECT_EQ(reports.messages, Calls());
  loop.close();
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

TEST(DescriptorMuseum, EndpointsThatNobodyKeepsGoOn) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const Reports reports(loop);
  const auto protocol = std::make_shared<DatagramRecorder>();
  DatagramOptions options = test::any_port();
  options.reuse_port(true);
  const Address address =
      test::open_endpoint(loop, options, protocol)->sockname();
  DatagramOptions same;
  same.local_address(address).reuse_port(true);
  for (int round = 0; round < 90; ++round) {
    test::open_endpoint(loop, same, protocol);
    run_one_pass(loop);
  }
  const UniqueFd raw(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::sendto(raw.get(), "hello", 5, 0, address.native(),
                     address.native_size()),
            5);
  ASSERT_TRUE(run_until(loop, [&] { return protocol->count == 1; }));
  EXPECT_EQ(protocol->losses, 0);
  EXPECT_EQ(reports.messages, Calls());
  loop.close();
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
}

// -- a duplicate that outlives the original -----------------------------------

/// Nothing is reported, though something is readable and writable.
void expect_silence(EventLoop& loop) {
  const std::uint64_t before = loop.stats().events;
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().events, before);
  EXPECT_EQ(loop.stats().rebuilds, 0u) << "it was taken out before it closed";
}

TEST(DescriptorMuseum, ADuplicateOfAClosedSocketWakesNobody) {
  for (const bool was_writing : {false, true}) {
    TransportPair pair;
    const UniqueFd copy = duplicate(pair.transport->fd());
    if (was_writing) {
      pair.block();
      pair.transport->write("waits");
      run_passes(pair.loop, 2);
    }
    pair.transport->abort();
    ASSERT_TRUE(pair.run_to_end());
    write_text(pair.peer.get(), "for the duplicate");
    expect_silence(pair.loop);
    EXPECT_EQ(read_text(copy.get()), "for the duplicate");
  }
}

TEST(DescriptorMuseum, ADuplicateOfAClosedEndpointWakesNobody) {
  DatagramPair pair;
  const UniqueFd copy = duplicate(pair.bound->fd());
  const Address address = pair.bound->sockname();
  pair.bound->abort();
  ASSERT_TRUE(run_until(pair.loop, [&] { return pair.server->losses > 0; }));
  const UniqueFd raw(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(
      ::sendto(raw.get(), "x", 1, 0, address.native(), address.native_size()),
      1);
  expect_silence(pair.loop);
  char byte = 0;
  EXPECT_EQ(::recv(copy.get(), &byte, 1, MSG_DONTWAIT), 1);
}

TEST(DescriptorMuseum, ADuplicateOfAClosedPipeWakesNobody) {
  for (const bool reads : {false, true}) {
    EventLoop loop;
    const auto protocol = std::make_shared<Recorder>();
    const auto factory = [protocol] { return protocol; };
    Pipe pipe;
    const UniqueFd copy =
        duplicate(reads ? pipe.reader.get() : pipe.writer.get());
    const std::shared_ptr<Transport> transport =
        reads
            ? finish(loop, connect_read_pipe(factory, std::move(pipe.reader)))
                  .transport
            : finish(loop, connect_write_pipe(factory, std::move(pipe.writer)))
                  .transport;
    transport->abort();
    ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
    if (reads) write_text(pipe.writer.get(), "x");
    (reads ? pipe.writer : pipe.reader).reset();  // a hangup, too
    expect_silence(loop);
  }
}

TEST(DescriptorMuseum, ADuplicateOfAClosedListenerWakesNobody) {
  EventLoop loop;
  const auto server =
      finish(loop, create_server([] { return std::make_shared<Recorder>(); },
                                 "127.0.0.1", 0));
  const Address address = server.sockets().at(0).getsockname();
  const UniqueFd copy = duplicate(server.sockets().at(0).fd());
  server.close();
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), address.native(), address.native_size()),
            0);
  expect_silence(loop);
}

// -- an operation that is cancelled -------------------------------------------

/// A socket that listens, and one that is being connected to it: nobody else
/// gets in.
struct Busy {
  Busy() {
    const Address any = Address::inet("127.0.0.1", 0);
    EXPECT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
    EXPECT_EQ(::listen(listener.get(), 0), 0);
    ::sockaddr_storage storage;
    ::socklen_t size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    EXPECT_EQ(::getsockname(listener.get(), native, &size), 0);
    address = Address::from_native(native, size);
    for (UniqueFd& filler : fillers) {
      filler = tcp();
      ::connect(filler.get(), address.native(), address.native_size());
    }
  }
  static UniqueFd tcp() {
    return UniqueFd(
        ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  UniqueFd listener = tcp();
  Address address;
  UniqueFd fillers[4];
};

/// Cancels `task`, and closes `fd` in the very moment in which somebody can
/// know that it was: asyncio forgets it a pass later, when the number may have
/// another owner.
template <class T>
void expect_forgotten(EventLoop& loop, const Task<T>& task, UniqueFd& fd) {
  run_passes(loop, 2);
  ASSERT_FALSE(task.done());
  ASSERT_EQ(loop.snapshot().descriptors.size(), 1u);
  task.cancel();
  ASSERT_TRUE(run_until(loop, [&] {
    return loop.snapshot().descriptors.empty() || task.done();
  }));
  EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
  const int number = fd.get();
  fd.reset();
  SocketPair next = pair_under(number);
  fd = std::move(next.a);
  std::string got;
  loop.add_reader(number, [&] { got += read_text(number); });
  write_text(next.b.get(), "mine");
  run_passes(loop, 3);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(got, "mine");
  EXPECT_TRUE(loop.remove_reader(number));
}

TEST(DescriptorMuseum, ACancelledOperationIsForgottenBeforeAnybodyHearsOfIt) {
  const Busy busy;
  {
    EventLoop loop;
    UniqueFd socket = Busy::tcp();
    const auto task = sock_connect(socket.get(), busy.address).start(loop);
    expect_forgotten(loop, task, socket);
  }
  {
    EventLoop loop;
    SocketPair pair;
    const auto task = sock_recv(pair.a.get(), 10).start(loop);
    expect_forgotten(loop, task, pair.a);
  }
  {
    EventLoop loop;
    SocketPair pair;
    fill(pair.a.get());
    const auto task = sock_sendall(pair.a.get(), "x").start(loop);
    expect_forgotten(loop, task, pair.a);
  }
  {
    EventLoop loop;
    UniqueFd listener = Busy::tcp();
    const Address any = Address::inet("127.0.0.1", 0);
    ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    const auto task = sock_accept(listener.get()).start(loop);
    expect_forgotten(loop, task, listener);
  }
}

// The socket was closed below a waiting operation: a mistake, but not one that
// the next owner of the number has to pay for when that is cancelled.
TEST(DescriptorMuseum, AnOperationWhoseSocketIsGoneLeavesTheNextOwnerAlone) {
  for (const bool sends : {false, true}) {
    for (const bool runs_between : {false, true}) {
      SCOPED_TRACE(std::string(sends ? "sends" : "receives") +
                   (runs_between ? ", later" : ", at once"));
      EventLoop loop;
      const Reports reports(loop);
      SocketPair pair;
      const int number = pair.a.get();
      if (sends) fill(number);
      auto receiving =
          sends ? Task<std::string>() : sock_recv(number, 10).start(loop);
      auto sending =
          sends ? sock_sendall(number, "x").start(loop) : Task<void>();
      run_passes(loop, 2);
      pair.a.reset();
      SocketPair next = pair_under(number);
      const auto protocol = std::make_shared<Recorder>();
      const auto transport = test::connect(loop, std::move(next.a), protocol);
      if (runs_between) run_passes(loop, 3);
      sends ? sending.cancel() : receiving.cancel();
      run_passes(loop, 3);
      EXPECT_TRUE(sends ? sending.cancelled() : receiving.cancelled());
      write_text(next.b.get(), "still there?");
      run_passes(loop, 3);
      EXPECT_EQ(protocol->received, "still there?");
      EXPECT_EQ(protocol->losses, 0);
      transport->abort();
      run_passes(loop, 2);
    }
  }
}

// A connection that was there when the cancel came is with the operation or
// with the next one, at whatever moment of the pass that was.
TEST(DescriptorMuseum, AConnectionIsLostToNoCancelledAccept) {
  int cancelled = 0;
  for (int moment = 0; moment < 12; ++moment) {
    SCOPED_TRACE(moment);
    EventLoop loop;
    UniqueFd listener = Busy::tcp();
    const Address any = Address::inet("127.0.0.1", 0);
    ASSERT_EQ(::bind(listener.get(), any.native(), any.native_size()), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ::sockaddr_storage storage;
    ::socklen_t size = sizeof storage;
    auto* native = reinterpret_cast<::sockaddr*>(&storage);
    ASSERT_EQ(::getsockname(listener.get(), native, &size), 0);
    const Address address = Address::from_native(native, size);
    auto task = sock_accept(listener.get()).start(loop);
    run_passes(loop, 1);
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), address.native(), address.native_size()),
              0);
    // The steps of a pass, one after the other.
    const std::function<void()> steps[] = {
        [&] { loop.poll_events(Duration::zero()); }, [&] { loop.collect(); },
        [&] { loop.run_ready(); }};
    for (int step = 0; step < moment; ++step) steps[step % 3]();
    task.cancel();
    for (int step = moment; step < 18; ++step) steps[step % 3]();
    ASSERT_TRUE(task.done());
    cancelled += task.cancelled() ? 1 : 0;
    const AcceptedSocket accepted =
        task.cancelled() ? finish(loop, sock_accept(listener.get()))
                         : task.take_result();
    write_text(client.get(), "here");
    EXPECT_EQ(finish(loop, sock_recv(accepted.socket.get(), 10)), "here");
  }
  EXPECT_GT(cancelled, 0);
  EXPECT_LT(cancelled, 12);
}

}  // namespace
}  // namespace rondo
