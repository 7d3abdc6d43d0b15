// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"

// event_loop.h: "an exception that leaves a callback goes to the exception
// handler; the loop goes on. SystemExit and KeyboardInterrupt leave
// run_forever()." FAULTS E1, E2. Probe p08.

namespace rondo {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

void bad(const char* message) { throw std::invalid_argument(message); }

std::string at(std::uint_least32_t line) {
  return std::string(" at ") + __FILE__ + ":" + std::to_string(line);
}

// -- what goes to the handler ------------------------------------------------

// E1: std::exception, int, something foreign; the rest of the batch runs.
TEST(ExceptionHandler, IsToldOfWhateverACallbackThrows) {
  EventLoop loop;
  std::vector<std::string> told;
  loop.set_exception_handler(
      [&](EventLoop& where, const ExceptionContext& context) {
        EXPECT_EQ(&where, &loop);
        told.push_back(describe(context.exception));
      });
  struct Foreign {};
  int runs = 0;
  loop.call_soon([] { throw std::runtime_error("no route"); });
  loop.call_soon([&] { ++runs; });
  loop.call_soon([] { throw 5; });
  loop.call_soon([&] { ++runs; });
  loop.call_soon([] { throw Foreign(); });
  loop.call_soon([&] { ++runs; });
  run_one_pass(loop);
  EXPECT_EQ(runs, 3);
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0], "std::runtime_error: no route");
  EXPECT_EQ(told[1], "int");
  EXPECT_TRUE(told[2].ends_with("Foreign")) << told[2];
  EXPECT_EQ(loop.stats().exceptions, 3u);
  EXPECT_EQ(loop.stats().callbacks, 6u);
}

// asyncio's context: message, exception, handle; and asyncio's words.
TEST(ExceptionHandler, IsToldWhatAndWhere) {
  EventLoop loop;
  ExceptionContext told;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext& context) { told = context; });
  const Handle handle = loop.call_soon(call(bad, "second"));
  const std::string place = at(__LINE__ - 1);
  run_one_pass(loop);
  EXPECT_TRUE(told.message.starts_with("Exception in callback "));
  EXPECT_TRUE(told.message.ends_with("bad('second')" + place)) << told.message;
  EXPECT_EQ(told.keys(), (Lines{"exception", "handle", "message"}));
  EXPECT_TRUE(told.handle.is(handle));
  EXPECT_EQ(describe(told.exception), "std::invalid_argument: second");
}

TEST(ExceptionHandler, IsToldOfTimersAndReaders) {
  VirtualTimeLoop loop;
  Lines told;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    told.push_back(describe(context.exception));
  });
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] {
    loop.remove_reader(fd.get());
    throw 1;
  });
  loop.call_later(1ms, call(bad, "timer"));
  loop.run_until_idle();
  EXPECT_EQ(told, (Lines{"int", "std::invalid_argument: timer"}));
}

// A reader that throws is called again: it is still registered.
TEST(ExceptionHandler, LeavesAReaderThatThrowsInPlace) {
  EventLoop loop;
  int reports = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++reports; });
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [] { throw 1; });
  run_one_pass(loop);
  run_one_pass(loop);
  EXPECT_EQ(reports, 2);
}

// asyncio takes a reader out whose handle was cancelled. One that merely never
// ran again would leave its descriptor in the epoll set, and the loop spinning.
TEST(ExceptionHandler, CancellingAFailingReaderRemovesIt) {
  EventLoop loop;
  int runs = 0;
  loop.set_exception_handler([](EventLoop&, const ExceptionContext& context) {
    Handle(context.handle).cancel();
  });
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] {
    ++runs;
    throw 1;
  });
  run_one_pass(loop);
  run_one_pass(loop);  // finds out
  const std::uint64_t events = loop.stats().events;
  for (int pass = 0; pass < 10; ++pass) run_one_pass(loop);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(loop.stats().events, events) << "the loop spins";
  EXPECT_FALSE(loop.remove_reader(fd.get()));
}

// -- SystemExit and KeyboardInterrupt ----------------------------------------

