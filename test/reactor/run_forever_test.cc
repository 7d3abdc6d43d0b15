// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/snapshot.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/at_death.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"
#include "test/support/recording_kernel.h"

// Beginning and end of a run: run_forever(), stop(), close(), and which call
// is taken in which state. FAULTS R4, R19. The words are CPython 3.11's.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using test::AtDeath;

/// "RuntimeError: ..." if `operation()` throws one, else "nothing thrown".
std::string outcome(const std::function<void()>& operation) {
  try {
    operation();
  } catch (const RuntimeError& error) {
    return std::string("RuntimeError: ") + error.what();
  }
  return "nothing thrown";
}

constexpr const char* kClosed = "RuntimeError: Event loop is closed";
constexpr const char* kRunning =
    "RuntimeError: This event loop is already running";
constexpr const char* kAnotherRuns =
    "RuntimeError: Cannot run the event loop while another loop is running";

// -- stop --------------------------------------------------------------------

// "Runs passes until one in which stop() was called has ended." "callbacks of
// this pass still run, what they schedule stays for the next run." Probe p06.
TEST(Stop, EndsTheRunWithThePass) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { order += "before "; });
  loop.call_soon([&] {
    order += "stop ";
    loop.call_soon([&] { order += "left1 "; });
    loop.stop();
    loop.call_soon([&] { order += "left2 "; });
    loop.stop();
  });
  loop.call_soon([&] { order += "same-batch "; });
  loop.run_forever();
  EXPECT_EQ(order, "before stop same-batch ");
  EXPECT_FALSE(loop.is_running());
  EXPECT_FALSE(loop.is_stopping());
  loop.call_soon([&] { loop.stop(); });
  loop.run_forever();
  EXPECT_EQ(order, "before stop same-batch left1 left2 ");
}

// "If stop() was called before, runs one pass that does not sleep."
TEST(Stop, BeforeTheRunLeavesOnePassThatDoesNotSleep) {
  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  std::string order;
  loop.stop();
  EXPECT_TRUE(loop.is_stopping());
  loop.call_soon([&] {
    order += "one ";
    loop.call_soon([&] { order += "next "; });
  });
  loop.call_later(0, [&] { order += "due "; });
  loop.call_later(50ms, [&] { order += "later "; });
  loop.run_forever();
  EXPECT_EQ(order, "one due ");
  EXPECT_EQ(kernel.sleeps(), 0);
  EXPECT_EQ(loop.stats().passes, 1u);
}

// asyncio: run_forever() forgets the stop that ended it.
TEST(Stop, IsForgottenWithTheRun) {
  EventLoop loop;
  loop.stop();
  loop.run_forever();
  int passes = 0;
  std::function<void()> count = [&] {
    if (++passes == 3) loop.stop();
    loop.call_soon([&] { count(); });
  };
  loop.call_soon([&] { count(); });
  loop.run_forever();
  EXPECT_EQ(passes, 3);
}

TEST(Stop, FromATimerEndsTheRunAfterItsBatch) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_later(1ms, [&] {
    order += 'a';
    loop.stop();
  });
  loop.call_later(1ms, [&] { order += 'b'; });
  loop.call_later(2ms, [&] { order += 'c'; });
  loop.run_forever();
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(loop.time(), TimePoint(1ms));
}

// asyncio lets a closed loop be stopped: no effect.
TEST(Stop, IsAllowedInAnyState) {
  EventLoop loop;
  loop.stop();
  loop.close();
  loop.stop();
  EXPECT_TRUE(loop.is_closed());
}

// "From another thread: `call_soon_threadsafe([&] { loop.stop(); })`."
TEST(Stop, FromAnotherThreadGoesThroughTheLoop) {
  EventLoop loop;
  loop.call_later(10min, [&] { loop.stop(); });
  std::thread other([&] { loop.call_soon_threadsafe([&] { loop.stop(); }); });
  loop.run_forever();
  other.join();
  EXPECT_EQ(loop.stats().timers_fired, 0u);
}

// -- the state matrix: R4 ----------------------------------------------------

// "Whether run_forever() is on the stack", and get_running_loop().
TEST(RunForever, IsWhatIsRunningMeans) {
  EventLoop loop;
  EXPECT_FALSE(loop.is_running());
  bool running = false;
  EventLoop* current = nullptr;
  loop.call_soon([&] {
    running = loop.is_running();
    current = &get_running_loop();
    loop.stop();
  });
  loop.run_forever();
  EXPECT_TRUE(running);
  EXPECT_EQ(current, &loop);
  EXPECT_FALSE(loop.is_running());
}

