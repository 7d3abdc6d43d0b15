// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"
#include "test/support/at_death.h"
#include "test/support/descriptors.h"
#include "test/support/patience.h"

// FAULTS H8: a call from a thread that is not the loop's is refused while the
// loop runs, in asyncio's words, in release builds too (in asyncio: debug mode
// only). The loop goes on as if nobody had called.

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;
using test::AtDeath;
using test::run_patiently;

constexpr const char* kWrongThread =
    "Non-thread-safe operation invoked on an event loop other than the current "
    "one";

/// What `call()` throws as RuntimeError, or "".
template <class Call>
std::string refusal(Call&& call) {
  try {
    call();
    return "";
  } catch (const RuntimeError& error) {
    return error.what();
  }
}

/// Runs `call` on another thread, from the first pass of `loop` to a later
/// one: the loop runs all the while, and goes to sleep.
void during_run(EventLoop& loop, const std::function<void()>& call) {
  std::latch running(1);
  loop.call_soon([&] { running.count_down(); });
  std::thread other([&] {
    running.wait();
    call();
    loop.call_soon_threadsafe([&] { loop.stop(); });
  });
  run_patiently(loop);
  other.join();
}

/// A call by the name that a message gives it.
struct Operation {
  const char* name;
  std::function<void(EventLoop& loop, int fd)> call;
};

/// Everything that changes a loop or reads what changes.
std::vector<Operation> operations() {
  static LoopObserver observer;
  return {
      {"call_soon", [](auto& loop, int) { loop.call_soon([] {}); }},
      {"call_later", [](auto& loop, int) { loop.call_later(1ms, [] {}); }},
      {"call_at", [](auto& loop, int) { loop.call_at({}, [] {}); }},
      {"add_reader", [](auto& loop, int fd) { loop.add_reader(fd, [] {}); }},
      {"remove_reader", [](auto& loop, int fd) { loop.remove_reader(fd); }},
      {"add_writer", [](auto& loop, int fd) { loop.add_writer(fd, [] {}); }},
      {"remove_writer", [](auto& loop, int fd) { loop.remove_writer(fd); }},
      {"watch", [](auto& loop,
                   int fd) { loop.watch(fd, Events::kRead, [](Events) {}); }},
      {"modify_watch",
       [](auto& loop, int fd) { loop.modify_watch(fd, Events::kNone); }},
      {"unwatch", [](auto& loop, int fd) { loop.unwatch(fd); }},
      {"add_signal_handler",
       [](auto& loop, int) { loop.add_signal_handler(SIGUSR2, [] {}); }},
      {"remove_signal_handler",
       [](auto& loop, int) { loop.remove_signal_handler(SIGUSR2); }},
      {"set_exception_handler",
       [](auto& loop, int) {
         loop.set_exception_handler([](EventLoop&, const auto&) {});
       }},
      {"call_exception_handler",
       [](auto& loop, int) {
         loop.call_exception_handler(ExceptionContext("from afar"));
       }},
      {"add_observer", [](auto& loop, int) { loop.add_observer(observer); }},
      {"snapshot", [](auto& loop, int) { loop.snapshot(); }},
  };
}

TEST(ThreadCheck, RefusesEachOperationInAsynciosWords) {
  for (const Operation& operation : operations()) {
    EventLoop loop;
    Pipe pipe;
    std::string message;
    during_run(loop, [&] {
      message = refusal([&] { operation.call(loop, pipe.reader.get()); });
    });
    EXPECT_EQ(message, kWrongThread) << operation.name;
    EXPECT_EQ(loop.stats().callbacks, 2u) << operation.name;
    EXPECT_TRUE(loop.snapshot().descriptors.empty()) << operation.name;
    EXPECT_TRUE(loop.snapshot().timers.empty()) << operation.name;
  }
}

TEST(ThreadCheck, RefusesInDebugModeInTheSameWords) {
  EventLoop loop(LoopOptions().debug(true));
  std::string message;
  during_run(loop, [&] { message = refusal([&] { loop.call_soon([] {}); }); });
  loop.close();
  EXPECT_EQ(message, kWrongThread);
}

