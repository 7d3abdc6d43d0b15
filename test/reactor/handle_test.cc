// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/one_pass.h"

// What handle.h promises of Handle: a value that means a callback, and a
// cancel() that is hard. FAULTS R2, R3, T7.

namespace rondo {
namespace {

using namespace std::chrono_literals;

/// Captured by a callback: says whether the captures are still there.
class Captures {
 public:
  /// To be captured by copy; the original is given away with it.
  std::shared_ptr<int> take() { return std::move(owned_); }
  bool destroyed() const { return watched_.expired(); }

 private:
  std::shared_ptr<int> owned_ = std::make_shared<int>(0);
  std::weak_ptr<int> watched_ = owned_;
};

// -- a value -----------------------------------------------------------------

// "Dropping it changes nothing: the callback runs."
TEST(Handle, DroppingItChangesNothing) {
  EventLoop loop;
  int runs = 0;
  {
    const Handle handle = loop.call_soon([&] { ++runs; });
  }
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// "A small value, copied freely; all copies mean the same callback."
TEST(Handle, CopiesMeanTheSameCallback) {
  EventLoop loop;
  int runs = 0;
  const Handle original = loop.call_soon([&] { ++runs; });
  Handle copy = original;
  EXPECT_TRUE(copy.is(original));
  copy.cancel();
  EXPECT_TRUE(original.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(sizeof(Handle), sizeof(void*));
}

// "Means no callback": everything is allowed on it and does nothing.
TEST(Handle, MadeByDefaultMeansNoCallback) {
  Handle none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.cancelled());
  none.cancel();
  EXPECT_FALSE(none.cancelled());
  EXPECT_TRUE(none.is(Handle()));
  EXPECT_EQ(to_string(none), "<Handle none>");
  const Handle copy = none;  // NOLINT: the copy is what is tested
  EXPECT_FALSE(copy);
}

// "Leaves `other` meaning none."
TEST(Handle, MovingLeavesTheOtherMeaningNone) {
  EventLoop loop;
  Handle first = loop.call_soon([] {});
  const Handle second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT: promised
  EXPECT_TRUE(second);
  static_assert(std::is_nothrow_move_constructible_v<Handle>);
}

// "From now on means the same callback as `other`."
TEST(Handle, AssignmentForgetsTheCallbackThatItMeantWithoutCancellingIt) {
  EventLoop loop;
  std::string order;
  Handle handle = loop.call_soon([&] { order += 'a'; });
  const Handle other = loop.call_soon([&] { order += 'b'; });
  handle = other;
  EXPECT_TRUE(handle.is(other));
  handle = *&handle;  // to itself
  EXPECT_TRUE(handle.is(other));
  handle.cancel();
  run_one_pass(loop);
  EXPECT_EQ(order, "a");
}

TEST(Handle, IsComparesWhichCallbackItMeans) {
  EventLoop loop;
  const Handle a = loop.call_soon([] {});
  const Handle b = loop.call_soon([] {});
  EXPECT_TRUE(a.is(a));
  EXPECT_FALSE(a.is(b));
  EXPECT_FALSE(a.is(Handle()));
}

// "May outlive the loop; cancel() is then without effect."
TEST(Handle, MayOutliveItsLoop) {
  Handle queued;
  Handle ran;
  TimerHandle timer;
  {
    VirtualTimeLoop loop;
    ran = loop.call_soon([] {});
    run_one_pass(loop);
    queued = loop.call_soon([] {});
    timer = loop.call_later(1s, [] {});
  }
  EXPECT_TRUE(queued.cancelled()) << "the end of the loop cancelled it";
  EXPECT_TRUE(timer.cancelled());
  EXPECT_EQ(timer.when(), TimePoint(1s));
  EXPECT_FALSE(timer.reschedule(TimePoint(2s)));
  EXPECT_EQ(to_string(queued), "<Handle cancelled>");
  queued.cancel();
  timer.cancel();
  ran.cancel();
  const Handle copy = queued;
  EXPECT_TRUE(copy.cancelled());
}

// -- cancel ------------------------------------------------------------------

// "Once this returns, the callback does not run any more".
TEST(HandleCancel, KeepsTheCallbackFromRunning) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { order += 'a'; });
  Handle handle = loop.call_soon([&] { order += 'b'; });
  loop.call_soon([&] { order += 'c'; });
  handle.cancel();
  run_one_pass(loop);
  EXPECT_EQ(order, "ac");
  EXPECT_EQ(loop.stats().callbacks, 2u);
}

// R2, T7: "... even if it is already in the batch that is being run."
TEST(HandleCancel, ReachesACallbackInTheBatchThatIsBeingRun) {
  VirtualTimeLoop loop;
  std::string order;
  Handle soon;
  TimerHandle timer;
  loop.call_soon([&] {
    order += 'a';
    soon.cancel();
    timer.cancel();
  });
  soon = loop.call_soon([&] { order += 'b'; });
  loop.call_soon([&] { order += 'c'; });
  timer = loop.call_later(0, [&] { order += 'd'; });
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().timers_fired, 1u) << "the timer was in the batch";
  EXPECT_EQ(order, "ac");
}

