// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
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
#include "test/support/descriptors.h"
#include "test/support/passes.h"

namespace rondo {
namespace {

/// The error of `call`, which has to throw std::system_error.
template <class Call>
std::system_error error_of(Call&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error;
  }
  return {std::error_code(), "nothing was thrown"};
}

TEST(AddReader, RunsInEveryPassThatFindsTheDescriptorReadable) {
  EventLoop loop;
  Pipe pipe;
  int calls = 0;
  loop.add_reader(pipe.reader.get(), [&] { ++calls; });
  run_one_pass(loop);
  EXPECT_EQ(calls, 0);
  write_text(pipe.writer.get(), "unread");
  run_passes(loop, 3);
  EXPECT_EQ(calls, 3);
  read_text(pipe.reader.get());
  run_one_pass(loop);
  EXPECT_EQ(calls, 3);
}

TEST(AddReader, NeverRunsTheCallbackFromInsideTheCall) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  bool ran = false;
  loop.add_reader(ready.get(), [&] { ran = true; });
  EXPECT_FALSE(ran);
  run_one_pass(loop);
  EXPECT_TRUE(ran);
}

TEST(AddReader, FromACallbackTakesEffectInTheNextPass) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  std::string order;
  loop.call_soon([&] {
    loop.add_reader(ready.get(), [&] { order += 'r'; });
    loop.call_soon([&] { order += 's'; });
    order += 'c';
  });
  run_one_pass(loop);
  EXPECT_EQ(order, "c");
  run_one_pass(loop);
  EXPECT_EQ(order, "csr");  // what was queued first runs first
}

TEST(AddReader, RunsAtTheEndOfTheStream) {
  EventLoop loop;
  SocketPair pair;
  int calls = 0;
  loop.add_reader(pair.a.get(), [&] { ++calls; });
  ::shutdown(pair.b.get(), SHUT_WR);
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
}

// FAULTS 2.0: EPOLLHUP without EPOLLIN.
TEST(AddReader, RunsForAPipeThatIsDrainedAndHungUp) {
  EventLoop loop;
  Pipe pipe;
  int calls = 0;
  loop.add_reader(pipe.reader.get(), [&] { ++calls; });
  pipe.writer.reset();
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
}

// FAULTS 2.0: EPOLLERR without EPOLLIN.
TEST(AddReader, RunsForAnError) {
  EventLoop loop;
  Pipe pipe;
  int calls = 0;
  loop.add_reader(pipe.writer.get(), [&] { ++calls; });
  pipe.reader.reset();
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
}

// -- replacing ---------------------------------------------------------------

// R7
TEST(AddReader, ReplacesAnEarlierReader) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  std::string order;
  auto held = std::make_shared<int>();
  loop.add_reader(ready.get(), [&order, held] { order += '1'; });
  EXPECT_EQ(held.use_count(), 2);
  loop.add_reader(ready.get(), [&] { order += '2'; });
  EXPECT_EQ(held.use_count(), 1) << "captures go when the reader is replaced";
  run_one_pass(loop);
  EXPECT_EQ(order, "2");
}

// R2: the replaced reader is in the batch that is being run.
TEST(AddReader, ReplacesAReaderThatIsAlreadyQueued) {
  EventLoop loop;
  const UniqueFd first = make_eventfd(1);
  const UniqueFd second = make_eventfd(1);
  std::string order;
  loop.add_reader(first.get(), [&] {
    order += 'a';
    loop.remove_reader(first.get());
    loop.add_reader(second.get(), [&] { order += 'n'; });
  });
  loop.add_reader(second.get(), [&] { order += 'o'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "a") << "neither the old one nor, in this pass, the new";
  run_one_pass(loop);
  EXPECT_EQ(order, "an");
}

// R3: the callable that runs is the one that is replaced.
TEST(AddReader, ReplacesItselfFromInside) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  std::string order;
  auto held = std::make_shared<std::string>("still here");
  loop.add_reader(ready.get(), [&loop, &ready, &order, held] {
    loop.add_reader(ready.get(), [&order] { order += '2'; });
    order += *held + ' ';
  });
  run_one_pass(loop);
  EXPECT_EQ(order, "still here ");
  EXPECT_EQ(held.use_count(), 1) << "captures go when the callback returns";
  run_one_pass(loop);
  EXPECT_EQ(order, "still here 2");
}

// -- what is refused ---------------------------------------------------------

// R9
TEST(AddReader, RefusesWhatCannotBePolled) {
  EventLoop loop;
  const UniqueFd file = make_regular_file();
  const UniqueFd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {file.get(), folder.get(), null.get()}) {
    const auto error = error_of([&] { loop.add_reader(fd, [] {}); });
    EXPECT_EQ(error.code(), std::errc::operation_not_permitted);
    EXPECT_NE(std::string(error.what()).find("not pollable"), std::string::npos)
        << error.what();
    EXPECT_FALSE(loop.remove_reader(fd));
  }
}

