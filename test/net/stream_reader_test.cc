// SPDX-License-Identifier: MIT
#include "net/stream_reader.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "futures/task.h"
#include "reactor/errors.h"
#include "reactor/repr.h"
#include "test/futures/bodies.h"
#include "test/futures/sync/sync_world.h"
#include "test/net/stream_pair.h"
#include "test/support/cancel_everywhere.h"
#include "test/support/script.h"

// What CPython's test_streams.py asks of a StreamReader, and what its limits,
// its errors and its cancels promise. Where no bytes are needed of a kernel
// the reader is fed by hand.

namespace rondo {
namespace {

using test::cancel_everywhere;
using test::destroy_everywhere;
using test::end_of;
using test::Lines;
using test::Script;
using test::StreamPair;
using test::World;

/// A reader that the test feeds.
struct Fed {
  explicit Fed(std::size_t limit = kStreamLimit) : reader(loop, limit) {}
  Fed(const std::string& text, bool has_eof, std::size_t limit = kStreamLimit)
      : Fed(limit) {
    reader.feed_data(text);
    if (has_eof) reader.feed_eof();
  }
  /// What a read gives that has no need to wait, or its exception.
  std::string now(StreamReader::Read read) {
    const Task<std::string> task = std::move(read).start(loop);
    return outcome(task);
  }
  static std::string outcome(const Task<std::string>& task) {
    if (!task.done() || task.cancelled() || task.exception() != nullptr) {
      return end_of(task);
    }
    return task.result();
  }
  Task<std::string> begin(StreamReader::Read read) {
    return std::move(read).start(loop);
  }

  VirtualTimeLoop loop;
  StreamReader reader;
};

std::string incomplete(const std::string& text) {
  return "rondo::IncompleteReadError('" + text + "')";
}
const char* const kFoundTooLate =
    "rondo::LimitOverrunError('Separator is found, but chunk is longer than "
    "limit')";
const char* const kNotFound =
    "rondo::LimitOverrunError('Separator is not found, and chunk exceed the "
    "limit')";

/// How many bytes a LimitOverrunError says were looked at.
std::size_t consumed_by(const Task<std::string>& task) {
  try {
    task.result();
  } catch (const LimitOverrunError& error) {
    return error.consumed();
  } catch (...) {
    ADD_FAILURE() << end_of(task);
  }
  return 0;
}

// -- read(size) --------------------------------------------------------------

TEST(StreamReader, GivesWhatIsThereUpToSize) {
  Fed fed("abcdef", false);
  EXPECT_EQ(fed.now(fed.reader.read(4)), "abcd");
  EXPECT_EQ(fed.now(fed.reader.read(4)), "ef");
}

TEST(StreamReader, WaitsForWhatComesNext) {
  Fed fed;
  const auto read = fed.begin(fed.reader.read(4));
  fed.loop.run_until_idle();
  EXPECT_FALSE(read.done());
  fed.reader.feed_data("xyz123");
  EXPECT_FALSE(read.done());  // in the next pass
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "xyz1");
  EXPECT_EQ(fed.now(fed.reader.read(4)), "23");
}

TEST(StreamReader, GivesNothingForZeroAndAtTheEnd) {
  Fed fed;
  EXPECT_EQ(fed.now(fed.reader.read(0)), "");
  const auto read = fed.begin(fed.reader.read(1));
  fed.reader.feed_eof();
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "");
  EXPECT_EQ(fed.now(fed.reader.read(5)), "");
}

TEST(StreamReader, IsNotWokenByNothing) {
  Fed fed;
  const auto read = fed.begin(fed.reader.read(1));
  fed.reader.feed_data("");
  fed.loop.run_until_idle();
  EXPECT_FALSE(read.done());
  fed.reader.feed_eof();
  fed.loop.run_until_idle();
}

// -- read() ------------------------------------------------------------------

