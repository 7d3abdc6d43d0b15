// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "reactor/event_loop.h"
#include "reactor/snapshot.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// A descriptor number is not an identity: FAULTS R1, R5, R6, R7. "Closes it
// behind the loop's back" stands for close(2) without remove_reader().

namespace rondo {
namespace {

/// The errno that `call` throws as std::system_error; zero if it does not.
template <class Call>
int thrown_by(Call&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

/// Makes `number` name a new eventfd that is readable, as a program's next
/// open() would.
void reuse(int number) { move_onto(make_eventfd(1), number); }

// -- R1: two events in one batch, the first callback replaces the second fd --

struct SameBatch : ::testing::Test {
  SameBatch() {
    // The kernel reports in the order in which they became ready.
    write_text(first.b.get(), "x");
    write_text(second.b.get(), "x");
  }
  void run_batch() {
    run_one_pass(loop);
    ASSERT_EQ(loop.stats().events, 2u) << "both have to be in one batch";
  }

  EventLoop loop;
  Reports reports{loop};
  SocketPair first;
  SocketPair second;
  const int number = second.a.get();
  std::string order;
};

// R1
TEST_F(SameBatch, AnEventDoesNotReachTheNextOwnerOfTheNumber) {
  loop.add_reader(first.a.get(), [&] {
    order += 'A';
    loop.remove_reader(first.a.get());
    EXPECT_TRUE(loop.remove_reader(number));
    second.a.reset();
    reuse(number);
    loop.add_reader(number, [&] {
      order += 'N';
      loop.remove_reader(number);
    });
  });
  loop.add_reader(number, [&] { order += 'B'; });
  run_batch();
  EXPECT_EQ(order, "A") << "the event was for the old one";
  run_passes(loop, 2);
  EXPECT_EQ(order, "AN") << "the new one has its own";
  EXPECT_EQ(loop.stats().rebuilds, 0u);
  ::close(number);
}

// R1, R6
TEST_F(SameBatch, NorWhenTheNumberWasClosedBehindTheLoopsBack) {
  loop.add_reader(first.a.get(), [&] {
    order += 'A';
    loop.remove_reader(first.a.get());
    second.a.reset();
    reuse(number);
    loop.add_reader(number, [&] {
      order += 'N';
      loop.remove_reader(number);
    });
  });
  loop.add_reader(number, [&] { order += 'B'; });
  run_batch();
  EXPECT_EQ(order, "A");
  run_passes(loop, 2);
  EXPECT_EQ(order, "AN");
  EXPECT_EQ(reports.lost(number), 1) << "B was promised its events";
  ::close(number);
}

// R1
TEST_F(SameBatch, NorWhenTheNewOwnerWatchesInsteadOfReading) {
  loop.watch(first.a.get(), Events::kRead, [&](Events) {
    order += 'A';
    loop.unwatch(first.a.get());
    loop.unwatch(number);
    second.a.reset();
    reuse(number);
    loop.watch(number, Events::kRead, [&](Events) {
      order += 'N';
      loop.unwatch(number);
    });
  });
  loop.watch(number, Events::kRead, [&](Events) { order += 'B'; });
  run_batch();
  EXPECT_EQ(order, "A");
  run_passes(loop, 2);
  EXPECT_EQ(order, "AN");
  ::close(number);
}

// R2: closing without a new owner.
TEST_F(SameBatch, AClosedDescriptorsCallbackDoesNotRun) {
  loop.add_reader(first.a.get(), [&] {
    order += 'A';
    loop.remove_reader(first.a.get());
    loop.remove_reader(number);
    second.a.reset();
  });
  loop.add_reader(number, [&] { order += 'B'; });
  run_batch();
  run_passes(loop, 2);
  EXPECT_EQ(order, "A");
}

// R1 in the pieces: what was reported before collect() is old news by then.
TEST_F(SameBatch, AnEventThatCollectFindsOutdatedIsDropped) {
  loop.add_reader(number, [&] { order += 'B'; });
  loop.poll_events(Duration::zero());
  loop.remove_reader(number);
  second.a.reset();
  reuse(number);
  loop.add_reader(number, [&] { order += 'N'; });
  loop.collect();
  loop.run_ready();
  EXPECT_EQ(order, "");
  run_one_pass(loop);
  EXPECT_EQ(order, "N");
  loop.remove_reader(number);
  ::close(number);
}

// -- R6: closed behind the loop's back ---------------------------------------

struct ForeignClose : ::testing::Test {
  ForeignClose() {
    loop.add_reader(number, [this] { ++old_calls; });
  }
  ~ForeignClose() override {
    fd.release();  // it has been closed, or goes here
    ::close(number);
  }
  void close_behind_its_back() { fd.reset(); }

  EventLoop loop;
  Reports reports{loop};
  UniqueFd fd = make_eventfd(1);
  const int number = fd.get();
  int old_calls = 0;
  int new_calls = 0;
};

// The kernel drops it without a word, so the loop cannot know.
TEST_F(ForeignClose, IsSilentUntilTheLoopAsksTheKernel) {
  close_behind_its_back();
  run_passes(loop, 3);
  EXPECT_EQ(old_calls, 0);
  EXPECT_TRUE(reports.messages.empty());
  EXPECT_TRUE(loop.remove_reader(number)) << "removing it is in order";
  run_passes(loop, 2);
  EXPECT_TRUE(reports.messages.empty());
}

// EBADF
TEST_F(ForeignClose, IsReportedToWhoeverAsksNext) {
  close_behind_its_back();
  EXPECT_EQ(thrown_by([&] { loop.add_writer(number, [] {}); }), EBADF);
  run_passes(loop, 2);
  EXPECT_EQ(reports.lost(number), 1) << "the reader will not be called again";
  EXPECT_EQ(reports.messages.size(), 1u);
  EXPECT_FALSE(loop.remove_reader(number));
  EXPECT_FALSE(loop.remove_writer(number));
}

// ENOENT: the number is somebody else's now, and the caller means that one.
TEST_F(ForeignClose, DoesNotStandInTheWayOfTheNumbersNextOwner) {
  close_behind_its_back();
  reuse(number);
  loop.add_reader(number, [&] { ++new_calls; });
  EXPECT_TRUE(reports.messages.empty()) << "told from the loop, not in here";
  run_passes(loop, 3);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 3);
  EXPECT_EQ(reports.lost(number), 1);
  EXPECT_EQ(reports.messages.size(), 1u);
}

TEST_F(ForeignClose, OfAWriterDoesNotCarryTheOldReaderOver) {
  close_behind_its_back();
  reuse(number);
  loop.add_writer(number, [&] { ++new_calls; });
  run_one_pass(loop);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 1);
  EXPECT_EQ(loop.snapshot().descriptors[0].interest, Events::kWrite);
}

TEST_F(ForeignClose, IsFoundOutWhenTheWriterIsRemoved) {
  SocketPair pair;
  const int socket = pair.a.get();
  loop.add_reader(socket, [] {});
  loop.add_writer(socket, [] {});
  pair.a.reset();
  EXPECT_TRUE(loop.remove_writer(socket));
  run_passes(loop, 2);
  EXPECT_EQ(reports.lost(socket), 1) << "its reader";
}

TEST_F(ForeignClose, OfAWatchIsReportedToWhoeverAsksNext) {
  loop.remove_reader(number);
  for (const bool reused : {false, true}) {
    if (reused) reuse(number);
    loop.watch(number, Events::kRead, [&](Events) { ++old_calls; });
    ::close(number);
    if (reused) reuse(number);
    const int error =
        thrown_by([&] { loop.modify_watch(number, Events::kWrite); });
    EXPECT_EQ(error, reused ? ENOENT : EBADF);
    run_one_pass(loop);
    EXPECT_EQ(reports.lost(number), reused ? 2 : 1);
    EXPECT_FALSE(loop.unwatch(number));
  }
  EXPECT_EQ(old_calls, 0);
}

TEST_F(ForeignClose, OfAWatchDoesNotStandInTheWayOfTheNextOne) {
  loop.remove_reader(number);
  loop.watch(number, Events::kRead, [&](Events) { ++old_calls; });
  close_behind_its_back();
  reuse(number);
  loop.watch(number, Events::kRead, [&](Events) { ++new_calls; });
  run_passes(loop, 2);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 2);
  EXPECT_EQ(reports.lost(number), 1);
}

