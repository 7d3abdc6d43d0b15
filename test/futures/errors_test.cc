// SPDX-License-Identifier: MIT
#include "futures/errors.h"

#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "futures/exception_group.h"
#include "futures/outcome.h"
#include "reactor/errors.h"
#include "test/support/allocation.h"

namespace rondo {
namespace {

using std::make_exception_ptr;

// "As in Python it is no std::exception, so that `catch (const
// std::exception&)` lets it pass."
static_assert(!std::is_base_of_v<std::exception, CancelledError>);
static_assert(std::is_base_of_v<std::exception, InvalidStateError>);
static_assert(std::is_base_of_v<std::exception, TimeoutError>);
static_assert(std::is_base_of_v<std::exception, ExceptionGroup>);

TEST(CancelledError, IsNotCaughtAsAnStdException) {
  bool passed = false;
  try {
    try {
      throw CancelledError();
    } catch (const std::exception&) {
      ADD_FAILURE() << "caught";
    }
  } catch (const CancelledError&) {
    passed = true;
  }
  EXPECT_TRUE(passed);
}

TEST(CancelledError, HasTheMessageThatCancelWasGivenIfAny) {
  EXPECT_EQ(CancelledError().message(), std::nullopt);
  EXPECT_EQ(CancelledError("why").message(), "why");
  EXPECT_EQ(CancelledError("").message(), "");
}

TEST(Errors, HaveTheTextTheyWereGiven) {
  EXPECT_STREQ(InvalidStateError("Result is not set.").what(),
               "Result is not set.");
  EXPECT_STREQ(TimeoutError().what(), "");
  EXPECT_STREQ(TimeoutError("late").what(), "late");
}

TEST(Errors, AreToldApartWithoutBeingThrown) {
  const auto cancelled = make_exception_ptr(CancelledError());
  const auto exit = make_exception_ptr(SystemExit(3));
  const auto interrupt = make_exception_ptr(KeyboardInterrupt());
  const auto other = make_exception_ptr(std::runtime_error("x"));
  EXPECT_TRUE(is_cancelled_error(cancelled));
  EXPECT_FALSE(is_cancelled_error(exit));
  EXPECT_FALSE(is_cancelled_error(other));
  EXPECT_FALSE(is_cancelled_error(nullptr));
  EXPECT_TRUE(is_exit_error(exit));
  EXPECT_TRUE(is_exit_error(interrupt));
  EXPECT_FALSE(is_exit_error(cancelled));
  EXPECT_FALSE(is_exit_error(other));
  EXPECT_FALSE(is_exit_error(nullptr));
  // "Throws nothing, allocates nothing."
  EXPECT_EQ(test::allocations_of([&] {
              static_cast<void>(is_cancelled_error(cancelled));
              static_cast<void>(is_exit_error(other));
            }),
            0u);
}

struct OwnError {};

TEST(Repr, IsPythonsOfAnException) {
  const auto text = [](auto error) { return repr(make_exception_ptr(error)); };
  EXPECT_EQ(repr(std::exception_ptr()), "None");
  EXPECT_EQ(text(std::invalid_argument("bad")), "std::invalid_argument('bad')");
  EXPECT_EQ(text(std::runtime_error("")), "std::runtime_error()");
  EXPECT_EQ(text(std::runtime_error("it's")), "std::runtime_error(\"it's\")");
  EXPECT_EQ(text(TimeoutError()), "rondo::TimeoutError()");
  EXPECT_EQ(text(CancelledError()), "CancelledError()");
  EXPECT_EQ(text(CancelledError("why")), "CancelledError('why')");
  EXPECT_EQ(text(CancelledError("")), "CancelledError('')");
  EXPECT_EQ(text(SystemExit(3)), "SystemExit(3)");
  EXPECT_EQ(text(KeyboardInterrupt()), "KeyboardInterrupt()");
  EXPECT_EQ(text(7), "int()");
  EXPECT_EQ(text(OwnError()), "rondo::(anonymous namespace)::OwnError()");
}

// -- ExceptionGroup ----------------------------------------------------------

TEST(ExceptionGroup, KeepsItsExceptionsInOrder) {
  const auto first = make_exception_ptr(std::runtime_error("first"));
  const auto second = make_exception_ptr(std::runtime_error("second"));
  const ExceptionGroup group("some failed", {first, second});
  EXPECT_EQ(group.message(), "some failed");
  ASSERT_EQ(group.exceptions().size(), 2u);
  EXPECT_EQ(group.exceptions()[0], first);
  EXPECT_EQ(group.exceptions()[1], second);
}

TEST(ExceptionGroup, CountsItsExceptionsInWhat) {
  const auto error = make_exception_ptr(std::runtime_error("x"));
  EXPECT_STREQ(ExceptionGroup("failed", {error}).what(),
               "failed (1 sub-exception)");
  EXPECT_STREQ(ExceptionGroup("failed", {error, error}).what(),
               "failed (2 sub-exceptions)");
}

TEST(ExceptionGroup, RefusesToBeEmptyOrToHoldANull) {
  const auto error = make_exception_ptr(std::runtime_error("x"));
  EXPECT_THROW(ExceptionGroup("none", {}), std::invalid_argument);
  EXPECT_THROW(ExceptionGroup("null", {error, nullptr}), std::invalid_argument);
}

TEST(ExceptionGroup, IsWrittenAsInPythonNestedOnesIncluded) {
  const ExceptionGroup inner("inner",
                             {make_exception_ptr(std::runtime_error("boom"))});
  const ExceptionGroup outer("outer", {make_exception_ptr(inner),
                                       make_exception_ptr(CancelledError())});
  EXPECT_EQ(to_string(outer),
            "ExceptionGroup('outer', [ExceptionGroup('inner', "
            "[std::runtime_error('boom')]), CancelledError()])");
  EXPECT_EQ(repr(make_exception_ptr(outer)), to_string(outer));
}

// -- Outcome -----------------------------------------------------------------

TEST(Outcome, IsAValueOrAnException) {
  const Outcome<int> value(7);
  EXPECT_TRUE(value.has_value());
  EXPECT_EQ(value.value(), 7);
  EXPECT_EQ(value.exception(), nullptr);
  EXPECT_EQ(to_string(value), "7");

  const auto error = make_exception_ptr(std::runtime_error("bad"));
  const Outcome<int> failed(error);
  EXPECT_FALSE(failed.has_value());
  EXPECT_EQ(failed.exception(), error);
  EXPECT_THROW(static_cast<void>(failed.value()), std::runtime_error);
  EXPECT_THROW(static_cast<void>(Outcome<int>(error).value()),
               std::runtime_error);
  EXPECT_EQ(to_string(failed), "std::runtime_error('bad')");
}

TEST(Outcome, GivesAwayAValueThatCanOnlyBeMoved) {
  Outcome<std::unique_ptr<int>> outcome(std::make_unique<int>(7));
  EXPECT_EQ(*outcome.value(), 7);
  const std::unique_ptr<int> taken = std::move(outcome).value();
  EXPECT_EQ(*taken, 7);
}

TEST(Outcome, OfNothingIsNone) {
  static_assert(std::is_same_v<ValueOrNone<void>, None>);
  static_assert(std::is_same_v<ValueOrNone<int>, int>);
  EXPECT_EQ(to_string(None()), "None");
  EXPECT_EQ(to_string(Outcome<None>(None())), "None");
}

}  // namespace
}  // namespace rondo