TEST(StreamReader, ReadsAllUntilTheEnd) {
  Fed fed("one,", false, 4);
  const auto read = fed.begin(fed.reader.read());
  for (const char* piece : {"two,", "and much more than the limit,"}) {
    fed.reader.feed_data(piece);
    fed.loop.run_until_idle();
    EXPECT_FALSE(read.done());
  }
  fed.reader.feed_eof();
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "one,two,and much more than the limit,");
  EXPECT_EQ(fed.now(fed.reader.read()), "");
}

// -- readexactly() -----------------------------------------------------------

TEST(StreamReader, ReadsExactlyAsManyBytes) {
  Fed fed("abc", false);
  EXPECT_EQ(fed.now(fed.reader.readexactly(0)), "");
  const auto read = fed.begin(fed.reader.readexactly(5));
  fed.reader.feed_data("d");
  fed.loop.run_until_idle();
  EXPECT_FALSE(read.done());
  fed.reader.feed_data("efg");
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "abcde");
  EXPECT_EQ(fed.now(fed.reader.readexactly(2)), "fg");
}

TEST(StreamReader, ReadsExactlyMoreThanTheLimit) {
  Fed fed(std::string(100, 'x'), false, 3);
  EXPECT_EQ(fed.now(fed.reader.readexactly(100)).size(), 100u);
}

TEST(StreamReader, TellsWhatThereWasOfAnIncompleteRead) {
  Fed fed("ef", true);
  const auto read = fed.begin(fed.reader.readexactly(4));
  try {
    read.result();
    FAIL();
  } catch (const IncompleteReadError& error) {
    EXPECT_EQ(error.partial(), "ef");
    EXPECT_EQ(error.expected(), 4u);
    EXPECT_STREQ(error.what(), "2 bytes read on a total of 4 expected bytes");
  }
  EXPECT_TRUE(fed.reader.at_eof());  // they are gone
  EXPECT_EQ(fed.now(fed.reader.readexactly(0)), "");
  EXPECT_EQ(fed.now(fed.reader.readexactly(1)),
            incomplete("0 bytes read on a total of 1 expected bytes"));
}

// -- readline() --------------------------------------------------------------

TEST(StreamReader, GivesLinesAndThenTheRest) {
  Fed fed("line 1\nline 2\r\n\nrest", true);
  for (const char* line : {"line 1\n", "line 2\r\n", "\n", "rest", "", ""}) {
    EXPECT_EQ(fed.now(fed.reader.readline()), line);
  }
}

TEST(StreamReader, GathersALineFromItsPieces) {
  Fed fed("chunk1 ", false);
  const auto line = fed.begin(fed.reader.readline());
  for (const char* piece : {"chunk2 ", "chunk3 ", "\n chunk4"}) {
    EXPECT_FALSE(line.done());
    fed.reader.feed_data(piece);
    fed.loop.run_until_idle();
  }
  EXPECT_EQ(line.result(), "chunk1 chunk2 chunk3 \n");
  EXPECT_EQ(fed.now(fed.reader.read(99)), " chunk4");
}

TEST(StreamReader, HasRoomForALineOfTheLimitAndItsNewline) {
  Fed fed("12345678\n", false, 8);
  EXPECT_EQ(fed.now(fed.reader.readline()), "12345678\n");
  Fed large(std::string(kStreamLimit, 'x') + "\n", false);
  EXPECT_EQ(large.now(large.reader.readline()).size(), kStreamLimit + 1);
  Fed larger(std::string(kStreamLimit + 1, 'x') + "\n", false);
  EXPECT_EQ(larger.now(larger.reader.readline()),
            "std::length_error('Separator is found, but chunk is longer than "
            "limit')");
}

TEST(StreamReader, DropsALineThatIsTooLongAndNoMore) {
  Fed fed("0123456789\nnext\n", false, 8);
  EXPECT_EQ(fed.now(fed.reader.readline()),
            "std::length_error('Separator is found, but chunk is longer than "
            "limit')");
  EXPECT_EQ(fed.now(fed.reader.readline()), "next\n");
}

