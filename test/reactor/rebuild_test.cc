// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/snapshot.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/log_capture.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// R5: a registration that nobody knows of any more cannot be taken out of an
// epoll set, so the loop puts a new set in the place of the old one. What that
// keeps, and what happens when it fails.

namespace rondo {
namespace {

using std::chrono::milliseconds;

/// A virtual kernel that writes down the pauses.
class PausingKernel : public VirtualKernel {
 public:
  int sleep_ns(std::int64_t duration_ns) noexcept override {
    pauses.push_back(
        std::chrono::duration_cast<milliseconds>(Duration(duration_ns)));
    return VirtualKernel::sleep_ns(duration_ns);
  }
  std::vector<milliseconds> pauses;
};

struct Rebuild : ::testing::Test {
  /// Leaves a registration in the set that the loop has forgotten, and that
  /// is readable: the next pass makes the set new.
  void leave_a_stale_registration() {
    UniqueFd fd = make_eventfd(1);
    stale.push_back(duplicate(fd.get()));
    const int number = fd.get();
    loop.add_reader(number, [] {});
    fd.reset();
    loop.remove_reader(number);
  }

  /// Whether what is posted from outside wakes the loop: the eventfd has to
  /// be in the set, whatever set that is.
  bool waker_works() {
    const auto before = loop.stats().wakeups;
    loop.remote_queue()->wake();
    run_one_pass(loop);
    return loop.stats().wakeups == before + 1;
  }

  PausingKernel pausing;
  ScriptedKernel kernel{pausing};
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::vector<UniqueFd> stale;
  UniqueFd ready = make_eventfd(1);
};

TEST_F(Rebuild, KeepsEveryRegistration) {
  SocketPair pair;
  std::string order;
  write_text(pair.b.get(), "x");
  leave_a_stale_registration();
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  loop.add_writer(pair.a.get(), [&] { order += 'w'; });
  loop.watch(ready.get(), Events::kRead, [&](Events) { order += 'e'; });
  const UniqueFd paused = make_eventfd(1);
  loop.watch(paused.get(), Events::kNone, [&](Events) { order += 'p'; });
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  order.clear();
  run_one_pass(loop);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, "erw");
  loop.modify_watch(paused.get(), Events::kRead);
  order.clear();
  run_one_pass(loop);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, "eprw");
  EXPECT_TRUE(waker_works());
  EXPECT_TRUE(reports.messages.empty());
}

