// SPDX-License-Identifier: MIT
#include "futures/coro/coro.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/passes.h"

// What a coroutine is and what may be awaited in it: probes p11, p12, p45.

namespace rondo {
namespace {

using test::end_of;
using test::Lines;
using test::thrown_by;

Coro<int> answer() { co_return 42; }

Coro<void> note(Lines& log, std::string text) {
  log.push_back(std::move(text));
  co_return;
}

Coro<int> fails(std::string text) {
  co_await sleep(0);
  throw std::runtime_error(text);
}

// "It is lazy: calling the function runs nothing."
TEST(Coro, RunsNothingUntilItIsAwaited) {
  EventLoop loop;
  Lines log;
  Coro<void> coro = note(log, "ran");
  EXPECT_TRUE(log.empty());
  EXPECT_TRUE(coro);
  const Task<void> task = create_task(loop, std::move(coro));
  EXPECT_TRUE(log.empty());
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"ran"}));
  EXPECT_TRUE(task.done());
}

TEST(Coro, GivesItsValue) {
  EXPECT_EQ(run(answer()), 42);
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, answer()), 42);
}

Coro<std::unique_ptr<int>> owned() { co_return std::make_unique<int>(7); }
Coro<std::string> text_of(int n) { co_return std::to_string(n); }
Coro<std::optional<int>> none() { co_return std::nullopt; }

TEST(Coro, GivesAValueThatCanOnlyBeMoved) {
  EXPECT_EQ(*run(owned()), 7);
  EXPECT_EQ(run(text_of(7)), "7");
  EXPECT_EQ(run(none()), std::nullopt);
}

// "Awaiting a Coro, or a future that is done, does not go through the loop."
TEST(Coro, IsAwaitedLikeACall) {
  EventLoop loop;
  Lines log;
  const auto child = [](Lines& lines) -> Coro<int> {
    lines.push_back("child");
    co_return 7;
  };
  const auto parent = [&child](Lines& lines) -> Coro<int> {
    lines.push_back("before");
    const int n = co_await child(lines);
    lines.push_back("after");
    const Future<int> done(get_running_loop());
    done.set_result(n + 1);
    const int more = co_await done;
    lines.push_back("end");
    co_return more;
  };
  loop.call_soon([&] { log.push_back("1"); });
  const Task<int> task = create_task(loop, parent(log));
  loop.call_soon([&] { log.push_back("2"); });
  run_one_pass(loop);
  EXPECT_EQ(log, (Lines{"1", "before", "child", "after", "end", "2"}));
  EXPECT_EQ(task.result(), 8);
}

TEST(Coro, ThrowsWhereItIsAwaited) {
  VirtualTimeLoop loop;
  const auto catches = []() -> Coro<std::string> {
    try {
      co_await fails("inner");
    } catch (const std::runtime_error& e) {
      co_return e.what();
    }
    co_return "nothing";
  };
  EXPECT_EQ(run_until_complete(loop, catches()), "inner");
  const auto passes = []() -> Coro<int> { co_return co_await fails("outer"); };
  EXPECT_EQ(thrown_by([&] { run_until_complete(loop, passes()); }),
            "std::runtime_error('outer')");
}

Coro<void> deep(Lines& log, int levels) {
  if (levels == 0) throw std::runtime_error("bottom");
  try {
    co_await deep(log, levels - 1);
  } catch (...) {
    log.push_back(std::to_string(levels));
    throw;
  }
}

TEST(Coro, LetsAnExceptionPassThroughAllThatAwait) {
  Lines log;
  EXPECT_EQ(thrown_by([&] { run(deep(log, 3)); }),
            "std::runtime_error('bottom')");
  EXPECT_EQ(log, (Lines{"1", "2", "3"}));
}

// -- what may be awaited ------------------------------------------------------