TEST(GetRunningLoop, ThrowsOutsideOfCallbacks) {
  EXPECT_EQ(outcome([] { get_running_loop(); }),
            "RuntimeError: no running event loop");
  EventLoop loop;
  run_one_pass(loop);
  EXPECT_EQ(outcome([] { get_running_loop(); }),
            "RuntimeError: no running event loop");
}

// Each thread has its own.
TEST(GetRunningLoop, IsOfTheThread) {
  EventLoop loop;
  std::string elsewhere;
  EventLoop* other_loop = nullptr;
  bool other_is_right = false;
  loop.call_soon([&] {
    std::thread([&] {
      elsewhere = outcome([] { get_running_loop(); });
      EventLoop own;
      own.call_soon([&] { other_loop = &get_running_loop(); });
      run_one_pass(own);
      other_is_right = other_loop == &own;
    }).join();
  });
  run_one_pass(loop);
  EXPECT_EQ(elsewhere, "RuntimeError: no running event loop");
  EXPECT_TRUE(other_is_right);
}

// "Throws RuntimeError if it, or another loop of this thread, runs already";
// nothing changes by that.
TEST(RunForever, RefusesToRunInsideItself) {
  EventLoop loop;
  std::string inner;
  loop.call_soon([&] {
    inner = outcome([&] { loop.run_forever(); });
    EXPECT_TRUE(loop.is_running());
    EXPECT_EQ(&get_running_loop(), &loop);
  });
  loop.call_soon([&] { inner += "; the batch goes on"; });
  run_one_pass(loop);
  EXPECT_EQ(inner, std::string(kRunning) + "; the batch goes on");
}

TEST(RunForever, RefusesToRunInsideAnotherLoop) {
  EventLoop outer, inner;
  int runs = 0;
  inner.call_soon([&] { ++runs; });
  std::string refused;
  outer.call_soon([&] { refused = outcome([&] { inner.run_forever(); }); });
  run_one_pass(outer);
  EXPECT_EQ(refused, kAnotherRuns);
  EXPECT_FALSE(inner.is_running());
  EXPECT_EQ(runs, 0);
  run_one_pass(inner);
  EXPECT_EQ(runs, 1);
}

// CPython looks at the loop itself first.
TEST(RunForever, SaysThatItIsClosedBeforeThatAnotherRuns) {
  EventLoop outer, inner;
  inner.close();
  std::string refused;
  outer.call_soon([&] { refused = outcome([&] { inner.run_forever(); }); });
  run_one_pass(outer);
  EXPECT_EQ(refused, kClosed);
}

TEST(RunForever, RefusesToRunInTwoThreads) {
  EventLoop loop;
  std::string refused, refused_inside_another;
  loop.call_soon([&] {
    std::thread([&] {
      refused = outcome([&] { loop.run_forever(); });
      EventLoop own;
      own.call_soon([&] {
        refused_inside_another = outcome([&] { loop.run_forever(); });
      });
      run_one_pass(own);
    }).join();
  });
  run_one_pass(loop);
  EXPECT_EQ(refused, kRunning);
  EXPECT_EQ(refused_inside_another, kRunning);
}

TEST(RunForever, MayMoveToAnotherThreadBetweenRuns) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { order += 'a'; });
  run_one_pass(loop);
  std::thread([&] {
    loop.call_soon([&] { order += 'b'; });
    run_one_pass(loop);
  }).join();
  loop.call_soon([&] { order += 'c'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "abc");
}

int some_fd() {
  static const UniqueFd fd = make_eventfd();
  return fd.get();
}

// All calls, in each of the four states. What runs refuses to run and to
// close; what is closed refuses to run and to schedule; the rest is allowed.
struct Call {
  const char* name;
  void (*make)(EventLoop& loop);
  const char* when_running;
  const char* when_closed;
};
constexpr const char* kNothing = "nothing thrown";

