// SPDX-License-Identifier: MIT
#include "futures/future.h"

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "reactor/errors.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// The states of a future and its value: probe p09, and asyncio's test_futures.

namespace rondo {
namespace {

using test::thrown_by;

class OwnError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

TEST(Future, IsPendingAtFirst) {
  EventLoop loop;
  const Future<int> future(loop);
  EXPECT_FALSE(future.done());
  EXPECT_FALSE(future.cancelled());
  EXPECT_FALSE(future.is_task());
  EXPECT_EQ(&future.get_loop(), &loop);
  EXPECT_EQ(thrown_by([&] { static_cast<void>(future.result()); }),
            "rondo::InvalidStateError('Result is not set.')");
  EXPECT_EQ(thrown_by([&] { future.exception(); }),
            "rondo::InvalidStateError('Exception is not set.')");
}

TEST(Future, HasTheResultThatWasSet) {
  EventLoop loop;
  const Future<int> future = create_future<int>(loop);
  future.set_result(1);
  EXPECT_TRUE(future.done());
  EXPECT_FALSE(future.cancelled());
  EXPECT_EQ(future.result(), 1);
  EXPECT_EQ(future.exception(), nullptr);
}

// "Neither of the two ends is ever left."
TEST(Future, EndsOnce) {
  EventLoop loop;
  const Future<int> finished(loop);
  finished.set_result(1);
  const Future<int> cancelled(loop);
  EXPECT_TRUE(cancelled.cancel());
  for (const Future<int>& future : {finished, cancelled}) {
    EXPECT_EQ(thrown_by([&] { future.set_result(2); }),
              "rondo::InvalidStateError('invalid state')");
    EXPECT_EQ(thrown_by([&] { future.set_exception(OwnError("x")); }),
              "rondo::InvalidStateError('invalid state')");
    EXPECT_FALSE(future.cancel());
    EXPECT_FALSE(future.cancel("why"));
  }
  EXPECT_EQ(finished.result(), 1);
  EXPECT_EQ(thrown_by([&] { static_cast<void>(cancelled.result()); }),
            "CancelledError()");
}

TEST(Future, OfNothingIsSetWithoutAValue) {
  EventLoop loop;
  const Future<void> future(loop);
  EXPECT_THROW(future.result(), InvalidStateError);
  future.set_result();
  EXPECT_NO_THROW(future.result());
  EXPECT_THROW(future.set_result(), InvalidStateError);
}

TEST(Future, ThrowsTheExceptionThatWasSetEachTime) {
  EventLoop loop;
  const Future<int> future(loop);
  future.set_exception(OwnError("bad"));
  EXPECT_TRUE(future.done());
  EXPECT_FALSE(future.cancelled());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(static_cast<void>(future.result()), OwnError);
    EXPECT_EQ(repr(future.exception()),
              "rondo::(anonymous namespace)::OwnError('bad')");
  }
}

// "`error` may be an std::exception_ptr, or the exception itself."
TEST(Future, TakesAnExceptionInEitherForm) {
  EventLoop loop;
  const auto error = std::make_exception_ptr(OwnError("bad"));
  const Future<void> by_pointer(loop);
  by_pointer.set_exception(error);
  EXPECT_EQ(by_pointer.exception(), error);
  const Future<void> of_an_lvalue(loop);
  of_an_lvalue.set_exception(std::exception_ptr(error));
  EXPECT_EQ(of_an_lvalue.exception(), error);
  const Future<void> of_any_type(loop);
  of_any_type.set_exception(7);
  EXPECT_EQ(repr(of_any_type.exception()), "int()");
}

TEST(Future, RefusesANullException) {
  EventLoop loop;
  const Future<void> future(loop);
  EXPECT_THROW(future.set_exception(std::exception_ptr()),
               std::invalid_argument);
  EXPECT_FALSE(future.done());
}

// -- cancel ------------------------------------------------------------------

TEST(Future, ThrowsCancelledErrorOnceItWasCancelled) {
  EventLoop loop;
  const Future<int> future(loop);
  EXPECT_TRUE(future.cancel());
  EXPECT_TRUE(future.done());
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(thrown_by([&] { static_cast<void>(future.result()); }),
            "CancelledError()");
  EXPECT_EQ(thrown_by([&] { future.exception(); }), "CancelledError()");
}

// "The same, with a text for CancelledError::message()."
TEST(Future, ThrowsTheMessageOfItsCancelEachTime) {
  EventLoop loop;
  const Future<int> future(loop);
  EXPECT_TRUE(future.cancel("why"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(thrown_by([&] { static_cast<void>(future.result()); }),
              "CancelledError('why')");
    EXPECT_EQ(thrown_by([&] { future.exception(); }), "CancelledError('why')");
  }
}

TEST(Future, ThatWasCancelledDoesNotThrowCancelledErrorsOfOthers) {
  EventLoop loop;
  const Future<int> future(loop);
  future.set_exception(CancelledError("as an exception"));
  // Not by cancel(): it is finished.
  EXPECT_FALSE(future.cancelled());
  EXPECT_TRUE(is_cancelled_error(future.exception()));
}

// -- handles -----------------------------------------------------------------

TEST(Future, CopiesMeanTheSameFuture) {
  EventLoop loop;
  const Future<int> future(loop);
  const Future<int> copy = future;
  const AnyFuture any = future;
  EXPECT_TRUE(copy == future);
  EXPECT_TRUE(any == future);
  EXPECT_FALSE(copy == Future<int>(loop));
  copy.set_result(1);
  EXPECT_EQ(future.result(), 1);
  EXPECT_TRUE(any.done());
}

TEST(Future, WithoutAFutureMeansNone) {
  EventLoop loop;
  const Future<int> none;
  EXPECT_FALSE(none);
  EXPECT_TRUE(none == AnyFuture());
  EXPECT_EQ(to_string(none), "None");
  Future<int> future(loop);
  EXPECT_TRUE(future);
  EXPECT_FALSE(future == none);
  // "Leaves `other` meaning none."
  const Future<int> moved = std::move(future);
  EXPECT_FALSE(future);  // NOLINT: that is the promise
  EXPECT_TRUE(moved);
  Future<int> assigned;
  assigned = moved;
  EXPECT_TRUE(assigned == moved);
  const auto& same = assigned;
  assigned = same;  // NOLINT: nothing happens
  EXPECT_TRUE(assigned == moved);
}

// -- the value ---------------------------------------------------------------

static_assert(std::is_same_v<Future<int>::value_type, int>);
static_assert(std::is_same_v<Future<void>::value_type, void>);
static_assert(
    std::is_same_v<decltype(std::declval<const Future<int>&>().result()),
                   const int&>);

TEST(Future, HoldsAValueThatCanOnlyBeMoved) {
  EventLoop loop;
  const Future<std::unique_ptr<int>> future(loop);
  future.set_result(std::make_unique<int>(7));
  EXPECT_EQ(*future.result(), 7);
  EXPECT_EQ(*future.take_result(), 7);
  EXPECT_EQ(future.result(), nullptr);
}

// "The value by itself: moved out if this is the last reference to the
// future, or if T can only be moved; else a copy."
TEST(Future, GivesItsValueAwayOnlyIfNobodyElseCanAsk) {
  EventLoop loop;
  Future<std::string> future(loop);
  future.set_result(std::string(100, 'x'));
  Future<std::string> other = future;
  const void* const place = other.result().data();
  const std::string copy = std::move(future).result();
  EXPECT_NE(copy.data(), place);
  EXPECT_EQ(other.result(), copy);
  future = Future<std::string>();
  const std::string moved = std::move(other).result();
  EXPECT_EQ(moved.data(), place);
  EXPECT_EQ(moved, copy);
}

TEST(Future, MakesItsValueOfWhatItIsGiven) {
  EventLoop loop;
  const Future<std::string> future(loop);
  future.set_result("text");
  EXPECT_EQ(future.result(), "text");
  const Future<std::optional<int>> empty(loop);
  empty.set_result(std::nullopt);
  EXPECT_EQ(empty.result(), std::nullopt);
}

/// Counts the living; copying throws.
class Fragile {
 public:
  Fragile() { ++living; }
  Fragile(const Fragile&) : Fragile() {
    throw OwnError("copied");  // constructed: the destructor runs
  }
  ~Fragile() { --living; }
  static inline int living = 0;
};

// "... and what making the value throws. Then nothing has changed."
TEST(Future, StaysPendingWhenItsValueCannotBeMade) {
  EventLoop loop;
  const Fragile value;
  {
    const Future<Fragile> future(loop);
    EXPECT_THROW(future.set_result(value), OwnError);
    EXPECT_FALSE(future.done());
    EXPECT_TRUE(future.cancel());
  }
  EXPECT_EQ(Fragile::living, 1);
}

TEST(Future, DestroysItsValueWithItself) {
  EventLoop loop;
  const auto value = std::make_shared<int>(7);
  {
    const Future<std::shared_ptr<int>> future(loop);
    future.set_result(value);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1);
}

struct alignas(64) Aligned {
  int value = 7;
};

TEST(Future, KeepsTheAlignmentOfItsValue) {
  EventLoop loop;
  const Future<Aligned> future(loop);
  future.set_result(Aligned());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&future.result()) % 64, 0u);
}

