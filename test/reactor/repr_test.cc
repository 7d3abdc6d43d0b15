// SPDX-License-Identifier: MIT
#include "reactor/repr.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/testing/virtual_time.h"

// repr.h: "A short, readable form of an argument, for to_string(handle).
// Numbers and text as Python's reprlib.repr".
//
// What is expected of text and numbers was printed by CPython 3.11.2's
// reprlib.repr, with which asyncio shows arguments.

namespace rondo {
namespace {

using namespace std::string_literals;

// -- text --------------------------------------------------------------------

struct Pair {
  std::string text;
  std::string expected;
};

TEST(Repr, QuotesAndEscapesTextAsPython) {
  const Pair table[] = {
      {"", "''"},
      {"x", "'x'"},
      {"it's", R"("it's")"},
      {"\"", R"('"')"},
      {"'\"", R"('\'"')"},
      {"\\", R"('\\')"},
      {"a\tb\nc\rd", R"('a\tb\nc\rd')"},
      {"\0\x1b\x7f"s, R"('\x00\x1b\x7f')"},
      {"'''''", "\"'''''\""},
      {"é€😀", "'é€😀'"},
  };
  for (const auto& [text, expected] : table) {
    EXPECT_EQ(repr_text(text), expected);
    EXPECT_EQ(repr(text), expected);
    EXPECT_EQ(repr(std::string_view(text)), expected);
  }
}

// "the middle left out beyond 30 characters": quotes and escapes counted.
TEST(Repr, LeavesTheMiddleOfLongTextOutAsPython) {
  const std::string y(100, 'y');
  const Pair table[] = {
      {y.substr(0, 28), "'" + y.substr(0, 28) + "'"},
      {y.substr(0, 29), "'yyyyyyyyyyyy...yyyyyyyyyyyyy'"},
      {y.substr(0, 30), "'yyyyyyyyyyyy...yyyyyyyyyyyyy'"},
      {y, "'yyyyyyyyyyyy...yyyyyyyyyyyyy'"},
      {"abcdefghijklmnopqrstuvwxyz0123456789",
       "'abcdefghijkl...xyz0123456789'"},
      {"don't" + y, "\"don'tyyyyyyy...yyyyyyyyyyyyy\""},
      {y + "don't", "\"yyyyyyyyyyyy...yyyyyyyydon't\""},
      {std::string(20, 'a') + R"('''''""""")" + std::string(20, 'b'),
       "'aaaaaaaaaaaa...bbbbbbbbbbbbb'"},
      {std::string(28, '\'') + "\"", R"('\'\'\'\'\'\'...\'\'\'\'\'\'"')"},
      {std::string(14, '\n'), R"('\n\n\n\n\n\n\n\n\n\n\n\n\n\n')"},
      {std::string(15, '\n'), R"('\n\n\n\n\n\n...n\n\n\n\n\n\n')"},
  };
  for (const auto& [text, expected] : table) {
    EXPECT_EQ(repr_text(text), expected);
  }
}

// Text of less than 14 characters that is long by its escapes alone: Python's
// slices begin to count from the other end there, and so do ours.
TEST(Repr, LeavesTheMiddleOfShortTextOutAsPython) {
  const std::string control =
      "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
  const Pair table[] = {
      {std::string(7, '\x01'), R"('\x01\x01\x01\x01\x01\x01\x01')"},
      {std::string(8, '\x01'), R"('\x01\x01\x01...1\x01\x01\x01')"},
      {control.substr(0, 11), R"('\x01\x02\x03...n\x0b\t\n\x0b')"},
      {control.substr(0, 13), R"('\x01\x02\x03...n\x0b\x0c\r\r')"},
      {control.substr(0, 14), R"('\x01\x02\x03...x0b\x0c\r\x0e')"},
      {control, R"('\x01\x02\x03...x0c\r\x0e\x0f')"},
  };
  for (const auto& [text, expected] : table) {
    EXPECT_EQ(repr_text(text), expected);
  }
}

std::string repeat(int count, const char* text) {
  std::string repeated;
  for (int index = 0; index < count; ++index) repeated += text;
  return repeated;
}

// Characters, not bytes: a cut goes between two of them.
TEST(Repr, CountsCharactersNotBytes) {
  const Pair table[] = {
      {repeat(28, "é"), "'" + repeat(28, "é") + "'"},
      {repeat(29, "é"), "'" + repeat(12, "é") + "..." + repeat(13, "é") + "'"},
      {repeat(12, "a€😀"),
       "'" + repeat(4, "a€😀") + "...😀" + repeat(4, "a€😀") + "'"},
      {"é" + repeat(20, "\n"), R"('é\n\n\n\n\n\...n\n\n\n\n\n\n')"},
  };
  for (const auto& [text, expected] : table) {
    EXPECT_EQ(repr_text(text), expected);
  }
}

// Bytes that are no text are shown somehow, in bounds.
TEST(Repr, SurvivesBytesThatAreNoText) {
  for (const char byte : {'\x80', '\xbf', '\xc3', '\xff'}) {
    for (const std::size_t size : {1u, 13u, 14u, 29u, 100u}) {
      const std::string text = repr_text(std::string(size, byte));
      EXPECT_TRUE(text.starts_with("'") && text.ends_with("'"));
    }
  }
}

TEST(Repr, TakesWhateverConvertsToText) {
  EXPECT_EQ(repr("literal"), "'literal'");
  const char* pointer = "pointer";
  EXPECT_EQ(repr(pointer), "'pointer'");
  char array[] = "array";
  EXPECT_EQ(repr(array), "'array'");
  EXPECT_EQ(repr(static_cast<char*>(array)), "'array'");
}

TEST(Repr, SurvivesNullText) {
  EXPECT_EQ(repr(static_cast<const char*>(nullptr)), "None");
  EXPECT_EQ(repr(static_cast<char*>(nullptr)), "None");
  EXPECT_EQ(repr(nullptr), "None");
}

TEST(Repr, WritesACharacterAsText) {
  EXPECT_EQ(repr('x'), "'x'");
  EXPECT_EQ(repr('\''), "\"'\"");
  EXPECT_EQ(repr('\0'), "'\\x00'");
}

// -- numbers -----------------------------------------------------------------

TEST(Repr, WritesIntegersAsPython) {
  EXPECT_EQ(repr(0), "0");
  EXPECT_EQ(repr(-7), "-7");
  EXPECT_EQ(repr(std::numeric_limits<std::int64_t>::min()),
            "-9223372036854775808");
  EXPECT_EQ(repr(std::numeric_limits<std::uint64_t>::max()),
            "18446744073709551615");
  EXPECT_EQ(repr(std::uint8_t{200}), "200");
  EXPECT_EQ(repr(std::int8_t{-100}), "-100");
  EXPECT_EQ(repr(short{5}), "5");
  EXPECT_EQ(repr(true), "True");
  EXPECT_EQ(repr(false), "False");
}

TEST(Repr, WritesFloatsAsPython) {
  const struct {
    double number;
    const char* expected;
  } table[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {-2.5, "-2.5"},
      {0.1, "0.1"},
      {0.30000000000000004, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"},
      {123456.789, "123456.789"},
      {100000.0, "100000.0"},
      {1e15, "1000000000000000.0"},
      {9999999999999998.0, "9999999999999998.0"},
      {1e16, "1e+16"},
      {1.5e16, "1.5e+16"},
      {123456789012345680.0, "1.2345678901234568e+17"},
      {1e22, "1e+22"},
      {1e100, "1e+100"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {0.001, "0.001"},
      {0.0001, "0.0001"},
      {0.00012345, "0.00012345"},
      {0.00001, "1e-05"},
      {1.5e-5, "1.5e-05"},
      {1e-7, "1e-07"},
      {5e-324, "5e-324"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {std::numeric_limits<double>::infinity(), "inf"},
      {-std::numeric_limits<double>::infinity(), "-inf"},
      {std::numeric_limits<double>::quiet_NaN(), "nan"},
      {-std::numeric_limits<double>::quiet_NaN(), "nan"},
  };
  for (const auto& [number, expected] : table) {
    EXPECT_EQ(repr(number), expected);
  }
  EXPECT_EQ(repr(0.5f), "0.5");
  EXPECT_EQ(repr(0.25L), "0.25");
}

// -- objects -----------------------------------------------------------------

struct Printed {
  std::string text = "<printed>";
};
std::string to_string(const Printed& printed) { return printed.text; }

struct Silent {};

enum class Color { kRed };

// "an object with a to_string() of its own by that, shortened; a pointer or
// std::reference_wrapper to such an object likewise"
TEST(Repr, WritesAnObjectByItsOwnToString) {
  const Printed printed;
  EXPECT_EQ(repr(printed), "<printed>");
  EXPECT_EQ(repr(&printed), "<printed>");
  EXPECT_EQ(repr(std::ref(printed)), "<printed>");
  EXPECT_EQ(repr(static_cast<const Printed*>(nullptr)), "None");
  const Printed* pointer = &printed;
  EXPECT_EQ(repr(&pointer).substr(0, 1), "<") << "a pointer to a pointer";
}

TEST(Repr, ShortensWhatAnObjectSays) {
  const std::string digits = "0123456789";
  EXPECT_EQ(repr(Printed{digits + digits + digits}), digits + digits + digits);
  EXPECT_EQ(repr(Printed{digits + digits + digits + "x"}),
            "0123456789012...789" + digits + "x");
  EXPECT_EQ(repr(Printed{repeat(31, "é")}),
            repeat(13, "é") + "..." + repeat(14, "é"));
}

// The document's own example: `<_UnixSelecto...e debug=False>` in asyncio.
TEST(Repr, ShortensALoop) {
  VirtualTimeLoop loop;
  EXPECT_EQ(repr(static_cast<EventLoop*>(&loop)),
            "<EventLoop ru...e debug=False>");
  EXPECT_EQ(repr(std::ref(static_cast<EventLoop&>(loop))),
            "<EventLoop ru...e debug=False>");
  EXPECT_EQ(
      repr_shortened("<EventLoop running=False closed=False debug=False>"),
      "<EventLoop ru...e debug=False>");
}

std::string address_of(const void* object) {
  char text[24];
  std::snprintf(text, sizeof text, "%p", object);
  return text;
}

// "anything else as `<Type object at 0x...>`"
TEST(Repr, WritesAnythingElseAsItsTypeAndAddress) {
  const Silent silent;
  EXPECT_EQ(repr(silent),
            repr_shortened("<rondo::(anonymous namespace)::Silent "
                           "object at " +
                           address_of(&silent) + ">"));
  int number = 5;
  EXPECT_EQ(repr(&number),
            repr_shortened("<int* object at " + address_of(&number) + ">"));
  EXPECT_TRUE(repr(Color::kRed).starts_with("<rondo::(anon"));
  EXPECT_TRUE(repr(std::make_unique<int>(1)).starts_with("<std::"));
  EXPECT_TRUE(repr(std::vector<int>()).starts_with("<std::"));
}

// A reference to something silent shows that, not the reference.
TEST(Repr, LooksThroughAReference) {
  Silent silent;
  EXPECT_EQ(repr(std::ref(silent)), repr(silent));
  int number = 7;
  EXPECT_EQ(repr(std::ref(number)), "7");
  std::string text = "text";
  EXPECT_EQ(repr(std::ref(text)), "'text'");
}

}  // namespace
}  // namespace rondo