const Call kCalls[] = {
    {"run_forever", [](EventLoop& loop) { run_one_pass(loop); }, kRunning,
     kClosed},
    {"run_once",
     [](EventLoop& loop) {
       loop.call_soon([] {});
       loop.run_once();
     },
     kRunning, kClosed},
    {"poll_events", [](EventLoop& loop) { loop.poll_events(0s); }, kRunning,
     kClosed},
    {"collect", [](EventLoop& loop) { loop.collect(); }, kRunning, kClosed},
    {"run_ready", [](EventLoop& loop) { loop.run_ready(); }, kRunning, kClosed},
    {"close", [](EventLoop& loop) { loop.close(); },
     "RuntimeError: Cannot close a running event loop", kNothing},
    {"call_soon", [](EventLoop& loop) { loop.call_soon([] {}); }, kNothing,
     kClosed},
    {"call_later", [](EventLoop& loop) { loop.call_later(1h, [] {}); },
     kNothing, kClosed},
    {"call_at", [](EventLoop& loop) { loop.call_at(TimePoint(), [] {}); },
     kNothing, kClosed},
    {"call_soon_threadsafe",
     [](EventLoop& loop) { loop.call_soon_threadsafe([] {}); }, kNothing,
     kClosed},
    {"add_reader", [](EventLoop& loop) { loop.add_reader(some_fd(), [] {}); },
     kNothing, kClosed},
    {"add_writer", [](EventLoop& loop) { loop.add_writer(some_fd(), [] {}); },
     kNothing, kClosed},
    {"watch",
     [](EventLoop& loop) {
       loop.unwatch(some_fd());
       loop.watch(some_fd(), Events::kRead, [](Events) {});
       loop.modify_watch(some_fd(), Events::kNone);
       loop.unwatch(some_fd());
     },
     kNothing, kClosed},
    {"modify_watch",
     [](EventLoop& loop) {
       if (!loop.is_closed()) loop.watch(some_fd(), {}, [](Events) {});
       loop.modify_watch(some_fd(), Events::kRead);
     },
     kNothing, kClosed},
    {"add_signal_handler",
     [](EventLoop& loop) { loop.add_signal_handler(SIGUSR1, [] {}); }, kNothing,
     kClosed},
    {"stop", [](EventLoop& loop) { loop.stop(); }, kNothing, kNothing},
    {"time", [](EventLoop& loop) { loop.time(); }, kNothing, kNothing},
    {"next_timeout", [](EventLoop& loop) { loop.next_timeout(); }, kNothing,
     kNothing},
    {"snapshot", [](EventLoop& loop) { loop.snapshot(); }, kNothing, kNothing},
    {"stats", [](EventLoop& loop) { loop.stats(); }, kNothing, kNothing},
    {"set_debug", [](EventLoop& loop) { loop.set_debug(false); }, kNothing,
     kNothing},
    {"set_exception_handler",
     [](EventLoop& loop) { loop.set_exception_handler(nullptr); }, kNothing,
     kNothing},
    {"to_string", [](EventLoop& loop) { to_string(loop); }, kNothing, kNothing},
};

TEST(LoopStates, TakeOrRefuseEachCall) {
  for (const Call& call : kCalls) {
    SCOPED_TRACE(call.name);
    EventLoop loop;
    EXPECT_EQ(outcome([&] { call.make(loop); }), kNothing) << "fresh";
    loop.close();
    EXPECT_EQ(outcome([&] { call.make(loop); }), call.when_closed) << "closed";

    EventLoop running;
    std::string inside;
    running.call_soon([&] { inside = outcome([&] { call.make(running); }); });
    run_one_pass(running);
    EXPECT_EQ(inside, call.when_running) << "running";
    EXPECT_EQ(outcome([&] { call.make(running); }), kNothing) << "has run";
  }
}

// asyncio.selector_events: a closed loop has no readers to remove.
TEST(LoopStates, ClosedHasNothingToRemove) {
  EventLoop loop;
  loop.close();
  EXPECT_FALSE(loop.remove_reader(0));
  EXPECT_FALSE(loop.remove_writer(0));
  EXPECT_FALSE(loop.unwatch(0));
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
}

// -- close -------------------------------------------------------------------

// "Cancels all callbacks": those of every kind, and nothing runs any more.
TEST(Close, CancelsAllCallbacks) {
  int runs = 0, deaths = 0;
  EventLoop loop;
  const auto callback = [&] {
    return [&runs, dies = AtDeath([&] { ++deaths; })] { ++runs; };
  };
  const Handle soon = loop.call_soon(callback());
  const TimerHandle later = loop.call_later(1h, callback());
  const TimerHandle due = loop.call_later(0, callback());
  loop.call_soon_threadsafe(callback());
  loop.collect();  // `due`, and what was posted, wait in the ready queue
  loop.call_soon_threadsafe(callback());
  loop.close();
  EXPECT_TRUE(loop.is_closed());
  EXPECT_TRUE(soon.cancelled());
  EXPECT_TRUE(later.cancelled());
  EXPECT_TRUE(due.cancelled());
  EXPECT_EQ(deaths, 5);
  EXPECT_EQ(runs, 0);
}

