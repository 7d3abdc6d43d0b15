// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/snapshot.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

namespace rondo {
namespace {

/// What a watch was called with, one line a call.
using Reports = std::vector<Events>;

TEST(Watch, ReportsWhatTheKernelReports) {
  EventLoop loop;
  SocketPair pair;
  Reports reports;
  loop.watch(pair.a.get(), Events::kRead | Events::kWrite,
             [&](Events events) { reports.push_back(events); });
  EXPECT_TRUE(reports.empty()) << "never from inside the call";
  run_one_pass(loop);
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(reports, (Reports{Events::kWrite, Events::kRead | Events::kWrite}));
}

TEST(Watch, ReportsOnlyWhatWasAskedAndWhatComesUnasked) {
  EventLoop loop;
  SocketPair pair;
  Reports reports;
  loop.watch(pair.a.get(), Events::kPriority,
             [&](Events events) { reports.push_back(events); });
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_TRUE(reports.empty());
  pair.b.reset();
  run_one_pass(loop);
  EXPECT_EQ(reports, Reports{Events::kHangup});
}

TEST(Watch, CostsOneSystemCall) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd fd = make_eventfd();
  const auto before = kernel.calls(KernelCall::kEpollAdd);
  loop.watch(fd.get(), Events::kRead, [](Events) {});
  loop.modify_watch(fd.get(), Events::kWrite);
  EXPECT_TRUE(loop.unwatch(fd.get()));
  EXPECT_EQ(kernel.calls(KernelCall::kEpollAdd), before + 1);
  EXPECT_EQ(kernel.calls(KernelCall::kEpollModify), 1u);
  EXPECT_EQ(kernel.calls(KernelCall::kEpollRemove), 1u);
}

// -- interest ----------------------------------------------------------------

// EPOLLHUP and EPOLLERR come unasked, so "nothing" must mean "not in the set":
// a paused watch would spin.
TEST(Watch, ThatAsksForNothingHearsNothing) {
  EventLoop loop;
  SocketPair pair;
  Reports reports;
  loop.watch(pair.a.get(), Events::kNone,
             [&](Events events) { reports.push_back(events); });
  pair.b.reset();
  run_passes(loop, 3);
  EXPECT_TRUE(reports.empty());
  EXPECT_EQ(loop.stats().events, 0u);
  loop.modify_watch(pair.a.get(), Events::kRead);
  run_one_pass(loop);
  EXPECT_EQ(reports, Reports{Events::kRead | Events::kHangup});
  loop.modify_watch(pair.a.get(), Events::kNone);
  run_passes(loop, 3);
  EXPECT_EQ(reports.size(), 1u);
  EXPECT_TRUE(loop.unwatch(pair.a.get()));
}

TEST(Watch, CanChangeItsInterestFromInside) {
  EventLoop loop;
  SocketPair pair;
  Reports reports;
  loop.watch(pair.a.get(), Events::kWrite, [&](Events events) {
    reports.push_back(events);
    loop.modify_watch(pair.a.get(), Events::kRead);
  });
  run_passes(loop, 3);
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(reports, (Reports{Events::kWrite, Events::kRead}));
}

TEST(Watch, OneShotReportsOnceAndThenWhenArmedAgain) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  int calls = 0;
  loop.watch(ready.get(), Events::kRead | Events::kOneShot,
             [&](Events) { ++calls; });
  run_passes(loop, 3);
  EXPECT_EQ(calls, 1);
  loop.modify_watch(ready.get(), Events::kRead | Events::kOneShot);
  run_passes(loop, 3);
  EXPECT_EQ(calls, 2);
}

TEST(Watch, EdgeTriggeredReportsEachChangeOnce) {
  EventLoop loop;
  SocketPair pair;
  int calls = 0;
  loop.watch(pair.a.get(), Events::kRead | Events::kEdgeTriggered,
             [&](Events) { ++calls; });
  write_text(pair.b.get(), "one");
  run_passes(loop, 3);
  EXPECT_EQ(calls, 1) << "the data is still there, and no change since";
  write_text(pair.b.get(), "two");
  run_passes(loop, 3);
  EXPECT_EQ(calls, 2);
}

/// A connected TCP pair on the loopback: only TCP has urgent data.
struct TcpPair {
  TcpPair() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<::sockaddr*>(&address);
    ::bind(listener.get(), plain, size);
    ::listen(listener.get(), 1);
    ::getsockname(listener.get(), plain, &size);
    a = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::connect(a.get(), plain, size);
    b = UniqueFd(::accept(listener.get(), nullptr, nullptr));
  }
  UniqueFd a;
  UniqueFd b;
};