TEST(StreamReader, DropsAllOfALineThatDoesNotEnd) {
  Fed fed(8);
  const auto line = fed.begin(fed.reader.readline());
  fed.reader.feed_data("01234567");
  fed.loop.run_until_idle();
  EXPECT_FALSE(line.done());
  fed.reader.feed_data("8");
  fed.loop.run_until_idle();
  EXPECT_EQ(Fed::outcome(line),
            "std::length_error('Separator is not found, and chunk exceed the "
            "limit')");
  fed.reader.feed_data("new\n");
  EXPECT_EQ(fed.now(fed.reader.read(9)), "new\n");
}

// -- readuntil() -------------------------------------------------------------

TEST(StreamReader, ReadsUntilASeparator) {
  Fed fed("a||b||c", true);
  EXPECT_EQ(fed.now(fed.reader.readuntil("||")), "a||");
  EXPECT_EQ(fed.now(fed.reader.readuntil("||")), "b||");
  const auto rest = fed.begin(fed.reader.readuntil("||"));
  try {
    rest.result();
    FAIL();
  } catch (const IncompleteReadError& error) {
    EXPECT_EQ(error.partial(), "c");
    EXPECT_EQ(error.expected(), std::nullopt);
    EXPECT_STREQ(error.what(),
                 "1 bytes read on a total of undefined expected bytes");
  }
  EXPECT_TRUE(fed.reader.at_eof());
}

TEST(StreamReader, RefusesASeparatorOfNoBytes) {
  Fed fed;
  EXPECT_THROW(static_cast<void>(fed.reader.readuntil("")),
               std::invalid_argument);
  EXPECT_THROW(static_cast<void>(fed.reader.readuntil({"a", ""})),
               std::invalid_argument);
  EXPECT_THROW(
      static_cast<void>(fed.reader.readuntil(std::vector<std::string>())),
      std::invalid_argument);
}

// The search goes on behind what was searched; not behind the beginning of a
// separator that had not come whole.
TEST(StreamReader, FindsASeparatorThatComesInPieces) {
  const std::string separator = "AAB";
  const std::string text = "xAAxAAAB and more";
  for (std::size_t first = 0; first < text.size(); ++first) {
    for (std::size_t second = first; second < text.size(); ++second) {
      Fed fed;
      const auto read = fed.begin(fed.reader.readuntil(separator));
      for (const std::string& piece :
           {text.substr(0, first), text.substr(first, second - first),
            text.substr(second)}) {
        fed.reader.feed_data(piece);
        fed.loop.run_until_idle();
      }
      ASSERT_EQ(Fed::outcome(read), "xAAxAAAB") << first << " " << second;
      EXPECT_EQ(fed.now(fed.reader.read(99)), " and more");
    }
  }
}

TEST(StreamReader, LooksAtTheLastChunkBeforeItLooksAtTheEnd) {
  Fed fed("some dataAA", false);
  const auto read = fed.begin(fed.reader.readuntil("AAA"));
  fed.reader.feed_data("A");
  fed.reader.feed_eof();
  fed.loop.run_until_idle();
  EXPECT_EQ(Fed::outcome(read), "some dataAAA");
}

TEST(StreamReader, LeavesWhatIsOverTheLimitInTheBuffer) {
  Fed fed("some dataAA", false, 3);
  const auto read = fed.begin(fed.reader.readuntil("AAA"));
  EXPECT_EQ(end_of(read), kNotFound);
  EXPECT_EQ(consumed_by(read), 9u);
  EXPECT_EQ(fed.now(fed.reader.read(99)), "some dataAA");

  fed.reader.feed_data("some dataA");
  EXPECT_EQ(consumed_by(fed.begin(fed.reader.readuntil("A"))), 9u);
  EXPECT_EQ(end_of(fed.begin(fed.reader.readuntil("A"))), kFoundTooLate);
  EXPECT_EQ(fed.now(fed.reader.readexactly(10)), "some dataA");
}

