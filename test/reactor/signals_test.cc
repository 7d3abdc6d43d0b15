// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// R18, what one signal does. signals_storm_test.cc has many.

namespace rondo {
namespace {

extern "C" void a_handler_of_the_program(int) {}

/// What the process does with `signal_number` now.
struct ::sigaction disposition(int signal_number) {
  struct ::sigaction current{};
  ::sigaction(signal_number, nullptr, &current);
  return current;
}

/// Puts every disposition back as it was, whatever the test did.
struct SignalHandler : ::testing::Test {
  SignalHandler() {
    for (const int number : kUsed) {
      ::sigaction(number, nullptr, &before[number]);
    }
  }
  ~SignalHandler() override {
    for (const int number : kUsed) {
      ::sigaction(number, &before[number], nullptr);
    }
  }
  static constexpr int kUsed[] = {SIGUSR1, SIGUSR2, SIGHUP};
  struct ::sigaction before[32] = {};

  /// A callback that leaves its letter in `order`.
  Callback leaves(char letter) {
    return [this, letter] { order += letter; };
  }
  std::string order;
};

TEST_F(SignalHandler, RunsAsANormalCallback) {
  EventLoop loop;
  bool on_the_loop = false;
  loop.add_signal_handler(SIGUSR1, [&] {
    order += 's';
    on_the_loop = &get_running_loop() == &loop;
  });
  ::raise(SIGUSR1);
  EXPECT_EQ(order, "") << "not inside of the signal";
  run_one_pass(loop);
  EXPECT_EQ(order, "s");
  EXPECT_TRUE(on_the_loop);
  run_passes(loop, 3);
  EXPECT_EQ(order, "s") << "once";
}

TEST_F(SignalHandler, WakesALoopThatSleeps) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [&] { loop.stop(); });
  std::thread sender([] { ::kill(::getpid(), SIGUSR1); });
  loop.run_forever();
  sender.join();
}

TEST_F(SignalHandler, RunsForASignalOfAnotherThread) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [&] { loop.stop(); });
  std::thread victim([] { ::raise(SIGUSR1); });
  loop.run_forever();
  victim.join();
}

TEST_F(SignalHandler, HearsOfASignalThatCameWhileNobodyRanTheLoop) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  run_one_pass(loop);
  EXPECT_EQ(order, "s") << "several deliveries may become one call";
}

TEST_F(SignalHandler, HearsOfASignalThatComesWhileItRuns) {
  EventLoop loop;
  int calls = 0;
  loop.add_signal_handler(SIGUSR1, [&] {
    if (++calls < 3) ::raise(SIGUSR1);
  });
  ::raise(SIGUSR1);
  run_passes(loop, 5);
  EXPECT_EQ(calls, 3);
}

TEST_F(SignalHandler, RunsLowestNumberFirst) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR2, leaves('2'));
  loop.add_signal_handler(SIGHUP, leaves('h'));
  loop.add_signal_handler(SIGUSR1, leaves('1'));
  ::raise(SIGUSR2);
  ::raise(SIGUSR1);
  ::raise(SIGHUP);
  run_one_pass(loop);
  EXPECT_EQ(order, "h12");
}

// The eventfd's counter is full: the handler's write fails with EAGAIN, which
// says that the loop is awake already.
TEST_F(SignalHandler, WakesTheLoopEvenWhenItsEventfdIsFull) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  const std::uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(::write(loop.remote_queue()->wake_fd(), &full, sizeof full), 8);
  errno = 0;
  ::raise(SIGUSR1);
  loop.run_once();
  EXPECT_EQ(order, "s");
}

TEST_F(SignalHandler, LeavesErrnoAlone) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  const std::uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(::write(loop.remote_queue()->wake_fd(), &full, sizeof full), 8);
  errno = ERANGE;
  ::raise(SIGUSR1);  // the handler's write sets EAGAIN meanwhile
  EXPECT_EQ(errno, ERANGE);
}

// asyncio: siginterrupt(sig, False).
TEST_F(SignalHandler, RestartsSlowSystemCalls) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  EXPECT_NE(disposition(SIGUSR1).sa_flags & SA_RESTART, 0);
}

TEST_F(SignalHandler, GoesToTheExceptionHandlerWhenItThrows) {
  EventLoop loop;
  const Reports reports(loop);
  loop.add_signal_handler(SIGUSR1, [] { throw std::runtime_error("mine"); });
  ::raise(SIGUSR1);
  run_one_pass(loop);
  ::raise(SIGUSR1);
  run_one_pass(loop);
  EXPECT_EQ(reports.messages.size(), 2u) << "and it stays registered";
}

