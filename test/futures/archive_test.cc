// SPDX-License-Identifier: MIT
#include "futures/archive.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "futures/errors.h"
#include "futures/internal/remote_exception.h"
#include "futures/remote_error.h"
#include "reactor/errors.h"
#include "test/futures/bodies.h"

// Archives, and exceptions in them: what travels between a ProcessPool and its
// workers, without the processes.

namespace app {

struct Point {
  double x = 0;
  double y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

/// Needs its serialise(): a string is not its bytes.
struct Person {
  std::string name;
  std::vector<Point> places;
  friend bool operator==(const Person&, const Person&) = default;
};

template <class Archive>
void serialise(Archive& archive, Person& person) {
  archive(person.name, person.places);
}

/// Trivially copyable, but has an opinion.
struct Celsius {
  int degrees = 0;
};

void serialise(rondo::WriteArchive& archive, const Celsius& celsius) {
  archive(celsius.degrees + 273);
}
void serialise(rondo::ReadArchive& archive, Celsius& celsius) {
  celsius.degrees = archive.read<int>() - 273;
}

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  int number;
};

struct ParseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace app

namespace rondo {
namespace {

/// `value`, written and read back; all of it.
template <class T>
T through(const T& value) {
  WriteArchive out;
  out(value);
  ReadArchive in(out.bytes());
  T copy = in.read<T>();
  EXPECT_TRUE(in.at_end());
  return copy;
}

TEST(Archive, CarriesNumbers) {
  EXPECT_EQ(through(42), 42);
  EXPECT_EQ(through(std::numeric_limits<std::int64_t>::min()),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(through(0.1), 0.1);
  EXPECT_EQ(through(true), true);
  EXPECT_EQ(through('x'), 'x');
  EXPECT_EQ(through(std::chrono::milliseconds(7)),
            std::chrono::milliseconds(7));
  __extension__ using Wide = unsigned __int128;
  const Wide wide = Wide{333333283333335ULL} * 1'000'000;
  EXPECT_TRUE(through(wide) == wide);
  enum class Colour { kRed, kBlue };
  EXPECT_EQ(through(Colour::kBlue), Colour::kBlue);
}

TEST(Archive, CarriesText) {
  EXPECT_EQ(through(std::string()), "");
  EXPECT_EQ(through(std::string("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(through(std::string(100'000, 'x')).size(), 100'000u);
}

TEST(Archive, CarriesWhatIsMadeOfOthers) {
  const std::pair<int, std::string> pair(1, "one");
  EXPECT_EQ(through(pair), pair);
  const std::tuple<int, std::string, std::pair<bool, char>> tuple(1, "two",
                                                                  {true, 'c'});
  EXPECT_EQ(through(tuple), tuple);
  EXPECT_EQ(through(std::tuple<>()), std::tuple<>());
  const std::array<std::string, 2> array = {"a", "b"};
  EXPECT_EQ(through(array), array);
  const std::array<int, 3> numbers = {1, 2, 3};
  EXPECT_EQ(through(numbers), numbers);
  EXPECT_EQ(through(std::optional<std::string>()), std::nullopt);
  EXPECT_EQ(through(std::optional<std::string>("x")), "x");
  EXPECT_EQ(through(std::optional<int>(3)), 3);
}

TEST(Archive, CarriesContainers) {
  EXPECT_EQ(through(std::vector<int>()), std::vector<int>());
  const std::vector<int> plain = {1, 2, 3};
  EXPECT_EQ(through(plain), plain);
  const std::vector<bool> bits = {true, false, true};
  EXPECT_EQ(through(bits), bits);
  const std::vector<std::vector<std::string>> nested = {{"a"}, {}, {"b", "c"}};
  EXPECT_EQ(through(nested), nested);
  const std::map<std::string, std::vector<int>> map = {{"a", {1}}, {"b", {}}};
  EXPECT_EQ(through(map), map);
  const std::set<std::string> set = {"x", "y"};
  EXPECT_EQ(through(set), set);
  const std::list<std::optional<int>> list = {1, std::nullopt};
  EXPECT_EQ(through(list), list);
  std::vector<app::NoDefault> no_default;
  no_default.emplace_back(7);
  EXPECT_EQ(through(no_default).at(0).number, 7);
}

TEST(Archive, CarriesTypesOfTheUsers) {
  const app::Point point = {1, 2};
  EXPECT_EQ(through(point), point);
  const app::Person person = {"Ada", {{1, 2}, {3, 4}}};
  EXPECT_EQ(through(person), person);
  const std::vector<app::Person> people = {person, {}};
  EXPECT_EQ(through(people), people);
  EXPECT_EQ(through(app::NoDefault(5)).number, 5);
}

TEST(Archive, PrefersATypesOwnSerialiseToItsBytes) {
  WriteArchive out;
  out(app::Celsius{20});
  EXPECT_EQ(ReadArchive(out.bytes()).read<int>(), 293);
  EXPECT_EQ(through(std::vector<app::Celsius>{{20}}).at(0).degrees, 20);
  EXPECT_EQ(through(std::array<app::Celsius, 1>{{{20}}})[0].degrees, 20);
}

TEST(Archive, CarriesTheAddressOfAFunction) {
  int (*const function)(int) = [](int n) { return n + 1; };
  EXPECT_EQ(through(function)(1), 2);
}

TEST(Archive, KnowsWhatHoldsAddresses) {
  static_assert(detail::kPointsAway<int*>);
  static_assert(detail::kPointsAway<const char*>);
  static_assert(detail::kPointsAway<std::string_view>);
  static_assert(detail::kPointsAway<std::reference_wrapper<int>>);
  static_assert(detail::kPointsAway<std::nullptr_t>);
  static_assert(!detail::kPointsAway<int (*)(int)>);
  static_assert(!detail::kPointsAway<std::vector<int>>);
}

TEST(Archive, ReadsIntoVariables) {
  WriteArchive out;
  out(1, std::string("two"), 3.0);
  ReadArchive in(out.bytes());
  int one = 0;
  std::string two;
  double three = 0;
  in(one, two, three);
  EXPECT_EQ(one, 1);
  EXPECT_EQ(two, "two");
  EXPECT_EQ(three, 3.0);
}

// A worker whose memory is in ruins may write anything.
TEST(Archive, ThrowsWhereverItIsCutShort) {
  using Value =
      std::tuple<int, std::string, std::vector<int>, std::optional<std::string>,
                 std::vector<std::string>>;
  WriteArchive out;
  out(Value(1, "two", {3, 4}, "five", {"six", ""}));
  const std::string all = std::move(out).take();
  for (std::size_t size = 0; size < all.size(); ++size) {
    ReadArchive in(std::string_view(all).substr(0, size));
    EXPECT_THROW(in.read<Value>(), std::out_of_range) << size;
  }
}

TEST(Archive, DoesNotBelieveInSizesWithoutBytes) {
  WriteArchive out;
  out(std::uint64_t{1} << 62);
  EXPECT_THROW(ReadArchive(out.bytes()).read<std::string>(), std::out_of_range);
  EXPECT_THROW(ReadArchive(out.bytes()).read<std::vector<int>>(),
               std::out_of_range);
  EXPECT_THROW(ReadArchive(out.bytes()).read<std::vector<std::string>>(),
               std::out_of_range);
}

// -- exceptions -------------------------------------------------------------

/// `error`, written and read back.
template <class E>
std::exception_ptr across(const E& error) {
  WriteArchive out;
  detail::write_exception(out, std::make_exception_ptr(error));
  ReadArchive in(out.bytes());
  const std::exception_ptr copy = detail::read_exception(in);
  EXPECT_TRUE(in.at_end());
  return copy;
}

template <class E>
void expect_same_type_and_text() {
  const std::exception_ptr copy = across(E("the text"));
  EXPECT_EQ(*copy.__cxa_exception_type(), typeid(E));
  EXPECT_EQ(repr(copy), repr(std::make_exception_ptr(E("the text"))));
}

TEST(RemoteException, KeepsTheTypeOfWhatTheLibrariesThrow) {
  expect_same_type_and_text<std::runtime_error>();
  expect_same_type_and_text<std::invalid_argument>();
  expect_same_type_and_text<std::out_of_range>();
  expect_same_type_and_text<std::logic_error>();
  expect_same_type_and_text<std::domain_error>();
  expect_same_type_and_text<std::length_error>();
  expect_same_type_and_text<std::range_error>();
  expect_same_type_and_text<std::overflow_error>();
  expect_same_type_and_text<std::underflow_error>();
  expect_same_type_and_text<RuntimeError>();
  expect_same_type_and_text<InvalidStateError>();
  expect_same_type_and_text<TimeoutError>();
  expect_same_type_and_text<CancelledError>();
  EXPECT_EQ(repr(across(CancelledError())), "CancelledError()");
  EXPECT_EQ(repr(across(SystemExit(3))), "SystemExit(3)");
  EXPECT_EQ(repr(across(KeyboardInterrupt())), "KeyboardInterrupt()");
  EXPECT_EQ(*across(std::bad_alloc()).__cxa_exception_type(),
            typeid(std::bad_alloc));
}

TEST(RemoteException, KeepsErrorCodes) {
  const auto check = [](const std::system_error& error) {
    try {
      std::rethrow_exception(across(error));
    } catch (const std::system_error& copy) {
      EXPECT_EQ(copy.code(), error.code());
      EXPECT_STREQ(copy.what(), error.what());
    }
  };
  check(std::system_error(ENOENT, std::system_category(), "open"));
  check(std::system_error(EMFILE, std::generic_category(), "a: b"));
  check(std::system_error(EMFILE, std::generic_category()));
}

TEST(RemoteException, IsTextOfAnyOtherType) {
  const auto remote = [](const std::exception_ptr& copy) {
    try {
      std::rethrow_exception(copy);
    } catch (const RemoteError& error) {
      return error;
    }
  };
  const RemoteError parse = remote(across(app::ParseError("line 3")));
  EXPECT_STREQ(parse.what(), "app::ParseError: line 3");
  EXPECT_EQ(parse.type(), "app::ParseError");
  EXPECT_EQ(parse.message(), "line 3");
  EXPECT_STREQ(remote(across(42)).what(), "int");
  const RemoteError again = remote(across(parse));
  EXPECT_STREQ(again.what(), "app::ParseError: line 3");
  EXPECT_EQ(remote(across(std::bad_array_new_length())).type(),
            "std::bad_array_new_length");
  EXPECT_EQ(remote(across(std::system_error(
                       std::make_error_code(std::future_errc::no_state))))
                .type(),
            "std::system_error");
}

TEST(RemoteException, RefusesWhatIsNone) {
  WriteArchive out;
  out(std::uint8_t{255});
  ReadArchive in(out.bytes());
  EXPECT_THROW(detail::read_exception(in), std::out_of_range);
}

}  // namespace
}  // namespace rondo