TEST(StreamReader, MayNotFindASeparatorAtTheVeryEnd) {
  Fed fed("0123456789abcdefghij", false, 8);
  EXPECT_EQ(consumed_by(fed.begin(fed.reader.readuntil())), 20u);
}

TEST(StreamReader, AsksNothingOfTheLimitInAnotherRead) {
  Fed fed("0123456789", true, 2);
  EXPECT_EQ(fed.now(fed.reader.read(5)), "01234");
  EXPECT_EQ(fed.now(fed.reader.readexactly(4)), "5678");
  EXPECT_EQ(fed.now(fed.reader.read()), "9");
}

TEST(StreamReader, ReadsUntilTheSeparatorThatEndsFirst) {
  const std::vector<std::string> separators{"\r\n", "\n", ";"};
  Fed fed("one\r\ntwo\nthree;four", true);
  EXPECT_EQ(fed.now(fed.reader.readuntil(separators)), "one\r\n");
  EXPECT_EQ(fed.now(fed.reader.readuntil(separators)), "two\n");
  EXPECT_EQ(fed.now(fed.reader.readuntil(separators)), "three;");
  EXPECT_EQ(fed.now(fed.reader.readuntil(separators)),
            incomplete("4 bytes read on a total of undefined expected bytes"));
}

TEST(StreamReader, TakesTheShorterOfTwoSeparators) {
  Fed fed("some dataSEPSEPTEMBER", false);
  EXPECT_EQ(fed.now(fed.reader.readuntil({"SEPTEMBER", "SEP"})),
            "some dataSEP");
  // The longer one has begun, but the shorter may come before it ends.
  const auto read = fed.begin(fed.reader.readuntil({"TEMBERS", "!"}));
  fed.loop.run_until_idle();
  EXPECT_FALSE(read.done());
  fed.reader.feed_data("!");
  fed.loop.run_until_idle();
  EXPECT_EQ(Fed::outcome(read), "SEPTEMBER!");
}

// Two that end together: what counts for the limit is what is before the
// shorter one, as in CPython.
TEST(StreamReader, MeasuresTheChunkBeforeTheShorterSeparator) {
  Fed fed("abcdXY", false, 4);
  EXPECT_EQ(consumed_by(fed.begin(fed.reader.readuntil({"XY", "Y"}))), 5u);
  EXPECT_EQ(fed.now(fed.reader.readuntil("XY")), "abcdXY");
}

// -- its end, and errors -----------------------------------------------------

TEST(StreamReader, IsAtTheEndWhenAllOfItWasRead) {
  Fed fed("abc", false);
  EXPECT_FALSE(fed.reader.at_eof());
  fed.reader.feed_eof();
  EXPECT_FALSE(fed.reader.at_eof());
  EXPECT_EQ(fed.now(fed.reader.read(3)), "abc");
  EXPECT_TRUE(fed.reader.at_eof());
}

TEST(StreamReader, ThrowsWhatTheConnectionHasFailedWith) {
  Fed fed("buffered", false);
  EXPECT_EQ(fed.reader.exception(), nullptr);
  const auto error = std::make_exception_ptr(std::runtime_error("gone"));
  fed.reader.set_exception(error);
  EXPECT_EQ(fed.reader.exception(), error);
  StreamReader& r = fed.reader;
  EXPECT_EQ(fed.now(r.read(0)), "std::runtime_error('gone')");
  EXPECT_EQ(fed.now(r.read(1)), "std::runtime_error('gone')");
  EXPECT_EQ(fed.now(r.read()), "std::runtime_error('gone')");
  EXPECT_EQ(fed.now(r.readexactly(0)), "std::runtime_error('gone')");
  EXPECT_EQ(fed.now(r.readline()), "std::runtime_error('gone')");
  EXPECT_EQ(fed.now(r.readuntil("x")), "std::runtime_error('gone')");
}