// "No effect the second time."
TEST(Close, HasNoEffectTheSecondTime) {
  ScriptedKernel kernel;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    loop.close();
    const std::uint64_t closes = kernel.calls(KernelCall::kClose);
    loop.close();
    EXPECT_EQ(kernel.calls(KernelCall::kClose), closes);
  }
  EXPECT_TRUE(kernel.open_descriptors().empty());
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

// "Throws RuntimeError while it runs": and it runs on.
TEST(Close, WhileItRunsThrowsAndChangesNothing) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] {
    order += outcome([&] { loop.close(); });
    loop.call_soon([&] { order += "; goes on"; });
  });
  run_one_pass(loop);
  run_one_pass(loop);
  EXPECT_EQ(order, "RuntimeError: Cannot close a running event loop; goes on");
}

// "What the callbacks captured is destroyed here: it may cancel and remove,
// but not schedule."
TEST(Close, LetsDyingCapturesCancelOthers) {
  EventLoop loop;
  TimerHandle later;
  Handle soon;
  std::string refused;
  loop.call_later(1h, [dies = AtDeath([&] {
                         soon.cancel();
                         later.cancel();
                         loop.remove_reader(0);
                         loop.close();
                         refused = outcome([&] { loop.call_soon([] {}); });
                       })] {});
  later = loop.call_later(2h, [] {});
  soon = loop.call_soon([] {});
  loop.close();
  EXPECT_TRUE(soon.cancelled());
  EXPECT_TRUE(later.cancelled());
  EXPECT_EQ(refused, kClosed);
}