// "Callbacks of the same pass that did not run yet stay for the next run."
TEST(SystemExit, LeavesRunForeverAndKeepsTheRestOfTheBatch) {
  EventLoop loop;
  std::string order;
  int reports = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++reports; });
  loop.call_soon([&] { order += 'a'; });
  loop.call_soon([&] { throw SystemExit(7); });
  loop.call_soon([&] { order += 'b'; });
  loop.call_later(0, [&] { order += 'c'; });
  int code = 0;
  try {
    loop.run_forever();
  } catch (const SystemExit& exit) {
    code = exit.code();
  }
  EXPECT_EQ(code, 7);
  EXPECT_EQ(order, "a");
  EXPECT_FALSE(loop.is_running());
  EXPECT_EQ(reports, 0) << "it does not go to the exception handler";
  EXPECT_EQ(loop.stats().exceptions, 0u);
  run_one_pass(loop);
  EXPECT_EQ(order, "abc");
}

TEST(KeyboardInterrupt, LeavesRunForeverToo) {
  EventLoop loop;
  std::string order;
  loop.call_soon([&] { throw KeyboardInterrupt(); });
  loop.call_soon([&] { order += 'b'; });
  EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
  EXPECT_FALSE(loop.is_running());
  run_one_pass(loop);
  EXPECT_EQ(order, "b");
}

// What was left stands in front of what comes then, each once.
TEST(SystemExit, LeavesTheRestInFrontOfWhatComesNext) {
  VirtualTimeLoop loop;
  std::string order;
  loop.call_soon([&] {
    loop.call_soon([&] { order += 'd'; });
    throw SystemExit();
  });
  loop.call_soon([&] { order += 'b'; });
  loop.call_later(0, [&] { order += 'c'; });
  EXPECT_THROW(loop.run_forever(), SystemExit);
  loop.call_soon([&] { order += 'e'; });
  loop.call_later(0, [&] { order += 'f'; });
  loop.run_until_idle();
  EXPECT_EQ(order, "bcdef");
}

// A reader that is left in the queue and is reported again is queued once.
TEST(SystemExit, LeavesAReaderInTheQueueOnce) {
  EventLoop loop;
  int runs = 0;
  const UniqueFd fd = make_eventfd(1);
  loop.call_soon([] { throw SystemExit(); });
  loop.add_reader(fd.get(), [&] {
    ++runs;
    loop.remove_reader(fd.get());
  });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// Its captures go, as those of any callback that has run.
TEST(SystemExit, DestroysTheCapturesOfItsCallback) {
  EventLoop loop;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  const Handle handle =
      loop.call_soon([kept = std::move(owned)] { throw SystemExit(); });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  EXPECT_TRUE(watched.expired());
}

// The stop() of the same pass does not outlive the run that it was meant for.
TEST(SystemExit, AfterAStopLeavesNoStopBehind) {
  EventLoop loop;
  loop.call_soon([&] {
    loop.stop();
    throw SystemExit();
  });
  EXPECT_THROW(loop.run_forever(), SystemExit);
  EXPECT_FALSE(loop.is_stopping());
}

// "What it throws is logged and dropped, but for SystemExit and
// KeyboardInterrupt, which leave run_forever()."
TEST(SystemExit, LeavesFromAnExceptionHandlerToo) {
  EventLoop loop;
  loop.set_exception_handler(
      [](EventLoop&, const ExceptionContext&) { throw SystemExit(3); });
  loop.call_soon([] { throw 1; });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  loop.set_exception_handler(
      [](EventLoop&, const ExceptionContext&) { throw KeyboardInterrupt(); });
  loop.call_soon([] { throw 1; });
  EXPECT_THROW(run_one_pass(loop), KeyboardInterrupt);
}

// -- the default handler -----------------------------------------------------

// "The text that the default exception handler logs: the message, then each
// further key in order, the exception last."
TEST(DefaultExceptionHandler, LogsTheContext) {
  const LogCapture captured;
  EventLoop loop;
  EXPECT_EQ(loop.get_exception_handler(), nullptr);
  loop.call_soon(call(bad, "first"));
  const std::string place = at(__LINE__ - 1);
  run_one_pass(loop);
  ASSERT_EQ(captured.lines().size(), 1u);
  const std::string line = captured.lines()[0];
  const std::string call_text = "bad('first')" + place;
  EXPECT_TRUE(line.starts_with("error: Exception in callback ")) << line;
  EXPECT_TRUE(line.ends_with(call_text + ">\nstd::invalid_argument: first"))
      << line;
  EXPECT_NE(line.find(call_text + "\nhandle: <Handle "), std::string::npos)
      << line;
}

TEST(DefaultExceptionHandler, MayBeCalledByHand) {
  const LogCapture captured;
  EventLoop loop;
  ExceptionContext context("by hand");
  context.extra = {{"extra", "'x'"}, {"alpha", "1"}};
  loop.call_exception_handler(context);
  loop.default_exception_handler(ExceptionContext());
  loop.close();
  loop.call_exception_handler(ExceptionContext("still works"));
  EXPECT_EQ(captured.lines(), (Lines{"error: by hand\nalpha: 1\nextra: 'x'",
                                     "error: Unhandled exception in event loop",
                                     "error: still works"}));
}

// "An empty handler means the default one."
TEST(SetExceptionHandler, WithAnEmptyOneMeansTheDefault) {
  const LogCapture captured;
  EventLoop loop;
  int told = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++told; });
  EXPECT_NE(loop.get_exception_handler(), nullptr);
  loop.call_exception_handler(ExceptionContext("one"));
  loop.set_exception_handler(nullptr);
  EXPECT_EQ(loop.get_exception_handler(), nullptr);
  loop.call_exception_handler(ExceptionContext("two"));
  EXPECT_EQ(told, 1);
  EXPECT_EQ(captured.lines(), Lines{"error: two"});
}