TEST(StreamReader, WakesWhoeverWaitsWithTheError) {
  Fed fed("par", false);
  const auto line = fed.begin(fed.reader.readline());
  fed.loop.run_until_idle();
  fed.reader.set_exception(std::make_exception_ptr(
      std::system_error(ECONNRESET, std::generic_category(), "recv")));
  fed.loop.run_until_idle();
  EXPECT_EQ(end_of(line),
            "std::system_error('recv: Connection reset by peer')");
}

TEST(StreamReader, GivesAReadWhatCameBeforeTheError) {
  Fed fed;
  const auto line = fed.begin(fed.reader.readline());
  fed.reader.feed_data("whole\n");
  fed.reader.set_exception(std::make_exception_ptr(std::runtime_error("gone")));
  fed.loop.run_until_idle();
  EXPECT_EQ(Fed::outcome(line), "whole\n");
  EXPECT_EQ(fed.now(fed.reader.readline()), "std::runtime_error('gone')");
}

TEST(StreamReader, HasAnErrorForACancelledReadToo) {
  Fed fed;
  const auto read = fed.begin(fed.reader.readline());
  read.cancel();
  fed.reader.set_exception(std::make_exception_ptr(std::runtime_error("gone")));
  fed.loop.run_until_idle();
  EXPECT_TRUE(read.cancelled());
}

TEST(StreamReader, RefusesNoException) {
  Fed fed;
  const auto read = fed.begin(fed.reader.read(1));
  EXPECT_THROW(fed.reader.set_exception(nullptr), std::invalid_argument);
  fed.reader.feed_data("x");
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "x");
}

TEST(StreamReader, RefusesALimitOfZero) {
  VirtualTimeLoop loop;
  EXPECT_THROW(StreamReader(loop, 0), std::invalid_argument);
}