TEST_F(ForeignClose, DoesNotDisturbTheClosingOfTheLoop) {
  close_behind_its_back();
  loop.close();
  EXPECT_TRUE(reports.messages.empty());
}

// -- R5: closed behind the loop's back, and kept alive by a duplicate --------

struct KeptAlive : ForeignClose {
  UniqueFd copy = duplicate(number);
};

// What the loop cannot know it delivers; the owner finds EBADF and removes.
TEST_F(KeptAlive, StillReportsToItsReader) {
  close_behind_its_back();
  run_passes(loop, 2);
  EXPECT_EQ(old_calls, 2);
}

// epoll(7), Q6: it cannot be taken out of the set any more.
TEST_F(KeptAlive, MakesTheSetNewOnceNobodyAsksForIt) {
  close_behind_its_back();
  EXPECT_TRUE(loop.remove_reader(number));
  const UniqueFd other = make_eventfd(1);
  int other_calls = 0;
  loop.add_reader(other.get(), [&] { ++other_calls; });
  run_passes(loop, 100);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(other_calls, 100) << "the others are not disturbed";
  EXPECT_EQ(loop.stats().events, 101u) << "and it was reported once";
}

// The duplicate becomes ready after its number has a new owner.
TEST_F(KeptAlive, DoesNotReportToTheNextOwnerOfTheNumber) {
  read_text(copy.get());
  close_behind_its_back();
  move_onto(make_eventfd(0), number);
  loop.add_reader(number, [&] { ++new_calls; });
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(copy.get(), &one, sizeof one), 8);
  run_passes(loop, 10);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 0) << "its own eventfd is not readable";
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(loop.stats().events, 1u);
  ASSERT_EQ(::write(number, &one, sizeof one), 8);
  run_one_pass(loop);
  EXPECT_EQ(new_calls, 1);
}

// R7: EEXIST. Closed, removed, and the same description under the same number
// again: the kernel has kept the registration, and it is taken over.
TEST_F(KeptAlive, IsTakenOverWhenItComesBackUnderItsNumber) {
  close_behind_its_back();
  EXPECT_TRUE(loop.remove_reader(number));
  duplicate_onto(copy.get(), number);
  loop.add_reader(number, [&] { ++new_calls; });
  run_passes(loop, 2);
  EXPECT_EQ(new_calls, 2);
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(loop.stats().rebuilds, 0u);
}

// -- somebody else's registration in our set ---------------------------------

// fd() is public, so a program may do that. The token is nobody's: it goes
// with the old set, as whatever else the loop does not know.
TEST(ForeignRegistration, IsGotRidOf) {
  EventLoop loop;
  const UniqueFd ready = make_eventfd(1);
  ::epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 1'000'000;
  ASSERT_EQ(::epoll_ctl(loop.fd(), EPOLL_CTL_ADD, ready.get(), &event), 0);
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().events, 1u);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
}

}  // namespace
}  // namespace rondo