TEST(AddReader, RefusesANegativeDescriptor) {
  EventLoop loop;
  EXPECT_THROW(loop.add_reader(-1, [] {}), std::invalid_argument);
  EXPECT_THROW(loop.add_reader(INT_MIN, [] {}), std::invalid_argument);
}

TEST(AddReader, RefusesAClosedDescriptor) {
  EventLoop loop;
  UniqueFd fd = make_eventfd();
  const int number = fd.get();
  fd.reset();
  const auto error = error_of([&] { loop.add_reader(number, [] {}); });
  EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
  EXPECT_NE(std::string(error.what())
                .find("add_reader: fd " + std::to_string(number)),
            std::string::npos)
      << error.what();
}

// A table indexed by descriptor must not grow to a number that only the
// caller knows of.
TEST(AddReader, RefusesANumberThatNamesNoDescriptorWithoutRoomForIt) {
  EventLoop loop;
  const auto error = error_of([&] { loop.add_reader(INT_MAX, [] {}); });
  EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
}

TEST(AddReader, TakesANumberFarAboveTheOthers) {
  EventLoop loop;
  constexpr int kHigh = 6000;
  const UniqueFd low = make_eventfd(1);
  ASSERT_EQ(::dup2(low.get(), kHigh), kHigh) << "RLIMIT_NOFILE is too low";
  const UniqueFd high(kHigh);
  int calls = 0;
  loop.add_reader(kHigh, [&] { ++calls; });
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(loop.remove_reader(kHigh));
}

TEST(AddReader, RefusesAnEmptyCallback) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  EXPECT_THROW(loop.add_reader(fd.get(), Callback()), std::invalid_argument);
  EXPECT_FALSE(loop.remove_reader(fd.get()));
}

TEST(AddReader, RefusesADescriptorThatIsWatched) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  int watched = 0;
  loop.watch(ready.get(), Events::kRead, [&](Events) { ++watched; });
  EXPECT_THROW(loop.add_reader(ready.get(), [] {}), RuntimeError);
  run_one_pass(loop);
  EXPECT_EQ(watched, 1);
}

TEST(AddReader, RefusesWhenTheLoopIsClosed) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.close();
  EXPECT_THROW(loop.add_reader(fd.get(), [] {}), RuntimeError);
}

// H8
TEST(AddReader, RefusesAnotherThreadWhileTheLoopRuns) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  bool refused = false;
  loop.call_soon([&] {
    std::thread([&] {
      try {
        loop.add_reader(fd.get(), [] {});
      } catch (const RuntimeError&) {
        refused = true;
      }
    }).join();
  });
  run_one_pass(loop);
  EXPECT_TRUE(refused);
  EXPECT_FALSE(loop.remove_reader(fd.get()));
}

// R8: "A failure changes nothing."
TEST(AddReader, ThatFailsLeavesNothingBehind) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd ready = make_eventfd(1);
  auto held = std::make_shared<int>();
  for (const int number : {ENOSPC, ENOMEM}) {
    kernel.fail(KernelCall::kEpollAdd, number);
    const auto error =
        error_of([&] { loop.add_reader(ready.get(), [held] {}); });
    EXPECT_EQ(error.code().value(), number);
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_FALSE(loop.remove_reader(ready.get()));
  }
  int calls = 0;
  loop.add_reader(ready.get(), [&] { ++calls; });
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
}

// R8
TEST(AddReader, ThatFailsLeavesTheEarlierReader) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd ready = make_eventfd(1);
  int calls = 0;
  loop.add_reader(ready.get(), [&] { ++calls; });
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_THROW(loop.add_reader(ready.get(), [] {}), std::system_error);
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(loop.remove_reader(ready.get()));
}

// -- what it is worth --------------------------------------------------------

TEST(AddReader, CostsOneSystemCall) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd fd = make_eventfd();
  const auto before = kernel.calls(KernelCall::kEpollAdd);
  loop.add_reader(fd.get(), [] {});
  EXPECT_EQ(kernel.calls(KernelCall::kEpollAdd), before + 1);
  EXPECT_EQ(kernel.calls(KernelCall::kEpollModify), 0u);
  loop.add_reader(fd.get(), [] {});
  EXPECT_EQ(kernel.calls(KernelCall::kEpollModify), 1u);
  EXPECT_TRUE(loop.remove_reader(fd.get()));
  EXPECT_EQ(kernel.calls(KernelCall::kEpollRemove), 1u);
}

TEST(AddReader, StaysWhenItsCallbackThrows) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  int reported = 0;
  loop.set_exception_handler(
      [&](EventLoop&, const ExceptionContext&) { ++reported; });
  loop.add_reader(ready.get(), [] { throw std::runtime_error("mine"); });
  run_passes(loop, 2);
  EXPECT_EQ(reported, 2);
}