Coro<Lines> awaits_each_kind(EventLoop& loop) {
  Lines log;
  Future<int> future(loop);
  loop.call_later(1, [future] { future.set_result(1); });
  log.push_back(std::to_string(co_await future));
  const Task<int> task = create_task(loop, answer());
  log.push_back(std::to_string(co_await task));
  log.push_back(std::to_string(co_await create_task(loop, answer())));
  const AnyFuture any = create_task(loop, sleep(1));
  co_await any;
  log.push_back(any.done() ? "any" : "?");
  log.push_back(std::to_string(co_await answer()));
  Coro<int> kept = answer();
  log.push_back(std::to_string(co_await kept));
  log.push_back(std::to_string(co_await sleep(1, 3)));
  Sleep<int> operation = sleep(0, 4);
  log.push_back(std::to_string(co_await operation));
  log.push_back(std::to_string(co_await test::Returns(5)));
  co_return log;
}

TEST(CoAwait, TakesFuturesTasksCorosAndOperations) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, awaits_each_kind(loop)),
            (Lines{"1", "42", "42", "any", "42", "42", "3", "4", "5"}));
}

Coro<std::string> how_it_ends(AnyFuture future) {
  try {
    co_await future;
  } catch (...) {
    co_return repr(std::current_exception());
  }
  co_return "done";
}

TEST(CoAwait, ThrowsWhatAFutureEndedWith) {
  VirtualTimeLoop loop;
  const Future<void> bad(loop);
  const Future<void> cancelled(loop);
  for (const bool done_before : {true, false}) {
    const Future<void> good(loop);
    const Future<void> failed(loop);
    const Future<void> gone(loop);
    const auto settle = [&] {
      good.set_result();
      failed.set_exception(std::runtime_error("bad"));
      gone.cancel("why");
    };
    if (done_before) settle();
    const Task<std::string> a = create_task(loop, how_it_ends(good));
    const Task<std::string> b = create_task(loop, how_it_ends(failed));
    const Task<std::string> c = create_task(loop, how_it_ends(gone));
    run_one_pass(loop);
    EXPECT_EQ(a.done(), done_before);
    if (!done_before) settle();
    loop.run_until_idle();
    EXPECT_EQ(a.result(), "done");
    EXPECT_EQ(b.result(), "std::runtime_error('bad')");
    EXPECT_EQ(c.result(), "CancelledError('why')");
  }
}

Coro<std::string> operation_throws(bool late) {
  std::string caught = "nothing";
  try {
    if (late) {
      auto throws_late = test::body([n = 0](Resumption&) mutable -> Step {
        if (n++ == 0) return Step::yield();
        throw std::runtime_error("late");
      });
      co_await throws_late;
    } else {
      co_await test::Throws<std::runtime_error>("at once");
    }
  } catch (const std::runtime_error& e) {
    caught = e.what();
  }
  co_await sleep(0);
  co_return caught;
}

TEST(CoAwait, ThrowsWhatAnOperationThrows) {
  VirtualTimeLoop loop;
  EXPECT_EQ(run_until_complete(loop, operation_throws(false)), "at once");
  EXPECT_EQ(run_until_complete(loop, operation_throws(true)), "late");
}

// "a value's reference": what a future holds is moved out only if nobody else
// can ask.
TEST(CoAwait, MovesTheValueOfAFutureThatOnlyItHas) {
  VirtualTimeLoop loop;
  const auto take = [](Future<std::unique_ptr<int>> future) -> Coro<int> {
    const std::unique_ptr<int> value = co_await std::move(future);
    co_return *value;
  };
  const Future<std::unique_ptr<int>> future(loop);
  future.set_result(std::make_unique<int>(7));
  EXPECT_EQ(run_until_complete(loop, take(future)), 7);
}

// -- reuse --------------------------------------------------------------------

Coro<void> awaits_twice() {
  Coro<int> once = answer();
  co_await once;
  co_await once;
}

TEST(Coro, IsAwaitedOnce) {
  EXPECT_EQ(thrown_by([] { run(awaits_twice()); }),
            "rondo::RuntimeError('cannot reuse already awaited coroutine')");
  EventLoop loop;
  Coro<int> coro = answer();
  coro.close();
  EXPECT_FALSE(coro);
  coro.close();
  EXPECT_EQ(thrown_by([&] { create_task(loop, std::move(coro)); }),
            "rondo::RuntimeError('cannot reuse already awaited coroutine')");
  EXPECT_TRUE(all_tasks(loop).empty());
}

