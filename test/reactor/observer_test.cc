// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"

// loop_observer.h: "Sees each step of each pass".

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Steps = std::vector<std::string>;

/// Writes each step down.
class Recorder : public LoopObserver {
 public:
  void on_pass_begin(EventLoop&) override { step("pass{"); }
  void on_poll_begin(EventLoop&, Duration timeout) override {
    step("poll{ " + (timeout == Duration::max()
                         ? "max"
                         : std::to_string(timeout.count())));
  }
  void on_poll_end(EventLoop&, std::size_t events) override {
    step("}poll " + std::to_string(events));
  }
  void on_event(EventLoop&, int fd, Events events) override {
    step("event " + std::to_string(fd) + " " + to_string(events));
  }
  void on_timer_due(EventLoop&, const TimerHandle& timer) override {
    step("due " + std::to_string(timer.when().time_since_epoch() / 1ms));
  }
  void on_callback_begin(EventLoop&, const Handle& handle) override {
    step("callback{");
    begun = handle;
    shown = to_string(handle);
  }
  void on_callback_end(EventLoop&, const Handle& handle) override {
    step("}callback");
    same_handle = handle.is(begun);
    shown_at_end = to_string(handle);
  }
  void on_pass_end(EventLoop&) override { step("}pass"); }

  /// Called with each step.
  std::function<void(const std::string&)> on_step = [](const auto&) {};
  Steps steps;
  Handle begun;
  bool same_handle = false;
  std::string shown, shown_at_end;

 private:
  void step(const std::string& name) {
    steps.push_back(name);
    on_step(name);
  }
};

// "The calls of one pass, in order".
TEST(LoopObserver, SeesTheStepsInOrder) {
  VirtualTimeLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] { loop.remove_reader(fd.get()); });
  loop.call_soon_threadsafe([] {});
  loop.call_soon([] {});
  loop.call_later(-1ms, [] {});
  run_one_pass(loop);
  EXPECT_EQ(
      recorder.steps,
      (Steps{"pass{", "poll{ 0", "}poll 2",
             "event " + std::to_string(fd.get()) + " read", "due -1",
             "callback{", "}callback", "callback{", "}callback", "callback{",
             "}callback", "callback{", "}callback", "}pass"}));
  loop.remove_observer(recorder);
}

// "The loop will wait for up to `timeout`: zero does not sleep,
// Duration::max() sleeps until something happens."
TEST(LoopObserver, SeesHowLongTheLoopWillSleep) {
  VirtualTimeLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  loop.call_later(10ms, [&] {
    loop.call_soon_threadsafe([] {});
    loop.remote_queue()->wake();
  });
  loop.run_once();
  loop.run_once();  // on the own thread: ready
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] { loop.remove_reader(fd.get()); });
  loop.run_once();
  Steps polls;
  for (const std::string& step : recorder.steps) {
    if (step.starts_with("poll{")) polls.push_back(step);
  }
  EXPECT_EQ(polls, (Steps{"poll{ 10000000", "poll{ 0", "poll{ max"}));
  loop.remove_observer(recorder);
}

// "`handle` is about to run."; "`handle` has run; its captures are still
// there."
TEST(LoopObserver, SeesTheHandleThatRuns) {
  EventLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  const Handle handle = loop.call_soon([] {});
  const std::string shown = to_string(handle);
  run_one_pass(loop);
  EXPECT_TRUE(recorder.begun.is(handle));
  EXPECT_TRUE(recorder.same_handle);
  EXPECT_EQ(recorder.shown, shown);
  EXPECT_EQ(recorder.shown_at_end, shown);
  EXPECT_NE(to_string(handle), shown) << "gone by now";
  loop.remove_observer(recorder);
}

// A cancelled callback does not run, so it is not seen.
TEST(LoopObserver, DoesNotSeeWhatIsCancelled) {
  EventLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  loop.call_soon([] {}).cancel();
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps, (Steps{"pass{", "poll{ 0", "}poll 0", "}pass"}));
  loop.remove_observer(recorder);
}

TEST(LoopObserver, SeesTheEndOfACallbackThatThrows) {
  EventLoop loop;
  loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
  Recorder recorder;
  loop.add_observer(recorder);
  loop.call_soon([] { throw 1; });
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps, (Steps{"pass{", "poll{ 0", "}poll 0", "callback{",
                                   "}callback", "}pass"}));
  loop.remove_observer(recorder);
}

// "A pass that SystemExit leaves has no on_pass_end."
TEST(LoopObserver, SeesTheEndOfACallbackThatLeavesTheLoop) {
  EventLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  loop.call_soon([] { throw SystemExit(); });
  loop.call_soon([] {});
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  EXPECT_EQ(recorder.steps,
            (Steps{"pass{", "poll{ 0", "}poll 0", "callback{", "}callback"}));
  loop.remove_observer(recorder);
}

// "(A pass polls unless LoopOptions::passes_per_poll lets it skip that.)"
TEST(LoopObserver, SeesNoPollInAPassThatSkipsIt) {
  EventLoop loop(LoopOptions().passes_per_poll(2));
  Recorder recorder;
  loop.add_observer(recorder);
  loop.call_soon([] {});
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps,
            (Steps{"pass{", "callback{", "}callback", "}pass"}));
  loop.remove_observer(recorder);
}