TEST(AddReader, ShowsInTheSnapshot) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.add_reader(fd.get(), [] {});
  const Snapshot snapshot = loop.snapshot();
  ASSERT_EQ(snapshot.descriptors.size(), 1u);
  EXPECT_EQ(snapshot.descriptors[0].fd, fd.get());
  EXPECT_EQ(snapshot.descriptors[0].interest, Events::kRead);
  EXPECT_TRUE(snapshot.descriptors[0].reader);
  EXPECT_FALSE(snapshot.descriptors[0].writer);
}

// A snapshot hands out handles, and one may be cancelled like any other: the
// event would be reported for ever, and nobody would take it.
TEST(AddReader, CancelledThroughItsHandleIsRemoved) {
  EventLoop loop;
  SocketPair pair;
  const int fd = pair.a.get();
  std::string order;
  loop.add_reader(fd, [&] { order += 'r'; });
  loop.add_writer(fd, [&] { order += 'w'; });
  write_text(pair.b.get(), "x");
  Snapshot snapshot = loop.snapshot();
  snapshot.descriptors[0].reader.cancel();
  run_one_pass(loop);
  EXPECT_EQ(order, "w");
  EXPECT_FALSE(loop.remove_reader(fd));
  snapshot.descriptors[0].writer.cancel();
  run_passes(loop, 5);
  EXPECT_EQ(order, "w");
  EXPECT_FALSE(loop.remove_writer(fd));
  EXPECT_EQ(loop.stats().events, 2u);
}

// -- the way out -------------------------------------------------------------

TEST(RemoveReader, ReturnsWhetherThereWasOne) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  EXPECT_FALSE(loop.remove_reader(fd.get()));
  loop.add_reader(fd.get(), [] {});
  EXPECT_TRUE(loop.remove_reader(fd.get()));
  EXPECT_FALSE(loop.remove_reader(fd.get()));
  EXPECT_FALSE(loop.remove_reader(-1));
  EXPECT_FALSE(loop.remove_reader(INT_MAX));
}

TEST(RemoveReader, ReturnsFalseOnAClosedLoopSoThatDestructorsMayCallIt) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.add_reader(fd.get(), [] {});
  loop.close();
  EXPECT_FALSE(loop.remove_reader(fd.get()));
}

// R2: "not even for an event that is already reported".
TEST(RemoveReader, StopsACallbackThatIsAlreadyQueued) {
  EventLoop loop;
  const UniqueFd first = make_eventfd(1);
  const UniqueFd second = make_eventfd(1);
  int calls = 0;
  const auto remove_both = [&] {
    ++calls;
    loop.remove_reader(first.get());
    loop.remove_reader(second.get());
  };
  loop.add_reader(first.get(), remove_both);
  loop.add_reader(second.get(), remove_both);
  run_passes(loop, 2);
  EXPECT_EQ(calls, 1);
}

// R3: captures outlive the call that they are removed by.
TEST(RemoveReader, OfItselfKeepsTheCapturesUntilTheCallbackReturns) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  auto held = std::make_shared<std::string>("alive");
  std::string seen;
  loop.add_reader(ready.get(), [&loop, &ready, &seen, held] {
    loop.remove_reader(ready.get());
    seen = *held;
  });
  run_passes(loop, 2);
  EXPECT_EQ(seen, "alive");
  EXPECT_EQ(held.use_count(), 1);
}

TEST(RemoveReader, LeavesTheWriter) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  loop.add_writer(pair.a.get(), [&] { order += 'w'; });
  write_text(pair.b.get(), "x");
  EXPECT_TRUE(loop.remove_reader(pair.a.get()));
  run_one_pass(loop);
  EXPECT_EQ(order, "w");
}

TEST(RemoveReader, TakesNoWatchAway) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.watch(fd.get(), Events::kRead, [](Events) {});
  EXPECT_FALSE(loop.remove_reader(fd.get()));
  EXPECT_FALSE(loop.remove_writer(fd.get()));
  EXPECT_TRUE(loop.unwatch(fd.get()));
}

// R3: what a capture owns may come back to the loop as it dies.
TEST(RemoveReader, LetsADestructorUseTheLoop) {
  EventLoop loop;
  std::vector<UniqueFd> fds;
  for (int i = 0; i < 64; ++i) fds.push_back(make_eventfd(1));
  struct AddsMore {
    ~AddsMore() {
      for (const UniqueFd& fd : fds) loop.add_reader(fd.get(), [] {});
    }
    EventLoop& loop;
    std::vector<UniqueFd>& fds;
  };
  auto owner = std::make_shared<AddsMore>(loop, fds);
  loop.add_reader(fds[0].get(), [owner = std::move(owner)] {});
  EXPECT_TRUE(loop.remove_reader(fds[0].get()));
  EXPECT_EQ(loop.snapshot().descriptors.size(), fds.size());
}

}  // namespace
}  // namespace rondo