// "Its captures are destroyed before this returns".
TEST(HandleCancel, DestroysTheCapturesBeforeItReturns) {
  EventLoop loop;
  Captures soon, later, same_batch;
  Handle queued = loop.call_soon([kept = soon.take()] {});
  queued.cancel();
  EXPECT_TRUE(soon.destroyed());

  TimerHandle timer = loop.call_later(1h, [kept = later.take()] {});
  timer.cancel();
  EXPECT_TRUE(later.destroyed());

  Handle victim;
  bool destroyed_when_cancel_returned = false;
  loop.call_soon([&] {
    victim.cancel();
    destroyed_when_cancel_returned = same_batch.destroyed();
  });
  victim = loop.call_soon([kept = same_batch.take()] {});
  run_one_pass(loop);
  EXPECT_TRUE(destroyed_when_cancel_returned);
}

// "... when called out of the callback itself, they are destroyed as soon as
// the callback returns."
TEST(HandleCancel, OutOfTheCallbackItselfDestroysTheCapturesWhenItReturns) {
  EventLoop loop;
  Captures captures;
  Handle handle;
  bool alive_after_cancel = false;
  handle = loop.call_soon([&, kept = captures.take()] {
    handle.cancel();
    alive_after_cancel = !captures.destroyed() && kept != nullptr;
  });
  bool destroyed_for_the_next = false;
  loop.call_soon([&] { destroyed_for_the_next = captures.destroyed(); });
  run_one_pass(loop);
  EXPECT_TRUE(alive_after_cancel);
  EXPECT_TRUE(destroyed_for_the_next);
  EXPECT_TRUE(handle.cancelled());
}

// "No effect the second time, or on a callback that has run." T7
TEST(HandleCancel, HasNoEffectTheSecondTime) {
  EventLoop loop;
  int runs = 0;
  Handle handle = loop.call_soon([&] { ++runs; });
  handle.cancel();
  handle.cancel();
  run_one_pass(loop);
  handle.cancel();
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(handle.cancelled());
}