// -- handlers that misbehave -------------------------------------------------

// E2: "What the handler throws is logged." In asyncio's words.
TEST(ExceptionHandler, ThatThrowsIsLogged) {
  const LogCapture captured;
  EventLoop loop;
  loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {
    throw std::runtime_error("handler fails");
  });
  int runs = 0;
  loop.call_soon([] { throw 3; });
  loop.call_soon([&] { ++runs; });
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
  ASSERT_EQ(captured.lines().size(), 1u);
  const std::string line = captured.lines()[0];
  EXPECT_TRUE(
      line.starts_with("error: Unhandled error in exception handler\n"
                       "context: Exception in callback "))
      << line;
  EXPECT_TRUE(line.ends_with("\nstd::runtime_error: handler fails")) << line;
}

// A handler that puts another one in its place is alive until it returns.
TEST(ExceptionHandler, MayReplaceItself) {
  EventLoop loop;
  std::string order;
  loop.set_exception_handler(
      [&, own = std::string("first ")](EventLoop&, const ExceptionContext&) {
        loop.set_exception_handler(
            [&](EventLoop&, const ExceptionContext&) { order += "second "; });
        order += own;
      });
  loop.call_soon([] { throw 1; });
  loop.call_soon([] { throw 2; });
  run_one_pass(loop);
  EXPECT_EQ(order, "first second ");
}

TEST(ExceptionHandler, MayRemoveItself) {
  const LogCapture captured;
  EventLoop loop;
  std::string order;
  loop.set_exception_handler(
      [&, own = std::string("once")](EventLoop&, const ExceptionContext&) {
        loop.set_exception_handler(nullptr);
        order += own;
      });
  loop.call_soon([] { throw 1; });
  loop.call_soon([] { throw 2; });
  run_one_pass(loop);
  EXPECT_EQ(order, "once");
  EXPECT_EQ(captured.lines().size(), 1u);
}

// "Tells the handler": it may do what a callback may.
TEST(ExceptionHandler, MayScheduleCancelAndStop) {
  EventLoop loop;
  std::string order;
  Handle mate;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext&) {
    mate.cancel();
    loop.call_soon([&] { order += 'n'; });
    loop.stop();
  });
  loop.call_soon([] { throw 1; });
  mate = loop.call_soon([&] { order += 'm'; });
  loop.run_forever();
  EXPECT_EQ(order, "");
  run_one_pass(loop);
  EXPECT_EQ(order, "n");
}

TEST(ExceptionHandler, MayCallItselfThroughTheLoop) {
  EventLoop loop;
  std::string order;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    order += context.message;
    if (order.size() < 3) {
      loop.call_exception_handler(ExceptionContext("x"));
    }
  });
  loop.call_exception_handler(ExceptionContext("x"));
  EXPECT_EQ(order, "xxx");
}

