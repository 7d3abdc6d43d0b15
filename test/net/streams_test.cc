// SPDX-License-Identifier: MIT
#include "net/streams.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/task.h"
#include "reactor/errors.h"
#include "test/futures/bodies.h"
#include "test/support/descriptors.h"
#include "test/support/log_capture.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

namespace rondo {
namespace {

using test::end_of;
using test::Lines;

constexpr const char* kHost = "127.0.0.1";

/// A loop, servers on it, and clients.
struct Net {
  ~Net() {
    if (!loop.is_closed()) loop.close();
  }
  template <class Handler>
  Server serve(Handler&& handler) {
    return done(start_server(std::forward<Handler>(handler), kHost, 0));
  }
  static std::uint16_t port(const Server& server) {
    return server.sockets().at(0).getsockname().port();
  }
  Streams connect(const Server& server) {
    return done(open_connection(kHost, port(server)));
  }
  /// What an operation gives, or throws, in the end.
  template <class Operation>
  typename Operation::value_type done(Operation operation) {
    auto task = std::move(operation).start(loop);
    EXPECT_TRUE(run_until(loop, [&] { return task.done(); }));
    return task.take_result();
  }
  std::string line(const StreamReader& reader) {
    return done(reader.readline());
  }

  EventLoop loop;
  Reports reports{loop};
};

/// Echoes lines until there are no more; without coroutines.
class EchoLines {
 public:
  using value_type = void;
  EchoLines(StreamReader reader, StreamWriter writer)
      : reader_(std::move(reader)), writer_(std::move(writer)) {}
  Step step(Resumption& resumption) {
    for (;;) {
      if (read_ == nullptr) {
        read_ = std::make_unique<StreamReader::Read>(reader_.readline());
      }
      const Step step = read_->step(resumption);
      if (step.kind() != Step::Kind::kDone) return step;
      const std::string line = read_->result();
      read_.reset();
      if (line.empty()) {
        writer_.close();
        return Step::done();
      }
      if (line == "throw\n") throw std::runtime_error("as it was asked");
      if (line == "cancel\n") resumption.task().cancel();
      writer_.write("> " + line);
    }
  }
  void result() const noexcept {}
  static constexpr const char* kName = "echo_lines";