// -- replacing and removing --------------------------------------------------

TEST_F(SignalHandler, ReplacesAnEarlierOne) {
  EventLoop loop;
  auto held = std::make_shared<int>();
  loop.add_signal_handler(SIGUSR1, [this, held] { order += '1'; });
  ::raise(SIGUSR1);
  loop.add_signal_handler(SIGUSR1, leaves('2'));
  EXPECT_EQ(held.use_count(), 1);
  run_one_pass(loop);
  EXPECT_EQ(order, "2") << "what is pending goes to the new one";
}

// R3
TEST_F(SignalHandler, CanReplaceAndRemoveItself) {
  EventLoop loop;
  auto held = std::make_shared<std::string>("alive ");
  loop.add_signal_handler(SIGUSR1, [this, &loop, held] {
    loop.add_signal_handler(SIGUSR1, [this, &loop] {
      loop.remove_signal_handler(SIGUSR1);
      order += 'r';
    });
    order += *held;
  });
  ::signal(SIGUSR2, SIG_IGN);
  ::raise(SIGUSR1);
  run_one_pass(loop);
  EXPECT_EQ(held.use_count(), 1);
  ::raise(SIGUSR1);
  run_one_pass(loop);
  EXPECT_EQ(order, "alive r");
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
}

TEST_F(SignalHandler, DoesNotRunOnceItIsRemoved) {
  ::signal(SIGUSR1, SIG_IGN);
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  ::raise(SIGUSR1);
  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1)) << "arrived, not collected";
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
  run_passes(loop, 2);
  loop.add_signal_handler(SIGUSR1, leaves('n'));
  run_one_pass(loop);
  EXPECT_EQ(order, "") << "nor is it kept for the next one";
}

TEST_F(SignalHandler, DoesNotRunOnceItIsRemovedInTheBatch) {
  EventLoop loop;
  loop.add_signal_handler(SIGHUP, [&] {
    order += 'h';
    loop.remove_signal_handler(SIGUSR1);
  });
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  ::raise(SIGUSR1);
  ::raise(SIGHUP);
  run_passes(loop, 2);
  EXPECT_EQ(order, "h");
}

// "The process's disposition is put back."
TEST_F(SignalHandler, PutsTheDispositionBack) {
  for (const ::sighandler_t original :
       {SIG_IGN, SIG_DFL, &a_handler_of_the_program}) {
    ::signal(SIGUSR1, original);
    EventLoop loop;
    loop.add_signal_handler(SIGUSR1, [] {});
    loop.add_signal_handler(SIGUSR1, [] {});  // a second one changes nothing
    EXPECT_NE(disposition(SIGUSR1).sa_handler, original);
    loop.remove_signal_handler(SIGUSR1);
    EXPECT_EQ(disposition(SIGUSR1).sa_handler, original);
    loop.add_signal_handler(SIGUSR1, [] {});
    loop.close();
    EXPECT_EQ(disposition(SIGUSR1).sa_handler, original);
  }
  ::signal(SIGUSR1, &a_handler_of_the_program);
  {
    EventLoop loop;
    loop.add_signal_handler(SIGUSR1, [] {});
  }
  EXPECT_EQ(disposition(SIGUSR1).sa_handler, &a_handler_of_the_program);
}

// "No global signal setting is changed without being asked."
TEST_F(SignalHandler, IsTheOnlyWayInWhichALoopTouchesSignals) {
  const auto pipe_before = disposition(SIGPIPE).sa_handler;
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  run_passes(loop, 2);
  loop.close();
  EXPECT_EQ(kernel.calls(KernelCall::kSigaction), 0u);
  EXPECT_EQ(disposition(SIGPIPE).sa_handler, pipe_before);
}

// Somebody else took the signal over with sigaction(2): theirs then.
TEST_F(SignalHandler, IsSilentAfterTheProgramHasReplacedIt) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  ::signal(SIGUSR1, SIG_IGN);
  ::raise(SIGUSR1);
  run_passes(loop, 2);
  EXPECT_EQ(order, "");
  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
}

// The batch is cut short before the callback runs, and the signal comes again.
TEST_F(SignalHandler, IsQueuedOnceHoweverOftenItArrives) {
  EventLoop loop;
  loop.add_signal_handler(SIGHUP, [&] { throw SystemExit(); });
  loop.add_signal_handler(SIGUSR1, leaves('s'));
  ::raise(SIGHUP);
  ::raise(SIGUSR1);
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  ::raise(SIGUSR1);
  run_passes(loop, 3);
  EXPECT_EQ(order, "s");
}