// A context that is kept keeps the handle, and the handle no captures.
TEST(ExceptionHandler, MayKeepTheContext) {
  ExceptionContext kept;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  {
    EventLoop loop;
    loop.set_exception_handler(
        [&](EventLoop&, const ExceptionContext& context) { kept = context; });
    loop.call_soon([held = std::move(owned)] { throw 1; });
    run_one_pass(loop);
  }
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(kept.handle);
  EXPECT_EQ(describe(kept.exception), "int");
}

// -- the context -------------------------------------------------------------

// "The names of what is present, sorted".
TEST(ExceptionContext, NamesWhatItHas) {
  EXPECT_TRUE(ExceptionContext().keys().empty());
  ExceptionContext context("text");
  EXPECT_EQ(context.keys(), Lines{"message"});
  EventLoop loop;
  context.handle = loop.call_soon([] {});
  context.exception = std::make_exception_ptr(1);
  context.extra = {{"transport", "t"}, {"future", "f"}};
  EXPECT_EQ(context.keys(),
            (Lines{"exception", "future", "handle", "message", "transport"}));
}

TEST(ExceptionContext, PrintsTheKeysInOrderAndTheExceptionLast) {
  EventLoop loop;
  ExceptionContext context;
  context.exception = std::make_exception_ptr(std::runtime_error("why"));
  context.handle = loop.call_soon([] {});
  context.handle.cancel();
  context.extra = {{"transport", "t"}, {"future", "f"}};
  EXPECT_EQ(to_string(context),
            "Unhandled exception in event loop\n"
            "future: f\n"
            "handle: <Handle cancelled>\n"
            "transport: t\n"
            "std::runtime_error: why");
}

// -- pthread_exit ------------------------------------------------------------

/// Runs `loop` in a thread of its own. Returns whether run_forever() returned;
/// otherwise the thread has ended inside of it.
bool returns_in_a_thread(EventLoop& loop) {
  ::pthread_t thread;
  const auto run = [](void* argument) -> void* {
    static_cast<EventLoop*>(argument)->run_forever();
    return argument;
  };
  EXPECT_EQ(::pthread_create(&thread, nullptr, run, &loop), 0);
  void* result = nullptr;
  ::pthread_join(thread, &result);
  return result == &loop;
}

// pthread_exit(3) unwinds the stack with an exception of its own, which must
// not be swallowed: the program would be aborted. The loop is left in order.
TEST(RunForever, LetsAThreadExit) {
  EventLoop loop;
  std::string order;
  loop.call_soon([] { ::pthread_exit(nullptr); });
  loop.call_soon([&] { order += 'b'; });
  EXPECT_FALSE(returns_in_a_thread(loop));
  EXPECT_FALSE(loop.is_running());
  EXPECT_EQ(loop.stats().exceptions, 0u);
  run_one_pass(loop);
  EXPECT_EQ(order, "b");
}

TEST(ExceptionHandler, LetsAThreadExitWhenItIsCalledByHand) {
  EventLoop loop;
  loop.set_exception_handler(
      [](EventLoop&, const ExceptionContext&) { ::pthread_exit(nullptr); });
  loop.call_soon([&] { loop.call_exception_handler(ExceptionContext("end")); });
  EXPECT_FALSE(returns_in_a_thread(loop));
  EXPECT_FALSE(loop.is_running());
}

}  // namespace
/// An argument whose text cannot be had.
struct Untold {
  friend std::string to_string(const Untold&) { throw 42; }
};

TEST(ExceptionHandler, HearsOfAnExceptionWhoseCallbackCannotBeDescribed) {
  EventLoop loop;
  std::string message;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    message = context.message + describe(context.exception);
  });
  loop.call_soon(
      call([](const Untold&) { throw std::string("lost"); }, Untold()));
  loop.call_soon([&] { loop.stop(); });
  loop.run_forever();
  EXPECT_NE(message.find("<its description threw>"), std::string::npos);
  EXPECT_NE(message.find("lost"), std::string::npos);
}

}  // namespace rondo