TEST(ThreadCheck, RefusesToRunOnTwoThreads) {
  EventLoop loop;
  std::vector<std::string> messages;
  during_run(loop, [&] {
    messages.push_back(refusal([&] { loop.run_forever(); }));
    messages.push_back(refusal([&] { loop.run_once(); }));
    messages.push_back(refusal([&] { loop.poll_events(); }));
    messages.push_back(refusal([&] { loop.collect(); }));
    messages.push_back(refusal([&] { loop.run_ready(); }));
  });
  EXPECT_EQ(messages,
            std::vector<std::string>(5, "This event loop is already running"));
}

TEST(ThreadCheck, RefusesToCloseALoopThatRunsElsewhere) {
  EventLoop loop;
  std::string message;
  during_run(loop, [&] { message = refusal([&] { loop.close(); }); });
  EXPECT_EQ(message, "Cannot close a running event loop");
  EXPECT_FALSE(loop.is_closed());
}

TEST(ThreadCheck, DestroysARefusedCallbackOnTheThreadThatMadeIt) {
  EventLoop loop;
  std::thread::id died_on;
  std::thread::id made_on;
  during_run(loop, [&] {
    made_on = std::this_thread::get_id();
    refusal([&] {
      loop.call_soon(
          [dies = AtDeath([&] { died_on = std::this_thread::get_id(); })] {});
    });
  });
  EXPECT_EQ(died_on, made_on);
}

// Not from its own thread either, as long as it is another loop's turn.
TEST(ThreadCheck, LetsALoopsCallbackUseAnotherLoopThatDoesNotRun) {
  EventLoop outer;
  EventLoop inner;
  bool ran = false;
  outer.call_soon([&] {
    inner.call_soon([&] {
      ran = true;
      inner.stop();
    });
    outer.stop();
  });
  run_patiently(outer);
  EXPECT_FALSE(ran);
  run_patiently(inner);
  EXPECT_TRUE(ran);
}

// -- what other threads may do -----------------------------------------------

TEST(ThreadCheck, LetsAnyThreadAskWhetherTheLoopRuns) {
  EventLoop loop;
  bool running = false;
  bool closed = true;
  bool has_loop_here = true;
  during_run(loop, [&] {
    running = loop.is_running();
    closed = loop.is_closed();
    has_loop_here = refusal([&] { get_running_loop(); }) == "";
  });
  EXPECT_TRUE(running);
  EXPECT_FALSE(closed);
  EXPECT_FALSE(has_loop_here);
}

TEST(ThreadCheck, LetsAnyThreadPost) {
  EventLoop loop;
  bool ran = false;
  during_run(loop, [&] {
    loop.call_soon_threadsafe([&] { ran = true; });
    EXPECT_TRUE(loop.remote_queue()->post([] {}));
  });
  EXPECT_TRUE(ran);
}

// "... and to whoever holds it while it does not run."
TEST(ThreadCheck, LetsALoopThatDoesNotRunGoFromThreadToThread) {
  EventLoop loop;
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    std::thread([&] {
      loop.call_soon([&] {
        order += name;
        loop.stop();
      });
      loop.call_later(1h, [] {});
      run_patiently(loop);
    }).join();
  }
  EXPECT_EQ(order, "abc");
  loop.close();
}

TEST(ThreadCheck, NamesTheRunningLoopOfEachThread) {
  EventLoop here;
  EventLoop there;
  EventLoop* running_here = nullptr;
  EventLoop* running_there = nullptr;
  std::thread other([&] {
    there.call_soon([&] {
      running_there = &get_running_loop();
      there.stop();
    });
    run_patiently(there);
  });
  here.call_soon([&] {
    running_here = &get_running_loop();
    here.stop();
  });
  run_patiently(here);
  other.join();
  EXPECT_EQ(running_here, &here);
  EXPECT_EQ(running_there, &there);
}

}  // namespace
}  // namespace rondo