TEST_F(Rebuild, KeepsTheLoopsDescriptorNumberAndLeaksNone) {
  const int number = loop.fd();
  const auto open = kernel.open_descriptors();
  leave_a_stale_registration();
  run_passes(loop, 2);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(loop.fd(), number);
  EXPECT_EQ(kernel.open_descriptors(), open);
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

TEST_F(Rebuild, ReportsWhatWasClosedBehindTheLoopsBack) {
  UniqueFd closed = make_eventfd();
  const int number = closed.get();
  loop.add_reader(number, [] {});
  leave_a_stale_registration();
  closed.reset();
  run_passes(loop, 2);
  EXPECT_EQ(reports.lost(number), 1);
  EXPECT_EQ(reports.messages.size(), 1u);
  EXPECT_FALSE(loop.remove_reader(number));
}

// "One report, then silence until modify_watch()."
TEST_F(Rebuild, DoesNotArmAOneShotThatHasReported) {
  int calls = 0;
  loop.watch(ready.get(), Events::kRead | Events::kOneShot,
             [&](Events) { ++calls; });
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
  leave_a_stale_registration();
  run_passes(loop, 3);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(calls, 1);
  loop.modify_watch(ready.get(), Events::kRead | Events::kOneShot);
  run_one_pass(loop);
  EXPECT_EQ(calls, 2);
}

TEST_F(Rebuild, KeepsAOneShotThatHasNotReported) {
  UniqueFd later = make_eventfd(0);
  int calls = 0;
  loop.watch(later.get(), Events::kRead | Events::kOneShot,
             [&](Events) { ++calls; });
  leave_a_stale_registration();
  run_passes(loop, 2);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(calls, 0);
  write_text(later.get(), std::string("\1\0\0\0\0\0\0\0", 8));
  run_passes(loop, 2);
  EXPECT_EQ(calls, 1);
}

// R3: captures die in the middle of it, and come back to the loop for a
// descriptor that the new set does not have yet.
TEST_F(Rebuild, SurvivesADestructorThatRegisters) {
  struct AddsAWriter {
    ~AddsAWriter() {
      loop.add_writer(fd, [this_order = order] { *this_order += 'w'; });
    }
    EventLoop& loop;
    int fd;
    std::shared_ptr<std::string> order;
  };
  UniqueFd closed = make_eventfd();
  SocketPair pair;
  ASSERT_LT(closed.get(), pair.a.get()) << "has to come first";
  auto order = std::make_shared<std::string>();
  write_text(pair.b.get(), "x");
  loop.add_reader(pair.a.get(), [order] { *order += 'r'; });
  auto owned = std::make_shared<AddsAWriter>(loop, pair.a.get(), order);
  const int number = closed.get();
  loop.add_reader(number, [owned = std::move(owned)] {});
  leave_a_stale_registration();
  closed.reset();
  run_one_pass(loop);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  order->clear();
  run_one_pass(loop);
  EXPECT_EQ(*order, "rw");
  EXPECT_EQ(reports.lost(pair.a.get()), 0);
  EXPECT_EQ(reports.lost(number), 1);
}

// -- when it fails -----------------------------------------------------------

/// A step of the rebuild that fails for a while.
struct Obstacle {
  friend std::ostream& operator<<(std::ostream& out, const Obstacle& it) {
    return out << it.name;
  }
  const char* name;
  KernelCall call;
  int error_number;
};

class RebuildFailing : public Rebuild,
                       public ::testing::WithParamInterface<Obstacle> {};

// "Recovers, pauses, does not spin; the waker still works afterwards."
TEST_P(RebuildFailing, IsTriedAgainAfterAPause) {
  int calls = 0;
  loop.add_reader(ready.get(), [&] { ++calls; });
  const auto open = kernel.open_descriptors();
  LogCapture captured;
  leave_a_stale_registration();
  kernel.fail(GetParam().call, GetParam().error_number,
              {.from_call = 1, .times = 5});
  run_passes(loop, 5);
  EXPECT_EQ(loop.stats().rebuilds, 0u) << "none has succeeded";
  EXPECT_EQ(pausing.pauses,
            (std::vector<milliseconds>{milliseconds(1), milliseconds(2),
                                       milliseconds(4), milliseconds(8),
                                       milliseconds(16)}));
  EXPECT_EQ(calls, 5) << "the others are served meanwhile";
  EXPECT_EQ(captured.lines().size(), 1u) << "once an episode";
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(pausing.pauses.size(), 5u);
  EXPECT_EQ(calls, 15);
  EXPECT_TRUE(waker_works());
  EXPECT_EQ(kernel.open_descriptors(), open);
  EXPECT_TRUE(reports.messages.empty()) << reports.messages[0];
}

TEST_P(RebuildFailing, ForEverPausesForEver) {
  const LogCapture silence;
  leave_a_stale_registration();
  kernel.fail(GetParam().call, GetParam().error_number,
              {.times = ScriptedKernel::kForever});
  const TimePoint begin = loop.time();
  run_passes(loop, 100);
  ASSERT_EQ(pausing.pauses.size(), 100u);
  EXPECT_EQ(pausing.pauses.back(), milliseconds(100));
  EXPECT_GT(loop.time() - begin, std::chrono::seconds(9));
  EXPECT_TRUE(waker_works()) << "the old set is still there";
}

// What else the loop does well meanwhile does not end the episode.
TEST_P(RebuildFailing, PausesLongerAndLongerWhileOthersPost) {
  leave_a_stale_registration();
  kernel.fail(GetParam().call, GetParam().error_number,
              {.times = ScriptedKernel::kForever});
  LogCapture captured;
  for (int pass = 0; pass < 10; ++pass) {
    loop.remote_queue()->wake();
    run_one_pass(loop);
  }
  EXPECT_EQ(pausing.pauses.back(), milliseconds(100));
  EXPECT_EQ(captured.lines().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Because, RebuildFailing,
    ::testing::Values(
        Obstacle{"OfNoDescriptor", KernelCall::kEpollCreate, EMFILE},
        Obstacle{"OfNoDescriptorInTheSystem", KernelCall::kEpollCreate, ENFILE},
        Obstacle{"OfNoMemoryForTheSet", KernelCall::kEpollCreate, ENOMEM},
        Obstacle{"TheNumberIsBusy", KernelCall::kDup3, EBUSY},
        Obstacle{"TheSwapIsInterrupted", KernelCall::kDup3, EINTR},
        Obstacle{"OfNoMemoryForARegistration", KernelCall::kEpollAdd, ENOMEM},
        Obstacle{"OfNoRoomForARegistration", KernelCall::kEpollAdd, ENOSPC}),
    [](const auto& obstacle) { return std::string(obstacle.param.name); });

// Whichever of the new set's registrations it is, the waker's among them.
TEST_F(Rebuild, ThatRunsOutOfMemoryAnywhereLosesNothing) {
  const LogCapture silence;
  int calls = 0;
  loop.add_reader(ready.get(), [&] { ++calls; });
  SocketPair pair;
  loop.add_writer(pair.a.get(), [&] { ++calls; });
  for (std::uint64_t nth = 1; nth <= 4; ++nth) {
    SCOPED_TRACE(nth);
    leave_a_stale_registration();
    kernel.fail(KernelCall::kEpollAdd, ENOMEM, {.from_call = nth});
    run_passes(loop, 3);
    kernel.stop_failing();
    calls = 0;
    run_one_pass(loop);
    EXPECT_EQ(calls, 2);
    EXPECT_TRUE(waker_works());
    EXPECT_TRUE(reports.messages.empty());
  }
}

TEST_F(Rebuild, PausesBrieflyAgainInTheNextEpisode) {
  for (int episode = 0; episode < 2; ++episode) {
    leave_a_stale_registration();
    kernel.fail(KernelCall::kEpollCreate, EMFILE, {.times = 2});
    LogCapture captured;
    run_passes(loop, 5);
    EXPECT_EQ(captured.lines().size(), 1u);
  }
  EXPECT_EQ(pausing.pauses,
            (std::vector<milliseconds>{milliseconds(1), milliseconds(2),
                                       milliseconds(1), milliseconds(2)}));
}

}  // namespace
}  // namespace rondo