// "As close()."
TEST(Close, IsDoneByTheDestructor) {
  int deaths = 0;
  ScriptedKernel kernel;
  {
    EventLoop loop(LoopOptions().kernel(kernel));
    loop.call_soon([dies = AtDeath([&] { ++deaths; })] {});
    loop.call_later(1h, [dies = AtDeath([&] { ++deaths; })] {});
  }
  EXPECT_EQ(deaths, 2);
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// "A loop must not be destroyed from inside its own callbacks."
TEST(CloseDeathTest, ALoopThatIsDestroyedInItsOwnCallbackEndsTheProgram) {
  EXPECT_DEATH(
      {
        auto loop = std::make_unique<EventLoop>();
        loop->call_soon([&] { loop.reset(); });
        run_one_pass(*loop);
      },
      "check failed: .*is_running");
}

// -- R19: the end at any moment ----------------------------------------------

/// A program with callbacks of every kind, that cancel, move and make each
/// other. `deaths` counts the captures that are gone.
class BusyProgram {
 public:
  explicit BusyProgram(EventLoop& loop) : loop_(loop) {
    for (int index = 0; index < 4; ++index) soon(index);
    for (int index = 0; index < 4; ++index) later(index);
    loop_.call_soon_threadsafe(counted([this] { soon(1); }));
  }

  int made() const { return made_; }
  int deaths() const { return *deaths_; }

 private:
  template <class F>
  Callback counted(F f) {
    ++made_;
    return [f, dies = AtDeath([deaths = deaths_] { ++*deaths; })]() mutable {
      f();
    };
  }
  void soon(int index) {
    handles_.push_back(loop_.call_soon(counted([this, index] {
      if (index > 0) soon(index - 1);
      if (index == 2) handles_.back().cancel();
      if (index == 3) loop_.call_soon_threadsafe(counted([] {}));
    })));
  }
  void later(int index) {
    timers_.push_back(loop_.call_later(
        std::chrono::milliseconds(index), counted([this, index] {
          soon(index);
          if (index == 1) timers_.back().reschedule(loop_.time() + 1ms);
          if (index == 2) owned_ = loop_.call_later(1h, counted([] {}));
          if (index == 3) owned_ = loop_.call_soon(counted([] {}));
        })));
  }

  EventLoop& loop_;
  int made_ = 0;
  const std::shared_ptr<int> deaths_ = std::make_shared<int>(0);
  std::vector<Handle> handles_;
  std::vector<TimerHandle> timers_;
  ScopedHandle owned_;
};

// "Cancel all, close fds in order, no callbacks after": destroyed after each
// step of the program, with everything pending.
TEST(Close, AtAnyStepOfAProgramDestroysEverything) {
  for (int passes = 0; passes < 12; ++passes) {
    for (const bool collected : {false, true}) {
      SCOPED_TRACE(testing::Message()
                   << passes << " passes, collected " << collected);
      VirtualKernel clock;
      auto loop = std::make_unique<EventLoop>(LoopOptions().kernel(clock));
      auto program = std::make_unique<BusyProgram>(*loop);
      for (int pass = 0; pass < passes; ++pass) {
        clock.spend(400us);
        run_one_pass(*loop);
      }
      if (collected) {
        clock.spend(400us);
        loop->collect();
      }
      const std::uint64_t callbacks = loop->stats().callbacks;
      loop->close();
      EXPECT_EQ(program->deaths(), program->made());
      EXPECT_EQ(loop->stats().callbacks, callbacks);
      loop.reset();  // the handles of the program outlive the loop
      program.reset();
    }
  }
}

// The same in the middle of a batch, which SystemExit leaves.
TEST(Close, InTheMiddleOfABatchDestroysEverything) {
  for (int position = 0; position < 10; ++position) {
    SCOPED_TRACE(position);
    EventLoop loop;
    int made = 0, deaths = 0, runs = 0;
    const auto counted = [&] {
      ++made;
      return [&runs, dies = AtDeath([&] { ++deaths; })] { ++runs; };
    };
    for (int index = 0; index < 10; ++index) {
      if (index == position) loop.call_soon([] { throw SystemExit(); });
      loop.call_soon(counted());
    }
    EXPECT_THROW(run_one_pass(loop), SystemExit);
    EXPECT_EQ(runs, position);
    loop.close();
    EXPECT_EQ(runs, position);
    EXPECT_EQ(deaths, made);
  }
}

// -- making one --------------------------------------------------------------

TEST(NewEventLoop, GivesEachItsOwn) {
  const auto first = new_event_loop();
  const auto second = new_event_loop(LoopOptions().debug(true));
  EXPECT_NE(first, second);
  EXPECT_NE(first->fd(), second->fd());
  EXPECT_FALSE(first->get_debug());
  EXPECT_TRUE(second->get_debug());
  second->close();
}

// "A loop of its own, with two descriptors: an epoll set and an eventfd."
TEST(NewEventLoop, HasTwoDescriptors) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  EXPECT_EQ(kernel.open_descriptors().size(), 2u);
}

// "Throws std::system_error": whatever call fails, nothing is left open.
TEST(NewEventLoop, ThrowsIfTheKernelRefusesAndLeavesNothingOpen) {
  const struct {
    KernelCall call;
    int error;
  } failures[] = {{KernelCall::kEpollCreate, EMFILE},
                  {KernelCall::kEpollCreate, ENOMEM},
                  {KernelCall::kEventfd, ENFILE},
                  {KernelCall::kEpollAdd, ENOSPC},
                  {KernelCall::kEpollAdd, ENOMEM}};
  for (const auto& [call, error] : failures) {
    SCOPED_TRACE(to_string(call));
    ScriptedKernel kernel;
    kernel.fail(call, error);
    try {
      EventLoop loop(LoopOptions().kernel(kernel));
      ADD_FAILURE() << "expected std::system_error";
    } catch (const std::system_error& thrown) {
      EXPECT_EQ(thrown.code().value(), error);
    }
    EXPECT_TRUE(kernel.open_descriptors().empty());
    EXPECT_TRUE(kernel.ledger_errors().empty());
  }
}

// -- to_string ---------------------------------------------------------------

// "`<EventLoop running=False closed=False debug=False>`, as asyncio's repr."
TEST(EventLoopToString, IsAsyncios) {
  EventLoop loop;
  EXPECT_EQ(to_string(loop),
            "<EventLoop running=False closed=False debug=False>");
  std::string running;
  loop.call_soon([&] { running = to_string(loop); });
  loop.set_debug(true);
  run_one_pass(loop);
  EXPECT_EQ(running, "<EventLoop running=True closed=False debug=True>");
  loop.set_debug(false);
  loop.close();
  EXPECT_EQ(to_string(loop),
            "<EventLoop running=False closed=True debug=False>");
}

}  // namespace
}  // namespace rondo