// "An observer may read the loop (snapshot(), stats(), to_string()) and the
// clock", in every step.
TEST(LoopObserver, MayReadTheLoopInEveryStep) {
  VirtualTimeLoop loop;
  Recorder recorder;
  std::vector<std::size_t> ready;
  recorder.on_step = [&](const std::string&) {
    ready.push_back(loop.snapshot().ready.size());
    EXPECT_EQ(loop.stats().passes, 1u - (ready.size() == 1 ? 1u : 0u));
    EXPECT_FALSE(to_string(loop).empty());
    EXPECT_EQ(loop.time(), TimePoint(0s));
  };
  loop.add_observer(recorder);
  loop.call_soon([] {});
  loop.call_later(0, [] {});
  run_one_pass(loop);
  // pass{ poll{ }poll due callback{ }callback callback{ }callback }pass
  EXPECT_EQ(ready, (std::vector<std::size_t>{1, 1, 1, 2, 1, 1, 0, 0, 0}));
  loop.remove_observer(recorder);
}

// -- coming and going --------------------------------------------------------

// "`observer` sees every step from now on."
TEST(AddObserver, TakesSeveralInOrder) {
  EventLoop loop;
  Recorder first, second;
  std::string order;
  first.on_step = [&](const std::string&) { order += '1'; };
  second.on_step = [&](const std::string&) { order += '2'; };
  loop.add_observer(first);
  loop.add_observer(second);
  run_one_pass(loop);
  EXPECT_EQ(order, "12121212");  // pass{ poll{ }poll }pass
  EXPECT_EQ(first.steps, second.steps);
  loop.remove_observer(first);
  loop.remove_observer(second);
}

// "Returns whether it was there."
TEST(RemoveObserver, ReturnsWhetherItWasThere) {
  EventLoop loop;
  Recorder recorder;
  EXPECT_FALSE(loop.remove_observer(recorder));
  loop.add_observer(recorder);
  EXPECT_TRUE(loop.remove_observer(recorder));
  EXPECT_FALSE(loop.remove_observer(recorder));
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps, Steps());
}

TEST(RemoveObserver, TakesOneOfTwoRegistrations) {
  EventLoop loop;
  Recorder recorder;
  loop.add_observer(recorder);
  loop.add_observer(recorder);
  EXPECT_TRUE(loop.remove_observer(recorder));
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps.size(), 4u);
  EXPECT_TRUE(loop.remove_observer(recorder));
  EXPECT_FALSE(loop.remove_observer(recorder));
}

// From inside of a callback: from the next step on.
TEST(AddObserver, InACallbackSeesTheRestOfThePass) {
  EventLoop loop;
  Recorder recorder;
  loop.call_soon([&] { loop.add_observer(recorder); });
  loop.call_soon([&] {});
  loop.call_soon([&] { loop.remove_observer(recorder); });
  loop.call_soon([&] {});
  run_one_pass(loop);
  EXPECT_EQ(recorder.steps, (Steps{"callback{", "}callback", "callback{"}));
}

// "sees every step": also when a neighbour leaves in the middle of it.
TEST(LoopObserver, ThatRemovesItselfCostsNoOtherAStep) {
  EventLoop loop;
  Recorder first, leaver, last;
  leaver.on_step = [&](const std::string&) {
    EXPECT_TRUE(loop.remove_observer(leaver));
    EXPECT_FALSE(loop.remove_observer(leaver));
  };
  loop.add_observer(first);
  loop.add_observer(leaver);
  loop.add_observer(last);
  loop.call_soon([] {});
  run_one_pass(loop);
  EXPECT_EQ(leaver.steps, Steps{"pass{"});
  EXPECT_EQ(first.steps.size(), 6u);
  EXPECT_EQ(last.steps, first.steps);
  loop.remove_observer(first);
  loop.remove_observer(last);
}

TEST(LoopObserver, MayRemoveAndAddOthers) {
  EventLoop loop;
  Recorder host, guest, late;
  host.on_step = [&](const std::string& step) {
    if (step == "poll{ 0") loop.remove_observer(guest);
    if (step == "}poll 0") loop.add_observer(late);
  };
  loop.add_observer(host);
  loop.add_observer(guest);
  run_one_pass(loop);
  EXPECT_EQ(guest.steps, Steps{"pass{"});
  EXPECT_EQ(late.steps.back(), "}pass");
  loop.remove_observer(host);
  loop.remove_observer(late);
}

// A run that is instrumented for one reason only stays so for the others.
TEST(RemoveObserver, LeavesDebugModeAndMeasuringOn) {
  VirtualTimeLoop loop(LoopOptions().measure_callbacks(true));
  Recorder recorder;
  loop.add_observer(recorder);
  loop.remove_observer(recorder);
  loop.call_soon([&] { loop.spend(3s); });
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().callback_time, 3s);
}

}  // namespace
}  // namespace rondo
