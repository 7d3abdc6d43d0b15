// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "futures/wait.h"
#include "futures/wait_for.h"

// g++ 12 destroys twice what is written *inside* a co_await expression as a
// lambda with a capture that has a destructor, as a braced aggregate, or as a
// `?:` of class values (GCC PR95599 and its kin). This says whether
// the compiler at hand does, and holds that the shapes which our rule calls
// safe are safe with it.

namespace rondo {
namespace {

/// Counts its makings and its ends. One that is destroyed twice does no harm
/// but to the count, so that the bug can be looked at.
class Counted {
 public:
  Counted() { ++made; }
  Counted(const Counted&) { ++made; }
  Counted(Counted&&) noexcept { ++made; }
  ~Counted() { ++destroyed; }
  static inline int made = 0;
  static inline int destroyed = 0;
};

/// How often too many were destroyed in `main()`.
template <class Main>
int surplus(Main main) {
  Counted::made = Counted::destroyed = 0;
  run(main());
  return Counted::destroyed - Counted::made;
}

template <class F>
Coro<void> takes(F function) {
  co_await sleep(0);
  function();
}

template <class T>
Coro<void> takes_value(T) {
  co_await sleep(0);
}

struct Aggregate {
  Counted counted;
  int number = 0;
};
static_assert(std::is_aggregate_v<Aggregate>);

class WithConstructor {
 public:
  explicit WithConstructor(int n = 0) : number(n) {}
  WithConstructor& set(int n) {
    number = n;
    return *this;
  }
  Counted counted;
  int number;
};
static_assert(!std::is_aggregate_v<WithConstructor>);

// -- the unsafe shapes: reported, not asserted --------------------------------

Coro<void> capturing_lambda_inside() {
  const Counted counted;
  co_await takes([counted] {});  // unsafe on g++ 12
}

Coro<void> braced_aggregate_inside() {
  co_await takes_value(Aggregate{Counted(), 1});  // unsafe on g++ 12
}

#if __cpp_aggregate_paren_init
Coro<void> aggregate_in_parentheses_inside() {
  co_await takes_value(Aggregate(Counted(), 1));  // unsafe on g++ 12
}
#endif

Coro<void> conditional_inside() {
  static volatile bool yes = true;
  co_await takes_value(yes ? Counted() : Counted());  // unsafe on g++ 12
}

TEST(CompilerCanary, SaysWhetherThisCompilerDestroysTwice) {
  const auto report = [](const char* shape, int times) {
    testing::Test::RecordProperty(shape, times);
    if (times != 0) {
      std::printf(
          "[ compiler ] %s inside a co_await expression: destroyed %d time(s) "
          "too often (GCC PR95599); keep to the rule in futures/coro/coro.h\n",
          shape, times);
    }
    // Too few would be a leak, which no compiler is known to make.
    EXPECT_GE(times, 0);
#if defined(__clang__)
    EXPECT_EQ(times, 0) << shape;
#endif
  };
  report("a capturing lambda", surplus(capturing_lambda_inside));
  report("a braced aggregate", surplus(braced_aggregate_inside));
#if __cpp_aggregate_paren_init
  report("an aggregate in parentheses",
         surplus(aggregate_in_parentheses_inside));
#endif
  report("a conditional of class values", surplus(conditional_inside));
}

// -- the safe shapes ----------------------------------------------------------

Coro<void> lambda_in_its_own_statement() {
  const Counted counted;
  auto call = takes([counted] {});
  co_await call;
}

Coro<void> named_lambda() {
  const Counted counted;
  auto function = [counted] {};
  co_await takes(function);
  co_await takes(std::move(function));
}

Coro<void> lambda_by_reference() {
  const Counted counted;
  co_await takes([&counted] { static_cast<void>(counted); });
}

auto make_callable() {
  const Counted counted;
  return [counted] {};
}

Coro<void> callable_from_a_function() { co_await takes(make_callable()); }

Coro<void> class_with_a_constructor() {
  co_await takes_value(WithConstructor(1));
  co_await takes_value(WithConstructor().set(2));
}

Coro<void> aggregate_in_its_own_statement() {
  const Aggregate aggregate{Counted(), 1};
  co_await takes_value(aggregate);
}

Coro<void> conditional_in_its_own_statement() {
  static volatile bool yes = true;
  auto value = yes ? Counted() : Counted();
  co_await takes_value(std::move(value));
}

Coro<void> ordinary_temporaries() {
  co_await takes_value(Counted());
  co_await takes_value(std::make_pair(Counted(), Counted()));
  co_await takes_value(std::string(100, 'x'));
}

TEST(CompilerCanary, OurRulesSafeShapesAreSafe) {
  EXPECT_EQ(surplus(lambda_in_its_own_statement), 0);
  EXPECT_EQ(surplus(named_lambda), 0);
  EXPECT_EQ(surplus(lambda_by_reference), 0);
  EXPECT_EQ(surplus(callable_from_a_function), 0);
  EXPECT_EQ(surplus(class_with_a_constructor), 0);
  EXPECT_EQ(surplus(aggregate_in_its_own_statement), 0);
  EXPECT_EQ(surplus(conditional_in_its_own_statement), 0);
  EXPECT_EQ(surplus(ordinary_temporaries), 0);
}

/// Ours, with a value that counts.
Coro<void> our_operations_inside() {
  co_await sleep(0, Counted());
  co_await wait_for(sleep(0, Counted()), 1);
  co_await gather(sleep(0, Counted()), sleep(0, Counted()));
  co_await shield(sleep(0, Counted()));
  co_await create_task(sleep(0, Counted()), TaskOptions().name("named"));
  co_await rondo::wait(
      std::vector<Task<Counted>>(2, create_task(sleep(0, Counted()))),
      WaitOptions().timeout(1).return_when(ReturnWhen::kFirstCompleted));
  co_await with(timeout(1), takes_value(Counted()));
}

TEST(CompilerCanary, OurOperationsAreSafeInside) {
  EXPECT_EQ(surplus(our_operations_inside), 0);
}

// -- "every type of ours that can stand in a co_await expression has a
// user-declared constructor"

template <class... T>
constexpr bool none_is_an_aggregate = (!std::is_aggregate_v<T> && ...);

static_assert(none_is_an_aggregate<Coro<int>, Coro<void>>);
static_assert(none_is_an_aggregate<AnyFuture, Future<int>, Future<void>,
                                   AnyTask, Task<int>, Task<void>>);
static_assert(none_is_an_aggregate<Sleep<int>, Sleep<void>, WaitFor<Task<int>>,
                                   WaitFor<Sleep<void>>, Wait<Task<int>>,
                                   TaskGroup::Exit, detail::CancelAndWait>);
static_assert(
    none_is_an_aggregate<TaskOptions, WaitOptions, WaitResult<Task<int>>,
                         ReturnExceptions, Outcome<int>, StackFrame, Step>);
static_assert(none_is_an_aggregate<Timeout, TaskGroup, ExceptionGroup,
                                   CancelledError, Delay, LoopOptions>);
static_assert(none_is_an_aggregate<
              detail::FutureAwaiter<Future<int>>, detail::CoroAwaiter<int>,
              detail::OperationAwaiter<Sleep<void>>, detail::BlockEnd<int>,
              detail::BlockEnd<void>, detail::PromiseBase::FinalAwaiter>);

}  // namespace
}  // namespace rondo
