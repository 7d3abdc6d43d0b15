// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "net/streams.h"
#include "test/futures/bodies.h"
#include "test/support/cancel_everywhere.h"
#include "test/support/descriptors.h"

// Streams as coroutines use them.

namespace rondo {
namespace {

using test::Lines;
using test::World;

// A type that can stand in a co_await expression is no aggregate: g++ 12
// would destroy it twice.
static_assert(!std::is_aggregate_v<StreamReader>);
static_assert(!std::is_aggregate_v<StreamReader::Read>);
static_assert(!std::is_aggregate_v<StreamWriter>);
static_assert(!std::is_aggregate_v<StreamWriter::Drain>);
static_assert(!std::is_aggregate_v<Streams>);
static_assert(!std::is_aggregate_v<OpenConnection>);

std::uint16_t port_of(const Server& server) {
  return server.sockets().at(0).getsockname().port();
}

Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (;;) {
    const std::string data = co_await reader.read(65536);
    if (data.empty()) break;
    co_await writer.write(data);
  }
  writer.close();
  co_await writer.wait_closed();
}

Coro<std::string> ask(std::uint16_t port, std::string question) {
  const Streams s = co_await open_connection("127.0.0.1", port);
  co_await s.writer.write(question + "\n");
  std::string answer = co_await s.reader.readline();
  s.writer.close();
  co_await s.writer.wait_closed();
  co_return answer;
}

TEST(StreamsCoro, EchoForSeveralClients) {
  const std::size_t before = count_open_descriptors();
  const auto main = []() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    auto both =
        gather(ask(port_of(server), "one"), ask(port_of(server), "two"));
    const auto answers = co_await std::move(both);
    EXPECT_EQ(std::get<0>(answers), "one\n");
    EXPECT_EQ(std::get<1>(answers), "two\n");
    server.close();
    co_await server.wait_closed();
  };
  run(main());
  EXPECT_EQ(count_open_descriptors(), before);
}

TEST(StreamsCoro, LoseNothingToATimeout) {
  const auto main = []() -> Coro<> {
    SocketPair pair;
    const Streams s = co_await open_connection(std::move(pair.a));
    write_text(pair.b.get(), "half a ");
    bool has_timed_out = false;
    try {
      auto line = wait_for(s.reader.readline(), 0.01);
      co_await std::move(line);
    } catch (const TimeoutError&) {
      has_timed_out = true;
    }
    EXPECT_TRUE(has_timed_out);
    write_text(pair.b.get(), "line\n");
    EXPECT_EQ(co_await s.reader.readline(), "half a line\n");
    // Nor does the end of the connection.
    has_timed_out = false;
    try {
      auto closed = wait_for(s.writer.wait_closed(), 0.01);
      co_await std::move(closed);
    } catch (const TimeoutError&) {
      has_timed_out = true;
    }
    EXPECT_TRUE(has_timed_out);
    s.writer.close();
    co_await s.writer.wait_closed();
  };
  run(main());
}

TEST(StreamsCoro, CarryMuchBothWaysAtOnce) {
  const auto main = []() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    const Streams s = co_await open_connection("127.0.0.1", port_of(server));
    std::string sent;
    const auto send = [&]() -> Coro<> {
      for (int i = 0; i < 200; ++i) {
        const std::string piece(20'000, static_cast<char>('a' + i % 26));
        sent += piece;
        co_await s.writer.write(piece);
      }
      s.writer.write_eof();
    };
    Task<void> sender = create_task(send());
    const std::string got = co_await s.reader.read();
    co_await sender;
    EXPECT_TRUE(got == sent) << got.size() << " of " << sent.size();
    s.writer.close();
    server.close();
    co_await server.wait_closed();
  };
  run(main());
}

TEST(StreamsCoro, KeepALambdaWhileItsCoroutineRuns) {
  Lines log;
  const auto main = [&log]() -> Coro<> {
    const std::string text = "a text that does not fit into the object itself";
    {
      auto handler = [text, &log](StreamReader, StreamWriter writer) -> Coro<> {
        {
          const StreamWriter mine = std::move(writer);
          mine.transport().abort();
        }
        co_await sleep(0.02);
        log.push_back(text);
      };
      const Server server = co_await start_server(handler, "127.0.0.1", 0);
      const Streams s = co_await open_connection("127.0.0.1", port_of(server));
      EXPECT_EQ(co_await s.reader.read(), "");
      server.close();
      s.writer.close();
      co_await s.writer.wait_closed();
    }
    co_await sleep(0.05);
    EXPECT_EQ(log, Lines{text});
  };
  run(main());
}

/// Reads records of a length and so many bytes, cancelled anywhere.
struct ReadsRecords : World {
  ReadsRecords() : reader(loop) {
    victim = create_task(loop, read_records());
    create_task(loop, feed());
  }
  Coro<> read_records() {
    const Alive alive(*this);
    for (;;) {
      const std::string head = co_await reader.readuntil(":");
      got += head;
      const auto size = static_cast<std::size_t>(head[0] - '0');
      got += co_await reader.readexactly(size);
      moment();
    }
  }
  Coro<> feed() {
    for (const char* piece : {"3", ":a", "bc2:", "de5:fgh", "ij", "0:9:"}) {
      reader.feed_data(piece);
      co_await sleep(0);
    }
    reader.feed_eof();
  }
  void expect_sound() override {
    if (!victim.cancelled()) {
      EXPECT_NE(test::end_of(victim).find("IncompleteReadError"),
                std::string::npos);
      EXPECT_EQ(got, "3:abc2:de5:fghij0:9:");
      return;
    }
    const auto rest = reader.read().start(loop);
    EXPECT_EQ(got + rest.result(), "3:abc2:de5:fghij0:9:");
  }
  StreamReader reader;
  std::string got;
};

TEST(StreamsCoro, LoseNothingInACancel) {
  EXPECT_GE(test::cancel_everywhere<ReadsRecords>(), 5);
  EXPECT_GE(test::destroy_everywhere<ReadsRecords>(), 5);
}

}  // namespace
}  // namespace rondo