TEST(Coro, IsMovedAndAssigned) {
  LogCapture captured;
  Coro<int> first = answer();
  Coro<int> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT: that is the promise
  EXPECT_TRUE(second);
  // "Drops its own coroutine, and takes that of `other`."
  Coro<int> third = answer();
  third = std::move(second);
  EXPECT_EQ(captured.lines().size(), 1u);
  EXPECT_TRUE(third);
  third.close();
}

// -- never awaited ------------------------------------------------------------

/// The one line that is logged of it, without its file and line.
std::string report_of(auto make) {
  LogCapture captured;
  {
    [[maybe_unused]] auto coro = make();
  }
  const Lines lines = captured.lines();
  if (lines.size() != 1) return std::to_string(lines.size()) + " lines";
  EXPECT_NE(lines[0].find(__FILE__), std::string::npos) << lines[0];
  return lines[0].substr(0, lines[0].find(" (defined"));
}

template <class T>
Coro<T> templated(T value) {
  co_return value;
}

struct Scope {
  Coro<void> member() const { co_return; }
  Coro<void> operator()(int) const { co_return; }
  static Coro<std::vector<std::pair<int, int>>> made() { co_return {}; }
};

// "Destroying one that never started logs "coroutine 'answer' was never
// awaited"."
TEST(NeverAwaited, IsLoggedOnceWithTheCoroutinesName) {
  EXPECT_EQ(report_of([] { return answer(); }),
            "warning: coroutine 'answer' was never awaited");
  EXPECT_EQ(report_of([] { return templated(7); }),
            "warning: coroutine 'templated' was never awaited");
  EXPECT_EQ(report_of([] { return Scope().member(); }),
            "warning: coroutine 'member' was never awaited");
  EXPECT_EQ(report_of([] { return Scope::made(); }),
            "warning: coroutine 'made' was never awaited");
  EXPECT_EQ(report_of([] { return Scope()(1); }),
            "warning: coroutine 'operator()' was never awaited");
  EXPECT_EQ(report_of([] { return []() -> Coro<int> { co_return 1; }(); }),
            "warning: coroutine '<lambda>' was never awaited");
}

TEST(NeverAwaited, IsNotSaidOfOneThatWasStartedOrClosed) {
  LogCapture captured;
  VirtualTimeLoop loop;
  answer().close();
  run_until_complete(loop, answer());
  // Given to a task that is cancelled before it starts: no warning (p45).
  create_task(loop, answer()).cancel();
  loop.run_until_idle();
  EXPECT_TRUE(captured.lines().empty());
}

TEST(NeverAwaited, IsSaidOfOneThatWasRefused) {
  EventLoop loop;
  loop.close();
  LogCapture captured;
  EXPECT_THROW(create_task(loop, answer()), RuntimeError);
  EXPECT_LE(captured.lines().size(), 1u);
}

TEST(NeverAwaited, IsNotSaidByARunThatIsRefused) {
  LogCapture captured;
  Runner runner;
  runner.close();
  EXPECT_THROW(runner.run(answer()), RuntimeError);
  EXPECT_TRUE(captured.lines().empty());
}

// -- its text -----------------------------------------------------------------

TEST(CoroRepr, IsPythons) {
  Coro<int> coro = answer();
  const std::string text = to_string(coro);
  EXPECT_EQ(text.find("<coroutine object answer at 0x"), 0u) << text;
  EXPECT_EQ(text.back(), '>');
  coro.close();
  EXPECT_EQ(to_string(coro), "<coroutine object, awaited>");
}

// -- types --------------------------------------------------------------------

static_assert(std::is_same_v<Coro<int>::value_type, int>);
static_assert(!std::is_copy_constructible_v<Coro<int>>);
static_assert(std::is_nothrow_move_constructible_v<Coro<int>>);

}  // namespace
}  // namespace rondo
