// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "net/internal/stream_protocol.h"
#include "test/net/stream_pair.h"
#include "test/support/allocation.h"

// Where the bytes of a stream are between recv(2) and the read that takes
// them. What is large stays where recv(2) has put it, for who waits; whatever
// happens before he goes on, nothing of it is lost, and nothing is mixed up.

namespace rondo {
namespace {

using test::FailingAllocations;
using test::StreamPair;

constexpr std::size_t kLarge = 20'000;

/// So many bytes that tell where they are, and whose.
std::string numbered(std::size_t size, int seed = 0) {
  std::string text;
  for (int n = seed; text.size() < size; n += 7) text += std::to_string(n);
  text.resize(size);
  return text;
}

/// A reader that waits in `read`, and what has come for it.
Task<std::string> woken(StreamPair& pair, StreamReader::Read read,
                        const std::string& text) {
  auto task = std::move(read).start(pair.loop);
  EXPECT_FALSE(task.done());
  write_text(pair.peer.get(), text);
  EXPECT_TRUE(run_until(pair.loop, [&] {
    return to_string(pair.reader).find(" bytes") != std::string::npos;
  }));
  EXPECT_FALSE(task.done()) << "it goes on in the next pass";
  return task;
}

TEST(StreamMemory, GivesALargeMessageWhole) {
  StreamPair pair;
  const std::string text = numbered(kLarge);
  for (int round = 0; round < 3; ++round) {
    const auto task = woken(pair, pair.reader.read(1 << 20), text);
    run_passes(pair.loop, 2);
    EXPECT_EQ(task.result(), text);
  }
}

TEST(StreamMemory, GivesALargeMessageInPieces) {
  StreamPair pair;
  const std::string text = numbered(kLarge) + "\n" + numbered(kLarge, 3);
  const auto task = woken(pair, pair.reader.read(100), text);
  run_passes(pair.loop, 2);
  std::string got = task.result();
  const auto line = pair.reader.readline().start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return line.done(); }));
  got += line.result();
  EXPECT_EQ(got.size(), kLarge + 1);
  const auto rest = pair.reader.readexactly(kLarge).start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return rest.done(); }));
  EXPECT_EQ(got + rest.result(), text);
}

TEST(StreamMemory, JoinsWhatComesToWhatCameBefore) {
  StreamPair pair;
  const std::string text = numbered(3 * kLarge);
  const auto task =
      woken(pair, pair.reader.readexactly(3 * kLarge), text.substr(0, kLarge));
  run_passes(pair.loop, 2);
  EXPECT_FALSE(task.done());
  write_text(pair.peer.get(), text.substr(kLarge));
  EXPECT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
  EXPECT_EQ(task.result(), text);
}

TEST(StreamMemory, LosesNothingOfALargeMessageInACancel) {
  StreamPair pair;
  const std::string text = numbered(2 * kLarge);
  const auto task =
      woken(pair, pair.reader.read(1 << 20), text.substr(0, kLarge));
  task.cancel();
  run_passes(pair.loop, 2);
  EXPECT_TRUE(task.cancelled());
  write_text(pair.peer.get(), text.substr(kLarge));
  const auto rest = pair.reader.readexactly(2 * kLarge).start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return rest.done(); }));
  EXPECT_EQ(rest.result(), text);
}

TEST(StreamMemory, MixesUpNoConnections) {
  EventLoop loop;
  Reports reports(loop);
  struct Talk {
    UniqueFd peer;
    Streams streams;
    Task<std::string> task;
    std::string text;
  };
  std::array<Talk, 80> talks;  // more than one pass brings
  for (std::size_t n = 0; n < talks.size(); ++n) {
    SocketPair pair;
    auto opened = open_connection(std::move(pair.a)).start(loop);
    ASSERT_TRUE(run_until(loop, [&] { return opened.done(); }));
    talks[n].peer = std::move(pair.b);
    talks[n].streams = opened.result();
    talks[n].text = numbered(kLarge, static_cast<int>(n));
  }
  for (int round = 0; round < 3; ++round) {
    for (Talk& talk : talks) {
      talk.task = talk.streams.reader.read(1 << 20).start(loop);
      write_text(talk.peer.get(), talk.text);
    }
    for (Talk& talk : talks) {
      ASSERT_TRUE(run_until(loop, [&] { return talk.task.done(); }));
      EXPECT_EQ(talk.task.result(), talk.text);
    }
  }
}

TEST(StreamMemory, MayBeDroppedWithALargeMessageUnread) {
  StreamPair pair;
  woken(pair, pair.reader.read(1 << 20), numbered(kLarge)).cancel();
  run_passes(pair.loop, 2);
  pair.writer.transport().abort();
  pair.reader = StreamReader();
  pair.writer = StreamWriter();
  run_passes(pair.loop, 3);
}

TEST(StreamMemory, MayOutliveItsLoop) {
  StreamReader reader;
  StreamWriter writer;
  {
    StreamPair pair;
    reader = pair.reader;
    writer = pair.writer;
    write_text(pair.peer.get(), numbered(kLarge));
    run_passes(pair.loop, 3);
  }
  EXPECT_FALSE(reader.at_eof());
  EXPECT_TRUE(writer.is_closing());
}

TEST(StreamMemory, OfAConnectionIsOneSmallObject) {
  EXPECT_LE(sizeof(detail::StreamProtocol), 104u);
  EXPECT_LE(sizeof(StreamReader), sizeof(void*));
  EXPECT_LE(sizeof(StreamWriter), sizeof(void*));
  EXPECT_LE(sizeof(StreamReader::Read), 32u);
  EXPECT_LE(sizeof(StreamWriter::Drain), 16u);
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)

TEST(StreamMemory, LosesNothingOfALargeMessageWhenThereIsNoMore) {
  const std::string text = numbered(kLarge) + "\n" + numbered(kLarge, 3);
  int failures = 0;
  for (std::uint64_t nth = 1; nth < 8; ++nth) {
    StreamPair pair;
    auto task = woken(pair, pair.reader.read(100), text);
    std::string got;
    got.reserve(text.size());
    const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
    while (got.size() < text.size()) {
      try {
        if (!task) {
          task = pair.reader.read(text.size() - got.size()).start(pair.loop);
        }
        while (!task.done()) pair.loop.run_once();
        const Task<std::string> done = std::exchange(task, {});
        if (done.exception() == nullptr) {
          got += done.result();
        } else {
          ++failures;
        }
      } catch (const std::bad_alloc&) {
        ++failures;
      }
    }
    EXPECT_EQ(got, text) << nth;
  }
  EXPECT_GE(failures, 1);
}

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN

}  // namespace
}  // namespace rondo