TEST(Watch, ReportsUrgentData) {
  EventLoop loop;
  TcpPair pair;
  Reports reports;
  loop.watch(pair.a.get(), Events::kPriority, [&](Events events) {
    reports.push_back(events);
    loop.unwatch(pair.a.get());
  });
  ::send(pair.b.get(), "!", 1, MSG_OOB);
  ASSERT_TRUE(run_until(loop, [&] { return !reports.empty(); }));
  EXPECT_EQ(reports, Reports{Events::kPriority});
}

// -- one call for all that was reported --------------------------------------

// The batch is cut short before the watch runs; the next poll reports again.
TEST(Watch, HandsOverTheEventsSinceItLastRanInOneCall) {
  EventLoop loop;
  SocketPair pair;
  const UniqueFd first = make_eventfd(1);
  Reports reports;
  loop.add_reader(first.get(), [&] {
    loop.remove_reader(first.get());
    throw SystemExit();
  });
  loop.watch(pair.a.get(), Events::kRead | Events::kWrite,
             [&](Events events) { reports.push_back(events); });
  EXPECT_THROW(run_one_pass(loop), SystemExit);
  EXPECT_TRUE(reports.empty());
  write_text(pair.b.get(), "x");
  fill(pair.a.get());
  run_one_pass(loop);
  EXPECT_EQ(reports, Reports{Events::kRead | Events::kWrite});
  run_one_pass(loop);
  EXPECT_EQ(reports.back(), Events::kRead) << "no event is handed over twice";
}

// -- replacing and removing --------------------------------------------------

// R7
TEST(Watch, ReplacesAnEarlierWatch) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  std::string order;
  auto held = std::make_shared<int>();
  loop.watch(ready.get(), Events::kRead,
             [&order, held](Events) { order += '1'; });
  loop.watch(ready.get(), Events::kRead, [&](Events) { order += '2'; });
  EXPECT_EQ(held.use_count(), 1);
  run_one_pass(loop);
  EXPECT_EQ(order, "2");
}

// R3: the record of events belongs to the callable that is just running.
TEST(Watch, ReplacesItselfFromInside) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  std::string order;
  auto held = std::make_shared<std::string>("alive ");
  loop.watch(ready.get(), Events::kRead, [&loop, &ready, &order, held](Events) {
    loop.watch(ready.get(), Events::kRead, [&order](Events) { order += '2'; });
    order += *held;
  });
  run_passes(loop, 2);
  EXPECT_EQ(order, "alive 2");
  EXPECT_EQ(held.use_count(), 1);
}

// R2
TEST(Watch, DoesNotRunOnceUnwatchHasReturned) {
  EventLoop loop;
  const UniqueFd first = make_eventfd(1);
  const UniqueFd second = make_eventfd(1);
  int calls = 0;
  const auto end_both = [&](Events) {
    ++calls;
    EXPECT_TRUE(loop.unwatch(first.get()));
    EXPECT_TRUE(loop.unwatch(second.get()));
    EXPECT_FALSE(loop.unwatch(second.get()));
  };
  loop.watch(first.get(), Events::kRead, end_both);
  loop.watch(second.get(), Events::kRead, end_both);
  run_passes(loop, 2);
  EXPECT_EQ(calls, 1);
}

// A snapshot hands out handles, and one may be cancelled like any other. The
// record of events goes with the callback that owns it.
TEST(Watch, CancelledThroughItsHandleIsRemoved) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  int calls = 0;
  loop.watch(ready.get(), Events::kRead, [&](Events) { ++calls; });
  Handle handle = loop.snapshot().descriptors[0].reader;
  handle.cancel();
  run_passes(loop, 3);
  EXPECT_EQ(calls, 0);
  EXPECT_LE(loop.stats().events, 1u) << "it would be reported for ever";
  EXPECT_FALSE(loop.unwatch(ready.get()));
}

// The same once the event is queued.
TEST(Watch, CancelledInTheBatchDoesNotRun) {
  EventLoop loop;
  const UniqueFd first = make_eventfd(1);
  const UniqueFd second = make_eventfd(1);
  int calls = 0;
  Handle handle;
  loop.add_reader(first.get(), [&] { handle.cancel(); });
  loop.watch(second.get(), Events::kRead, [&](Events) { ++calls; });
  handle = loop.snapshot().descriptors[1].reader;
  run_passes(loop, 3);
  EXPECT_EQ(calls, 0);
  EXPECT_LE(loop.stats().events, 5u) << "three of them are the reader's";
}

TEST(Watch, ExcludesAReaderOrWriter) {
  EventLoop loop;
  SocketPair pair;
  int reads = 0;
  loop.add_reader(pair.a.get(), [&] { ++reads; });
  loop.add_writer(pair.b.get(), [] {});
  EXPECT_THROW(loop.watch(pair.a.get(), Events::kRead, [](Events) {}),
               RuntimeError);
  EXPECT_THROW(loop.watch(pair.b.get(), Events::kRead, [](Events) {}),
               RuntimeError);
  EXPECT_FALSE(loop.unwatch(pair.a.get()));
  EXPECT_FALSE(loop.unwatch(-1));
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(reads, 1);
}