// -- and its loop ------------------------------------------------------------

// "Works on a closed loop, too."
TEST(Future, CanBeMadeAndSetOnAClosedLoop) {
  EventLoop loop;
  loop.close();
  const Future<int> future(loop);
  future.set_result(1);
  EXPECT_EQ(future.result(), 1);
  EXPECT_TRUE(Future<int>(loop).cancel());
}

// "Lifetime: may outlive the loop."
TEST(Future, MayOutliveItsLoop) {
  auto loop = std::make_unique<EventLoop>();
  const Future<int> settled(*loop);
  settled.set_result(1);
  const Future<int> pending(*loop);
  const Future<int> called_back(*loop);
  int calls = 0;
  called_back.add_done_callback([&](AnyFuture) { ++calls; });
  loop.reset();
  EXPECT_EQ(settled.result(), 1);
  // "Throws RuntimeError if that has been destroyed."
  EXPECT_EQ(thrown_by([&] { static_cast<void>(settled.get_loop()); }),
            "rondo::RuntimeError('Event loop is closed')");
  EXPECT_THROW(settled.add_done_callback([](AnyFuture) {}), RuntimeError);
  EXPECT_THROW(pending.add_done_callback([](AnyFuture) {}), RuntimeError);
  pending.set_result(2);
  EXPECT_EQ(pending.result(), 2);
  // Nobody is left who could call back: nothing changes.
  EXPECT_THROW(called_back.set_result(3), RuntimeError);
  EXPECT_THROW(called_back.cancel(), RuntimeError);
  EXPECT_THROW(called_back.set_exception(OwnError("x")), RuntimeError);
  EXPECT_FALSE(called_back.done());
  EXPECT_EQ(calls, 0);
}

TEST(Future, IsRefusedToATask) {
  EventLoop loop;
  Task<int> task = create_task(loop, test::Returns(7));
  const Future<int> future = task;
  EXPECT_TRUE(future.is_task());
  EXPECT_EQ(thrown_by([&] { future.set_result(1); }),
            "rondo::RuntimeError('Task does not support set_result "
            "operation')");
  EXPECT_EQ(thrown_by([&] { future.set_exception(OwnError("x")); }),
            "rondo::RuntimeError('Task does not support set_exception "
            "operation')");
  run_one_pass(loop);
  EXPECT_EQ(task.result(), 7);
}

TEST(Future, OfNothingIsRefusedToATask) {
  EventLoop loop;
  const Future<void> future =
      create_task(loop, test::body([](Resumption&) { return Step::done(); }));
  EXPECT_THROW(future.set_result(), RuntimeError);
  run_one_pass(loop);
  EXPECT_NO_THROW(future.result());
}

}  // namespace
}  // namespace rondo