// "Whether cancel() was called, even after it ran, as in asyncio."
TEST(HandleCancel, AfterTheRunOnlyMarksTheHandle) {
  EventLoop loop;
  int runs = 0;
  Handle handle = loop.call_soon([&] { ++runs; });
  run_one_pass(loop);
  EXPECT_FALSE(handle.cancelled());
  handle.cancel();
  EXPECT_TRUE(handle.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// R3: the captures own what is destroyed by the cancel, the handle included.
TEST(HandleCancel, SurvivesCapturesThatOwnTheHandle) {
  EventLoop loop;
  struct Session {
    Handle handle;
    int* ends = nullptr;
    ~Session() {
      handle.cancel();
      ++*ends;
    }
  };
  int ends = 0;
  auto session = std::make_shared<Session>();
  session->ends = &ends;
  Session& raw = *session;
  raw.handle = loop.call_soon([kept = std::move(session)] {});
  raw.handle.cancel();  // destroys the session, which owns this handle
  EXPECT_EQ(ends, 1);
}

// The captures cancel the neighbours as they are destroyed, each the next.
TEST(HandleCancel, MayCancelOthersFromTheirCaptures) {
  EventLoop loop;
  struct CancelsNext {
    explicit CancelsNext(Handle handle) : next(std::move(handle)) {}
    ~CancelsNext() { next.cancel(); }
    Handle next;
  };
  std::string order;
  Handle handle = loop.call_soon([&] { order += 'x'; });
  const Handle last = handle;
  for (int depth = 0; depth < 100; ++depth) {
    auto owner = std::make_unique<CancelsNext>(handle);
    handle =
        loop.call_soon([&order, kept = std::move(owner)] { order += 'x'; });
  }
  handle.cancel();
  EXPECT_TRUE(last.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(order, "");
}

// A cancelled callback keeps its place and is passed over: those behind it
// that were ready still run in this pass.
TEST(HandleCancel, LeavesTheRestOfTheBatchInItsPass) {
  EventLoop loop;
  std::string order;
  Handle first, third;
  loop.call_soon([&] {
    first.cancel();
    third.cancel();
    loop.call_soon([&] { order += '!'; });
  });
  first = loop.call_soon([&] { order += '1'; });
  loop.call_soon([&] { order += '2'; });
  third = loop.call_soon([&] { order += '3'; });
  loop.call_soon([&] { order += '4'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "24");
  run_one_pass(loop);
  EXPECT_EQ(order, "24!");
}

// A batch of nothing but cancelled callbacks is no reason to stay awake.
TEST(HandleCancel, OfAllLeavesTheLoopIdle) {
  EventLoop loop;
  Handle handle = loop.call_soon([] {});
  handle.cancel();
  run_one_pass(loop);
  EXPECT_EQ(loop.next_timeout(), Duration::max());
}

// -- to_string ---------------------------------------------------------------

void f(int) {}

std::string here(std::uint_least32_t line) {
  return std::string(" at ") + __FILE__ + ":" + std::to_string(line) + ">";
}

// "As asyncio's repr: `<Handle f(2) at file.cc:8>`, `<Handle cancelled>`".
TEST(HandleToString, ShowsTheCallTheArgumentsAndThePlace) {
  EventLoop loop;
  Handle handle = loop.call_soon(call(f, 2));
  const std::string place = here(__LINE__ - 1);
  EXPECT_TRUE(to_string(handle).starts_with("<Handle "));
  EXPECT_TRUE(to_string(handle).ends_with("f(2)" + place)) << to_string(handle);
  handle.cancel();
  EXPECT_EQ(to_string(handle), "<Handle cancelled>");
}

// "`<TimerHandle when=841.424468959 f() at file.cc:8>`", and as asyncio's
// _repr_info has it, "cancelled" stands before the deadline.
TEST(HandleToString, ShowsTheDeadlineOfATimer) {
  EventLoop loop;
  TimerHandle timer = loop.call_at(TimePoint(841'424'468'959ns), partial(f, 2));
  const std::string place = here(__LINE__ - 1);
  const std::string text = to_string(timer);
  EXPECT_TRUE(text.starts_with("<TimerHandle when=841.424468959 ")) << text;
  EXPECT_TRUE(text.ends_with("f(2)()" + place)) << text;
  timer.cancel();
  EXPECT_EQ(to_string(timer), "<TimerHandle cancelled when=841.424468959>");
}

TEST(HandleToString, ShowsAnyDeadline) {
  EventLoop loop;
  const auto shown = [&](TimePoint when) {
    TimerHandle timer = loop.call_at(when, [] {});
    timer.cancel();
    return to_string(timer);
  };
  EXPECT_EQ(shown(TimePoint(10s)), "<TimerHandle cancelled when=10.000000000>");
  EXPECT_EQ(shown(TimePoint(-1ns)),
            "<TimerHandle cancelled when=-0.000000001>");
  EXPECT_EQ(shown(TimePoint::max()),
            "<TimerHandle cancelled when=9223372036.854775807>");
  EXPECT_EQ(shown(TimePoint::min()),
            "<TimerHandle cancelled when=-9223372036.854775808>");
}

// While the callback runs it is all there, cancelled or not: an exception
// handler and the log of slow callbacks show it.
TEST(HandleToString, ShowsTheCallWhileItRuns) {
  EventLoop loop;
  Handle handle;
  std::string running, cancelled;
  handle = loop.call_soon([&] {
    running = to_string(handle);
    handle.cancel();
    cancelled = to_string(handle);
  });
  run_one_pass(loop);
  EXPECT_NE(running.find("<lambda>() at "), std::string::npos) << running;
  EXPECT_TRUE(cancelled.starts_with("<Handle cancelled ")) << cancelled;
  EXPECT_NE(cancelled.find("<lambda>() at "), std::string::npos) << cancelled;
}

/// An argument whose text cannot be had.
struct Untold {
  friend std::string to_string(const Untold&) { throw 42; }
};

TEST(HandleToString, SaysSoIfTheCallCannotBeDescribed) {
  EventLoop loop;
  const Handle handle = loop.call_soon(call([](const Untold&) {}, Untold()));
  const std::string place = here(__LINE__ - 1);
  EXPECT_EQ(to_string(handle), "<Handle <its description threw>" + place);
}

// "One that has run, and so has nothing to show any more, is
// `<Handle done at file.cc:8>`."
TEST(HandleToString, OfACallbackThatHasRunShowsThePlaceOnly) {
  VirtualTimeLoop loop;
  Handle handle = loop.call_soon([] {});
  const std::string place = here(__LINE__ - 1);
  const TimerHandle timer = loop.call_later(2s, [] {});
  const std::string timer_place = here(__LINE__ - 1);
  loop.run_until_idle();
  EXPECT_EQ(to_string(handle), "<Handle done" + place);
  EXPECT_EQ(to_string(timer),
            "<TimerHandle done when=2.000000000" + timer_place);
  handle.cancel();
  EXPECT_EQ(to_string(handle), "<Handle cancelled>");
}

}  // namespace
}  // namespace rondo