TEST(StreamReader, MayHaveNoLimit) {
  Fed fed(static_cast<std::size_t>(-1));
  const auto line = fed.begin(fed.reader.readline());
  fed.reader.feed_data(std::string(200'000, 'x'));
  fed.loop.run_until_idle();
  EXPECT_FALSE(line.done());
  fed.reader.feed_data("\n");
  fed.loop.run_until_idle();
  EXPECT_EQ(line.result().size(), 200'001u);
}

// -- one task at a time ------------------------------------------------------

std::string refusal(const std::string& name) {
  return "rondo::RuntimeError('" + name +
         "() called while another coroutine is already waiting for incoming "
         "data')";
}

TEST(StreamReader, RefusesASecondTaskThatReads) {
  Fed fed;
  const auto first = fed.begin(fed.reader.read(4));
  EXPECT_EQ(fed.now(fed.reader.read(1)), refusal("read"));
  EXPECT_EQ(fed.now(fed.reader.read()), refusal("read"));
  EXPECT_EQ(fed.now(fed.reader.readexactly(1)), refusal("readexactly"));
  EXPECT_EQ(fed.now(fed.reader.readline()), refusal("readuntil"));
  EXPECT_EQ(fed.now(fed.reader.readuntil("x")), refusal("readuntil"));
  fed.reader.feed_data("data");
  fed.loop.run_until_idle();
  EXPECT_EQ(first.result(), "data");
}

// asyncio lets the second one have the bytes; the first then believes in the
// end of the stream, or searches in the wrong place.
TEST(StreamReader, GivesNobodyElseWhatAReadWaitsFor) {
  Fed fed("half a ", false);
  const auto line = fed.begin(fed.reader.readline());
  EXPECT_EQ(fed.now(fed.reader.read(4)), refusal("read"));
  fed.reader.feed_data("line\n");
  EXPECT_EQ(fed.now(fed.reader.read(4)), refusal("read"));
  fed.loop.run_until_idle();
  EXPECT_EQ(Fed::outcome(line), "half a line\n");
}

TEST(StreamReader, MayBeReadOnceTheOtherTaskIsCancelled) {
  Fed fed;
  const auto cancelled = fed.begin(fed.reader.readline());
  cancelled.cancel();
  const auto read = fed.begin(fed.reader.read(1));
  fed.loop.run_until_idle();
  EXPECT_TRUE(cancelled.cancelled());
  EXPECT_FALSE(read.done());
  EXPECT_EQ(fed.now(fed.reader.read(1)), refusal("read"));
  fed.reader.feed_data("x");
  fed.loop.run_until_idle();
  EXPECT_EQ(read.result(), "x");
}

TEST(StreamReader, MeansTheSameStreamInACopy) {
  Fed fed;
  const StreamReader copy = fed.reader;
  copy.feed_data("abc");
  EXPECT_EQ(fed.now(fed.reader.read(3)), "abc");
  EXPECT_FALSE(StreamReader());
  EXPECT_TRUE(copy);
}

// -- cancels -----------------------------------------------------------------

/// A task that reads lines, cancelled anywhere; another reads what it left.
struct ReadsLines : World {
  explicit ReadsLines(int kind) : reader(loop, 4) {
    const auto one = [this, kind]() -> StreamReader::Read {
      switch (kind) {
        case 0:
          return reader.readline();
        case 1:
          return reader.read(100);
        case 2:
          return reader.readexactly(5);
        case 3:
          return reader.readuntil({"o\n", "wo"});
        default:
          return reader.read();
      }
    };
    const auto keep = [this](const std::string& text) { got += text; };
    victim = create_task(loop, Script(*this).await(one, keep).await(one, keep));
    create_task(loop, Script(*this)
                          .await([this] { return feed("on"); })
                          .await([this] { return feed("e\n"); })
                          .await([this] { return feed("two\n"); })
                          .await([this] { return feed("end\n"); })
                          .then([this] { reader.feed_eof(); }));
  }
  Future<void> feed(const std::string& text) {
    reader.feed_data(text);
    Future<void> later(loop);
    loop.call_soon([later] { later.set_result(); });
    return later;
  }
  void expect_sound() override {
    // Whatever was not read is still there.
    const auto rest = reader.read().start(loop);
    ASSERT_TRUE(rest.done());
    EXPECT_EQ(got + rest.result(), "one\ntwo\nend\n");
  }
  StreamReader reader;
  std::string got;
};

TEST(StreamReader, LosesNothingInACancel) {
  for (int kind = 0; kind < 5; ++kind) {
    SCOPED_TRACE(kind);
    const auto make = [kind] { return std::make_unique<ReadsLines>(kind); };
    EXPECT_GE(cancel_everywhere(make), 2);
    EXPECT_GE(destroy_everywhere(make), 2);
  }
}

// -- how the stream came to it -----------------------------------------------

TEST(StreamReader, GivesTheSameLinesHoweverTheBytesCome) {
  const std::string text = "GET\r\n\nab\n\r\nlast";
  const Lines lines{"GET\r\n", "\n", "ab\n", "\r\n", "last"};
  const unsigned splits = 1u << (text.size() - 1);
  for (unsigned split = 0; split < splits; ++split) {
    Fed fed;
    Lines got;
    const auto next = [&] { return fed.begin(fed.reader.readline()); };
    auto line = next();
    const auto take = [&] {
      fed.loop.run_until_idle();
      while (line.done() && !line.result().empty()) {
        got.push_back(line.result());
        line = next();
      }
    };
    std::size_t begin = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i + 1 < text.size() && (split >> i & 1) == 0) continue;
      fed.reader.feed_data(std::string_view(text).substr(begin, i + 1 - begin));
      begin = i + 1;
      take();
    }
    fed.reader.feed_eof();
    take();
    ASSERT_EQ(got, lines) << split;
  }
}

// The buffer is never empty, and all of it moves on all the time.
TEST(StreamReader, KeepsNoMoreMemoryThanItHasToRead) {
  Fed fed("0\n", false);
  test::forget_largest_block();
  for (int i = 1; i <= 20'000; ++i) {
    fed.reader.feed_data(std::to_string(i) + "\n");
    ASSERT_EQ(fed.now(fed.reader.readline()), std::to_string(i - 1) + "\n");
    if (i % 64 == 0) fed.loop.run_until_idle();
  }
  EXPECT_EQ(fed.now(fed.reader.read(99)), "20000\n");
#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
  EXPECT_LE(test::largest_block(), 64u * 1024);
#endif
}

TEST(StreamReader, AllocatesNothingForShortLines) {
  Fed fed;
  const auto round = [&] {
    const auto line = fed.begin(fed.reader.readline());
    fed.reader.feed_data("a line ");
    fed.reader.feed_data("more\n");
    run_passes(fed.loop, 2);
    EXPECT_EQ(line.result(), "a line more\n");
  };
  test::SyncWorld::expect_no_allocation(round);
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)

TEST(StreamReader, LosesNothingWhenMemoryRunsOut) {
  using test::FailingAllocations;
  const std::string text = std::string(300, 'x') + "\n" +
                           std::string(500, 'y') + "\nand a long, long rest";
  int failures = 0;
  for (std::uint64_t nth = 1; nth < 12; ++nth) {
    Fed fed;
    std::string got;
    got.reserve(text.size());
    const FailingAllocations failing(nth, FailingAllocations::Mode::kOnce);
    for (std::size_t at = 0; at < text.size();) {
      try {
        fed.reader.feed_data(std::string_view(text).substr(at, 100));
        at += 100;
      } catch (const std::bad_alloc&) {
        ++failures;
      }
    }
    const auto read = [&](auto&& make) {
      for (;;) {
        try {
          const Task<std::string> task = make().start(fed.loop);
          if (task.exception() == nullptr) return void(got += task.result());
        } catch (const std::bad_alloc&) {  // it has not begun
        }
        ++failures;
      }
    };
    read([&] { return fed.reader.readline(); });
    read([&] { return fed.reader.readuntil("y\n"); });
    read([&] { return fed.reader.readexactly(20); });
    fed.reader.feed_eof();
    read([&] { return fed.reader.read(); });
    ASSERT_EQ(got, text) << nth;
  }
  EXPECT_GE(failures, 5);
}

#endif  // RONDO_TEST_OPERATOR_NEW_IS_TAKEN

// -- with a transport --------------------------------------------------------

TEST(StreamReader, PausesTheTransportAboveTwiceTheLimit) {
  StreamPair pair(10);
  Transport& transport = pair.writer.transport();
  write_text(pair.peer.get(), std::string(20, 'x'));
  EXPECT_TRUE(run_until(pair.loop, [&] {
    return to_string(pair.reader).find("20 bytes") != std::string::npos;
  }));
  EXPECT_TRUE(transport.is_reading());
  write_text(pair.peer.get(), "y");
  EXPECT_TRUE(run_until(pair.loop, [&] { return !transport.is_reading(); }));
  EXPECT_NE(to_string(pair.reader).find(" paused"), std::string::npos);
  // What comes now stays where it is.
  write_text(pair.peer.get(), "zzz");
  run_passes(pair.loop, 5);
  const auto some = pair.reader.read(10).start(pair.loop);
  EXPECT_EQ(some.result(), std::string(10, 'x'));
  EXPECT_FALSE(transport.is_reading()) << "11 bytes are more than the limit";
  const auto one = pair.reader.readexactly(1).start(pair.loop);
  EXPECT_EQ(one.result(), "x");
  EXPECT_TRUE(transport.is_reading());
  const auto rest = pair.reader.readexactly(13).start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return rest.done(); }));
  EXPECT_EQ(rest.result(), std::string(9, 'x') + "yzzz");
}