// sigaction(2) refuses to take the disposition back: the handler stays, and
// finds that the signal is nobody's.
TEST_F(SignalHandler, IsHarmlessWhenItCannotBeTakenBack) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.add_signal_handler(SIGUSR2, [] {});
  loop.add_signal_handler(SIGUSR1, leaves('1'));
  loop.add_signal_handler(SIGUSR1, leaves('2'));  // the second of two
  kernel.fail(KernelCall::kSigaction, EINVAL);
  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
  ::raise(SIGUSR1);
  run_passes(loop, 2);
  EXPECT_EQ(order, "");
}

// -- two loops ---------------------------------------------------------------

TEST_F(SignalHandler, OfOneSignalBelongsToOneLoop) {
  EventLoop first;
  EventLoop second;
  first.add_signal_handler(SIGUSR1, leaves('1'));
  try {
    second.add_signal_handler(SIGUSR1, leaves('2'));
    ADD_FAILURE() << "two loops handle one signal";
  } catch (const RuntimeError& error) {
    EXPECT_NE(std::string(error.what()).find("another event loop"),
              std::string::npos);
  }
  EXPECT_FALSE(second.remove_signal_handler(SIGUSR1));
  second.add_signal_handler(SIGUSR2, leaves('b'));
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  run_one_pass(second);
  run_one_pass(first);
  EXPECT_EQ(order, "b1");
  // When the one lets go, the other may have it.
  first.close();
  second.add_signal_handler(SIGUSR1, leaves('2'));
  ::raise(SIGUSR1);
  run_one_pass(second);
  EXPECT_EQ(order, "b12");
}

// -- what is refused ---------------------------------------------------------

TEST_F(SignalHandler, RefusesANumberThatIsNoSignals) {
  EventLoop loop;
  for (const int number : {0, -1, 65, INT_MAX, INT_MIN}) {
    EXPECT_THROW(loop.add_signal_handler(number, [] {}), std::invalid_argument);
    EXPECT_THROW(loop.remove_signal_handler(number), std::invalid_argument);
  }
}

TEST_F(SignalHandler, RefusesWhatCannotBeCaught) {
  EventLoop loop;
  for (const int number : {SIGKILL, SIGSTOP, 32}) {  // 32: the C library's
    try {
      loop.add_signal_handler(number, [] {});
      ADD_FAILURE() << number << " was caught";
    } catch (const RuntimeError& error) {
      EXPECT_EQ(error.what(),
                "sig " + std::to_string(number) + " cannot be caught");
    }
    EXPECT_FALSE(loop.remove_signal_handler(number));
  }
}

TEST_F(SignalHandler, RefusesAnEmptyCallback) {
  EventLoop loop;
  EXPECT_THROW(loop.add_signal_handler(SIGUSR1, Callback()),
               std::invalid_argument);
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
}

TEST_F(SignalHandler, RefusesAClosedLoop) {
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [] {});
  loop.close();
  EXPECT_THROW(loop.add_signal_handler(SIGUSR1, [] {}), RuntimeError);
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
}

// R8
TEST_F(SignalHandler, ThatFailsLeavesTheSignalToOthers) {
  ScriptedKernel kernel;
  EventLoop failing(LoopOptions().kernel(kernel));
  EventLoop other;
  auto held = std::make_shared<int>();
  kernel.fail(KernelCall::kSigaction, EFAULT);
  EXPECT_THROW(failing.add_signal_handler(SIGUSR1, [held] {}),
               std::system_error);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(failing.remove_signal_handler(SIGUSR1));
  other.add_signal_handler(SIGUSR1, leaves('s'));
  ::raise(SIGUSR1);
  run_one_pass(other);
  EXPECT_EQ(order, "s");
}

// -- the way out -------------------------------------------------------------

TEST_F(SignalHandler, IsDestroyedWithTheLoop) {
  auto held = std::make_shared<int>();
  EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [held] {});
  loop.add_signal_handler(SIGUSR2, [held] {});
  ::raise(SIGUSR1);
  loop.close();
  EXPECT_EQ(held.use_count(), 1);
}

// R3: the captures come back to the loop as they die.
TEST_F(SignalHandler, LetsADestructorUseTheLoop) {
  struct RemovesTheOther {
    ~RemovesTheOther() { loop.remove_signal_handler(SIGUSR2); }
    EventLoop& loop;
  };
  EventLoop loop;
  auto owned = std::make_shared<RemovesTheOther>(loop);
  loop.add_signal_handler(SIGUSR1, [owned = std::move(owned)] {});
  loop.add_signal_handler(SIGUSR2, leaves('2'));
  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
  EXPECT_FALSE(loop.remove_signal_handler(SIGUSR2));
}

}  // namespace
}  // namespace rondo