 private:
  StreamReader reader_;
  StreamWriter writer_;
  std::unique_ptr<StreamReader::Read> read_;
};

EchoLines echo_lines(StreamReader reader, StreamWriter writer) {
  return EchoLines(std::move(reader), std::move(writer));
}

// -- a conversation ----------------------------------------------------------

TEST(Streams, TalkToEachOther) {
  const std::size_t before = count_open_descriptors();
  {
    Net net;
    const Server server = net.serve(echo_lines);
    const Streams client = net.connect(server);
    client.writer.write("one\ntwo\nthr");
    EXPECT_EQ(net.line(client.reader), "> one\n");
    EXPECT_EQ(net.line(client.reader), "> two\n");
    client.writer.write("ee\n");
    EXPECT_EQ(net.line(client.reader), "> three\n");
    client.writer.write_eof();
    EXPECT_EQ(net.done(client.reader.read()), "");
    client.writer.close();
    server.close();
    const Future<void> closed = server.wait_closed();
    EXPECT_TRUE(run_until(net.loop, [&] { return closed.done(); }));
    EXPECT_EQ(net.reports.messages, Lines());
  }
  EXPECT_EQ(count_open_descriptors(), before);
}

TEST(Streams, TalkOverAUnixSocket) {
  Net net;
  const std::string name =
      std::string(1, '\0') + "rondo-streams-" + std::to_string(::getpid());
  const Server server = net.done(start_unix_server(echo_lines, name));
  const Streams client =
      net.done(open_unix_connection(name, ConnectOptions(), 3));
  client.writer.write("hi\n");
  EXPECT_EQ(net.done(client.reader.readexactly(5)), "> hi\n");
  EXPECT_NE(to_string(client.reader).find("limit=3"), std::string::npos);
}

TEST(Streams, SayTheSameHoweverTheConversationIsCutIntoSegments) {
  const std::string text = "GET /a\r\n\nbcd\n";
  const unsigned splits = 1u << (text.size() - 1);
  Net net;
  const Server server = net.serve(echo_lines);
  for (unsigned split = 0; split < splits; split += 37) {
    const Streams client = net.connect(server);
    for (std::size_t i = 0; i < text.size(); ++i) {
      client.writer.write(std::string_view(text).substr(i, 1));
      if ((split >> i & 1) != 0) run_passes(net.loop, 2);
    }
    client.writer.write_eof();
    ASSERT_EQ(net.done(client.reader.read()), "> GET /a\r\n> \n> bcd\n")
        << split;
    client.writer.close();
  }
}

TEST(Streams, ServeManyConnectionsAtOnce) {
  Net net;
  const Server server = net.serve(echo_lines);
  std::vector<Task<Streams>> opened;
  for (int i = 0; i < 20; ++i) {
    opened.push_back(open_connection(kHost, Net::port(server)).start(net.loop));
  }
  std::vector<Streams> clients;
  for (const auto& task : opened) {
    EXPECT_TRUE(run_until(net.loop, [&] { return task.done(); }));
    clients.push_back(task.result());
  }
  for (int i = 0; i < 20; ++i) {
    clients[i].writer.write(std::to_string(i) + "\n");
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(net.line(clients[i].reader), "> " + std::to_string(i) + "\n");
  }
}

// -- open_connection ---------------------------------------------------------

TEST(OpenConnection, ThrowsWhatConnectingHasFailedWith) {
  Net net;
  const Server server = net.serve(echo_lines);
  const std::uint16_t port = Net::port(server);
  server.close();
  EXPECT_THROW(net.done(open_connection(kHost, port)), std::system_error);
  EXPECT_THROW(net.done(open_unix_connection("no-such-socket")),
               std::system_error);
}

TEST(OpenConnection, RefusesALimitOfZero) {
  EXPECT_THROW(
      static_cast<void>(open_unix_connection("path", ConnectOptions(), 0)),
      std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(open_connection(kHost, 1, ConnectOptions(), 0)),
      std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(start_server(echo_lines, kHost, 0, ServerOptions(), 0)),
      std::invalid_argument);
}

TEST(OpenConnection, LeavesNoSocketBehindWhenItIsCancelled) {
  Net net;
  const Server server = net.serve(echo_lines);
  run_passes(net.loop, 2);
  const std::size_t before = count_open_descriptors();
  for (int passes = 0; passes < 6; ++passes) {
    auto opened = open_connection(kHost, Net::port(server)).start(net.loop);
    run_passes(net.loop, passes);
    const bool was_done = opened.done();
    opened.cancel();
    EXPECT_TRUE(run_until(net.loop, [&] { return opened.done(); }));
    EXPECT_EQ(opened.cancelled(), !was_done);
    if (was_done) opened.take_result().writer.transport().abort();
    EXPECT_TRUE(run_until(net.loop, [&] {
      return server.client_count() == 0 && count_open_descriptors() == before;
    })) << passes;
  }
}

// -- handlers ----------------------------------------------------------------

TEST(StartServer, CallsAPlainFunction) {
  Net net;
  const Server server = net.serve([](StreamReader, StreamWriter writer) {
    writer.write("hello and goodbye\n");
    writer.close();
  });
  const Streams client = net.connect(server);
  EXPECT_EQ(net.done(client.reader.read()), "hello and goodbye\n");
}

TEST(StartServer, LeavesTheConnectionOfAPlainFunctionOpen) {
  Net net;
  std::vector<StreamWriter> writers;
  const Server server =
      net.serve([&](StreamReader, StreamWriter w) { writers.push_back(w); });
  const Streams client = net.connect(server);
  EXPECT_TRUE(run_until(net.loop, [&] { return !writers.empty(); }));
  run_passes(net.loop, 5);
  writers[0].write("later\n");
  EXPECT_EQ(net.line(client.reader), "later\n");
}

TEST(StartServer, TakesAHandlerThatCanOnlyBeMoved) {
  Net net;
  auto text = std::make_unique<std::string>("moved\n");
  const Server server = net.serve(
      [text = std::move(text)](const StreamReader&, StreamWriter writer) {
        writer.write(*text);
        writer.close();
      });
  for (int i = 0; i < 2; ++i) {
    const Streams client = net.connect(server);
    EXPECT_EQ(net.done(client.reader.read()), "moved\n");
  }
}

// CPython 3.12; 3.11 leaves the connection open, and tells nobody until the
// task is collected.
TEST(StartServer, ClosesTheConnectionWhenItsHandlerFails) {
  Lines reported;
  Net net;
  net.loop.set_exception_handler([&](EventLoop&, const ExceptionContext& c) {
    reported.push_back(c.message + ": " + end_of(c.exception));
    for (const auto& [name, value] : c.extra) reported.push_back(name);
  });
  const Server server = net.serve(echo_lines);
  const Streams client = net.connect(server);
  client.writer.write("a\nthrow\nb\n");
  EXPECT_EQ(net.done(client.reader.read()), "> a\n");
  EXPECT_EQ(reported, (Lines{"Unhandled exception in client_connected_cb: "
                             "std::runtime_error('as it was asked')",
                             "transport"}));
  EXPECT_TRUE(run_until(net.loop, [&] { return server.client_count() == 0; }));
  const Streams next = net.connect(server);
  next.writer.write("still here\n");
  EXPECT_EQ(net.line(next.reader), "> still here\n");
}

TEST(StartServer, ClosesTheConnectionWhenItsHandlerIsCancelled) {
  Net net;
  const Server server = net.serve(echo_lines);
  const Streams client = net.connect(server);
  client.writer.write("cancel\n");
  EXPECT_EQ(net.done(client.reader.read()), "> cancel\n");
  EXPECT_EQ(net.reports.messages, Lines());
}

TEST(StartServer, EndsTheConnectionWhenAPlainFunctionThrows) {
  Net net;
  const Server server = net.serve([](StreamReader, StreamWriter writer) {
    writer.write("sent before");
    throw std::runtime_error("plainly");
  });
  const Streams client = net.connect(server);
  EXPECT_EQ(net.done(client.reader.read()), "sent before");
  EXPECT_EQ(net.reports.messages,
            Lines{"Fatal error: protocol.connection_made() call failed."});
  EXPECT_TRUE(run_until(net.loop, [&] { return server.client_count() == 0; }));
}

TEST(StartServer, KeepsTheHandlerWhileItsTaskRuns) {
  struct Handler {
    // The task looks at the handler when all else is gone.
    auto operator()(StreamReader, StreamWriter writer) const {
      return test::body([this, writer](Resumption& resumption) mutable {
        resumption.check();
        if (writer) {
          writer.transport().abort();
          writer = StreamWriter();
        }
        if (!*gone) return Step::yield();
        log->push_back(text);
        return Step::done();
      });
    }
    std::shared_ptr<bool> gone;
    Lines* log;
    std::string text;
  };
  Net net;
  Lines log;
  auto gone = std::make_shared<bool>(false);
  {
    const Server server = net.serve(
        Handler{gone, &log, "a text that does not fit into the object itself"});
    const Streams client = net.connect(server);
    EXPECT_TRUE(run_until(net.loop, [&] {
      return client.reader.at_eof() && server.client_count() == 0;
    }));
    server.close();
    client.writer.close();
  }
  run_passes(net.loop, 5);
  *gone = true;
  run_passes(net.loop, 5);
  EXPECT_EQ(log, Lines{"a text that does not fit into the object itself"});
}

TEST(StartServer, EndsWithItsLoopWhileHandlersWait) {
  const std::size_t before = count_open_descriptors();
  const LogCapture captured;
  StreamReader reader;
  StreamWriter writer;
  {
    Net net;
    const Server server = net.serve(echo_lines);
    const Streams client = net.connect(server);
    client.writer.write("a\n");
    EXPECT_EQ(net.line(client.reader), "> a\n");
    reader = client.reader;
    writer = client.writer;
    net.loop.close();
    EXPECT_TRUE(writer.is_closing());
  }
  EXPECT_EQ(count_open_descriptors(), before);
}

// -- memory ------------------------------------------------------------------

// A peer that sends and never reads: neither side grows without bound.
TEST(Streams, BoundWhatASlowPeerCosts) {
  Net net;
  std::vector<StreamReader> kept;
  const Server server = net.serve([&](StreamReader reader, StreamWriter) {
    kept.push_back(reader);  // and does not read
  });
  const Streams client = net.connect(server);
  const std::string piece(64 * 1024, 'x');
  std::size_t written = 0;
  for (int stuck = 0; stuck < 50;) {
    ASSERT_LT(written, std::size_t{1} << 30);
    auto drained = client.writer.write(piece).start(net.loop);
    written += piece.size();
    for (stuck = 0; !drained.done() && stuck < 50; ++stuck) {
      net.loop.poll_events(std::chrono::milliseconds(1));
      net.loop.collect();
      net.loop.run_ready();
    }
    if (!drained.done()) drained.cancel();
  }
  run_passes(net.loop, 2);
  EXPECT_LE(client.writer.transport().get_write_buffer_size(),
            64u * 1024 + 2 * piece.size());
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_NE(to_string(kept[0]).find("paused"), std::string::npos);
  // All of it comes when it is read.
  std::size_t got = 0;
  while (got < written) {
    const std::string some = net.done(kept[0].read(1 << 20));
    ASSERT_FALSE(some.empty());
    got += some.size();
  }
  EXPECT_EQ(got, written);
}

}  // namespace
}  // namespace rondo