TEST(StreamReader, ResumesATransportWhenItWaits) {
  StreamPair pair(10);
  Transport& transport = pair.writer.transport();
  write_text(pair.peer.get(), std::string(30, 'x'));
  EXPECT_TRUE(run_until(pair.loop, [&] { return !transport.is_reading(); }));
  const auto much = pair.reader.readexactly(50).start(pair.loop);
  EXPECT_TRUE(transport.is_reading());
  write_text(pair.peer.get(), std::string(20, 'y'));
  EXPECT_TRUE(run_until(pair.loop, [&] { return much.done(); }));
  EXPECT_EQ(much.result(), std::string(30, 'x') + std::string(20, 'y'));
}

TEST(StreamReader, ReadsAllThroughATransportThatPauses) {
  StreamPair pair(1'000);
  const auto all = pair.reader.read().start(pair.loop);
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const std::string piece(5'000, static_cast<char>('a' + i % 26));
    write_text(pair.peer.get(), piece);
    sent += piece;
    run_passes(pair.loop, 2);
  }
  pair.peer.reset();
  EXPECT_TRUE(run_until(pair.loop, [&] { return all.done(); }));
  EXPECT_EQ(all.result(), sent);
}

TEST(StreamReader, ResumesWhenALongLineWasDropped) {
  StreamPair pair(10);
  Transport& transport = pair.writer.transport();
  write_text(pair.peer.get(), std::string(30, 'x') + "\n");
  EXPECT_TRUE(run_until(pair.loop, [&] { return !transport.is_reading(); }));
  const auto line = pair.reader.readline().start(pair.loop);
  EXPECT_NE(end_of(line).find("length_error"), std::string::npos);
  EXPECT_TRUE(transport.is_reading());
}

TEST(StreamReader, MayOutliveItsTransport) {
  StreamPair pair(10);
  write_text(pair.peer.get(), std::string(30, 'x'));
  EXPECT_TRUE(run_until(pair.loop,
                        [&] { return !pair.writer.transport().is_reading(); }));
  pair.writer.transport().abort();
  run_passes(pair.loop, 3);
  pair.writer = StreamWriter();
  const auto rest = pair.reader.read().start(pair.loop);
  EXPECT_EQ(rest.result(), std::string(30, 'x'));
  EXPECT_TRUE(pair.reader.at_eof());
}

// -- as text -----------------------------------------------------------------

TEST(StreamReader, ShowsItselfAsAsyncioDoes) {
  VirtualTimeLoop loop;
  EXPECT_EQ(to_string(StreamReader()), "<StreamReader>");
  const StreamReader fresh(loop);
  EXPECT_EQ(to_string(fresh), "<StreamReader>");
  const StreamReader reader(loop, 123);
  reader.feed_data("data");
  EXPECT_EQ(to_string(reader), "<StreamReader 4 bytes limit=123>");
  reader.feed_eof();
  EXPECT_EQ(to_string(reader), "<StreamReader 4 bytes eof limit=123>");
  reader.set_exception(std::make_exception_ptr(std::runtime_error("gone")));
  EXPECT_EQ(to_string(reader),
            "<StreamReader 4 bytes eof limit=123 "
            "exception=std::runtime_error('gone')>");

  const auto line = fresh.readline().start(loop);
  EXPECT_EQ(to_string(fresh).find("<StreamReader waiter=<Future pending"), 0u);
  fresh.feed_eof();
  EXPECT_EQ(to_string(fresh), "<StreamReader eof>");
  loop.run_until_idle();

  StreamPair pair;
  EXPECT_EQ(
      to_string(pair.reader),
      "<StreamReader transport=" + to_string(pair.writer.transport()) + ">");
}

}  // namespace
}  // namespace rondo
