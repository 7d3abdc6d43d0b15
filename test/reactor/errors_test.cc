// SPDX-License-Identifier: MIT
#include "reactor/errors.h"

#include <gtest/gtest.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

namespace rondo {
namespace {

// "it is no std::exception, so that `catch (const std::exception&)` lets it
// pass"
static_assert(!std::is_base_of_v<std::exception, SystemExit>);
static_assert(!std::is_base_of_v<std::exception, KeyboardInterrupt>);
static_assert(std::is_base_of_v<std::runtime_error, RuntimeError>);

struct Foreign {};
class Own : public std::exception {
 public:
  const char* what() const noexcept override { return "my own words"; }
};

template <class E>
std::string described(E error) {
  return describe(std::make_exception_ptr(error));
}

TEST(RuntimeError, SaysWhatItWasGiven) {
  EXPECT_STREQ(RuntimeError("Event loop is closed").what(),
               "Event loop is closed");
}

// "`code` is the exit status that the program is to end with."
TEST(SystemExit, CarriesAnExitStatus) {
  EXPECT_EQ(SystemExit().code(), 0);
  EXPECT_EQ(SystemExit(7).code(), 7);
}

// ""Type: message" of what `error` holds, the last line of a Python
// traceback: `std::runtime_error: no route`."
TEST(Describe, SaysTypeAndMessage) {
  EXPECT_EQ(described(std::runtime_error("no route")),
            "std::runtime_error: no route");
  EXPECT_EQ(described(RuntimeError("Event loop is closed")),
            "rondo::RuntimeError: Event loop is closed");
  EXPECT_EQ(described(std::bad_alloc()), "std::bad_alloc: std::bad_alloc");
  EXPECT_EQ(described(std::system_error(
                std::make_error_code(std::errc::connection_reset), "recv")),
            "std::system_error: recv: Connection reset by peer");
}

// The type is what was thrown, not what it was caught as.
TEST(Describe, SaysTheTypeThatWasThrown) {
  EXPECT_TRUE(described(Own()).ends_with("Own: my own words"));
}

TEST(Describe, KnowsWhatIsNoException) {
  EXPECT_EQ(described(SystemExit(7)), "rondo::SystemExit: 7");
  EXPECT_EQ(described(KeyboardInterrupt()), "rondo::KeyboardInterrupt");
  EXPECT_EQ(described("text"), "const char*: text");
  EXPECT_EQ(described(std::string("text")), "std::string: text");
  EXPECT_EQ(described(5), "int");
  EXPECT_TRUE(described(Foreign()).ends_with("Foreign"));
}

TEST(Describe, SurvivesANullText) {
  EXPECT_EQ(described(static_cast<const char*>(nullptr)), "const char*: null");
}

TEST(Describe, OfNothingSaysSo) {
  EXPECT_EQ(describe(nullptr), "no exception");
  EXPECT_EQ(describe(std::exception_ptr()), "no exception");
}

// "Never throws what it holds": also inside of a handler of another one.
TEST(Describe, WorksInsideAHandler) {
  try {
    throw std::logic_error("outer");
  } catch (...) {
    EXPECT_EQ(describe(std::current_exception()), "std::logic_error: outer");
    EXPECT_EQ(described(5), "int");
    EXPECT_EQ(describe(std::current_exception()), "std::logic_error: outer");
  }
}

}  // namespace
}  // namespace rondo