TEST(Watch, ShowsInTheSnapshotWhileItIsPaused) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.watch(fd.get(), Events::kNone, [](Events) {});
  const Snapshot snapshot = loop.snapshot();
  ASSERT_EQ(snapshot.descriptors.size(), 1u);
  EXPECT_EQ(snapshot.descriptors[0].interest, Events::kNone);
  EXPECT_TRUE(snapshot.descriptors[0].reader);
  EXPECT_EQ(to_string(snapshot.descriptors[0].reader).find("WatchCall"),
            std::string::npos)
      << "shows the user's callback, not ours";
}

// -- what is refused ---------------------------------------------------------

TEST(Watch, RefusesWhatAddReaderRefuses) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  const UniqueFd file = make_regular_file();
  EXPECT_THROW(loop.watch(-1, Events::kRead, [](Events) {}),
               std::invalid_argument);
  EXPECT_THROW(loop.watch(fd.get(), Events::kRead, nullptr),
               std::invalid_argument);
  EXPECT_THROW(loop.watch(file.get(), Events::kRead, [](Events) {}),
               std::system_error);
  loop.close();
  EXPECT_THROW(loop.watch(fd.get(), Events::kRead, [](Events) {}),
               RuntimeError);
  EXPECT_THROW(loop.modify_watch(fd.get(), Events::kRead), RuntimeError);
  EXPECT_FALSE(loop.unwatch(fd.get()));
}

TEST(Watch, RefusesToModifyWhatIsNotWatched) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  EXPECT_THROW(loop.modify_watch(fd.get(), Events::kRead), RuntimeError);
  EXPECT_THROW(loop.modify_watch(-1, Events::kRead), RuntimeError);
  loop.add_reader(fd.get(), [] {});
  EXPECT_THROW(loop.modify_watch(fd.get(), Events::kRead), RuntimeError);
}

// -- R8: failures change nothing ---------------------------------------------

struct FailingWatch : ::testing::Test {
  FailingWatch() {
    loop.set_exception_handler(
        [this](EventLoop&, const ExceptionContext& context) {
          reported.push_back(context.message);
        });
  }
  /// `first` and `second` are callbacks that leave their digit in `order`.
  EventLoop::WatchCallback leaves(char digit) {
    return [this, digit](Events) { order += digit; };
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  UniqueFd ready = make_eventfd(1);
  std::string order;
  std::vector<std::string> reported;
};

TEST_F(FailingWatch, LeavesNothingBehind) {
  auto held = std::make_shared<int>();
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(loop.watch(ready.get(), Events::kRead, [held](Events) {}),
               std::system_error);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(loop.unwatch(ready.get()));
}

TEST_F(FailingWatch, KeepsTheWatchWhoseReplacementIsRefused) {
  loop.watch(ready.get(), Events::kRead, leaves('1'));
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_THROW(loop.watch(ready.get(), Events::kRead, leaves('2')),
               std::system_error);
  run_one_pass(loop);
  EXPECT_EQ(order, "1");
}

TEST_F(FailingWatch, KeepsThePausedWatchWhoseReplacementIsRefused) {
  loop.watch(ready.get(), Events::kNone, leaves('1'));
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(loop.watch(ready.get(), Events::kRead, leaves('2')),
               std::system_error);
  loop.modify_watch(ready.get(), Events::kRead);
  run_one_pass(loop);
  EXPECT_EQ(order, "1");
  EXPECT_TRUE(reported.empty()) << reported[0];
}

TEST_F(FailingWatch, KeepsItsInterestWhenItCannotBeChanged) {
  loop.watch(ready.get(), Events::kRead, leaves('1'));
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_THROW(loop.modify_watch(ready.get(), Events::kWrite),
               std::system_error);
  EXPECT_EQ(loop.snapshot().descriptors[0].interest, Events::kRead);
  run_one_pass(loop);
  EXPECT_EQ(order, "1");
}

TEST_F(FailingWatch, StaysPausedWhenItCannotBeResumed) {
  loop.watch(ready.get(), Events::kNone, leaves('1'));
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_THROW(loop.modify_watch(ready.get(), Events::kRead),
               std::system_error);
  run_one_pass(loop);
  EXPECT_TRUE(reported.empty()) << reported[0];
  EXPECT_EQ(order, "");
  loop.modify_watch(ready.get(), Events::kRead);
  run_one_pass(loop);
  EXPECT_EQ(order, "1");
}

}  // namespace
}  // namespace rondo
