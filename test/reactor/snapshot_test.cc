// SPDX-License-Identifier: MIT
#include "reactor/snapshot.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"

// snapshot.h: "The state of a loop as data, at one moment."

namespace rondo {
namespace {

using namespace std::chrono_literals;

TEST(Snapshot, OfAFreshLoopIsEmpty) {
  VirtualTimeLoop loop;
  loop.spend(5s);
  const Snapshot snapshot = loop.snapshot();
  EXPECT_EQ(snapshot.time, TimePoint(5s));
  EXPECT_FALSE(snapshot.running);
  EXPECT_FALSE(snapshot.closed);
  EXPECT_FALSE(snapshot.stopping);
  EXPECT_TRUE(snapshot.ready.empty());
  EXPECT_TRUE(snapshot.timers.empty());
  EXPECT_TRUE(snapshot.descriptors.empty());
  EXPECT_EQ(snapshot.stats.passes, 0u);
}

TEST(Snapshot, TellsTheStateOfTheLoop) {
  EventLoop loop;
  Snapshot inside;
  loop.call_soon([&] { inside = loop.snapshot(); });
  run_one_pass(loop);
  EXPECT_TRUE(inside.running);
  EXPECT_TRUE(inside.stopping) << "run_one_pass() stops first";
  EXPECT_EQ(inside.stats.passes, 1u);
  loop.close();
  EXPECT_TRUE(loop.snapshot().closed);
}

// "The ready queue, oldest first, cancelled handles included."
TEST(Snapshot, ShowsTheReadyQueueInOrder) {
  EventLoop loop;
  const Handle first = loop.call_soon([] {});
  Handle second = loop.call_soon([] {});
  const Handle third = loop.call_soon([] {});
  second.cancel();
  const Snapshot snapshot = loop.snapshot();
  ASSERT_EQ(snapshot.ready.size(), 3u);
  EXPECT_TRUE(snapshot.ready[0].is(first));
  EXPECT_TRUE(snapshot.ready[1].is(second));
  EXPECT_TRUE(snapshot.ready[2].is(third));
  EXPECT_TRUE(snapshot.ready[1].cancelled());
}

// Out of a callback: what of the batch has not run yet.
TEST(Snapshot, ShowsTheRestOfTheBatch) {
  EventLoop loop;
  std::size_t ready = 0;
  loop.call_soon([] {});
  loop.call_soon([&] {
    loop.call_soon([] {});
    ready = loop.snapshot().ready.size();
  });
  loop.call_soon([] {});
  run_one_pass(loop);
  EXPECT_EQ(ready, 2u);
}

// "The timers, soonest first": equal ones in the order made, and one that was
// moved where it is now.
TEST(Snapshot, ShowsTheTimersInOrder) {
  VirtualTimeLoop loop;
  TimerHandle moved = loop.call_later(1s, [] {});
  const TimerHandle c = loop.call_later(3s, [] {});
  const TimerHandle a = loop.call_later(2s, [] {});
  const TimerHandle b = loop.call_later(2s, [] {});
  loop.call_later(4s, [] {}).cancel();
  moved.reschedule(TimePoint(2s));
  const Snapshot snapshot = loop.snapshot();
  ASSERT_EQ(snapshot.timers.size(), 4u) << "a cancelled one is gone";
  EXPECT_TRUE(snapshot.timers[0].is(a));
  EXPECT_TRUE(snapshot.timers[1].is(b));
  EXPECT_TRUE(snapshot.timers[2].is(moved));
  EXPECT_TRUE(snapshot.timers[3].is(c));
}

TEST(Snapshot, ShowsManyTimersInOrder) {
  VirtualTimeLoop loop;
  for (int index = 0; index < 500; ++index) {
    loop.call_later(Duration(index * 7919 % 97), [] {});
  }
  const Snapshot snapshot = loop.snapshot();
  ASSERT_EQ(snapshot.timers.size(), 500u);
  for (std::size_t index = 1; index < 500; ++index) {
    EXPECT_LE(snapshot.timers[index - 1].when(), snapshot.timers[index].when());
  }
}

// "By number."
TEST(Snapshot, ShowsTheDescriptors) {
  EventLoop loop;
  const Pipe pipe;
  const SocketPair sockets;
  loop.add_writer(pipe.writer.get(), [] {});
  loop.add_reader(pipe.reader.get(), [] {});
  loop.add_reader(sockets.a.get(), [] {});
  loop.add_writer(sockets.a.get(), [] {});
  loop.watch(sockets.b.get(), Events::kPriority, [](Events) {});
  const auto descriptors = loop.snapshot().descriptors;
  ASSERT_EQ(descriptors.size(), 4u);
  for (std::size_t index = 1; index < 4; ++index) {
    EXPECT_LT(descriptors[index - 1].fd, descriptors[index].fd);
  }
  const auto find = [&](const UniqueFd& fd) {
    for (const auto& descriptor : descriptors) {
      if (descriptor.fd == fd.get()) return descriptor;
    }
    return Snapshot::Descriptor();
  };
  EXPECT_EQ(find(pipe.writer).interest, Events::kWrite);
  EXPECT_TRUE(find(pipe.writer).writer);
  EXPECT_FALSE(find(pipe.writer).reader) << "may mean none";
  EXPECT_EQ(find(pipe.reader).interest, Events::kRead);
  EXPECT_FALSE(find(pipe.reader).writer);
  EXPECT_EQ(find(sockets.a).interest, Events::kRead | Events::kWrite);
  EXPECT_EQ(find(sockets.b).interest, Events::kPriority);
  EXPECT_TRUE(find(sockets.b).reader) << "or the watch's";
}

TEST(Snapshot, ForgetsADescriptorThatIsRemoved) {
  EventLoop loop;
  const Pipe pipe;
  loop.add_reader(pipe.reader.get(), [] {});
  loop.remove_reader(pipe.reader.get());
  EXPECT_TRUE(loop.snapshot().descriptors.empty());
}

// It is data: what happens to the loop later does not change it, and it keeps
// no captures alive.
TEST(Snapshot, StaysWhatItWas) {
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  Snapshot snapshot;
  {
    EventLoop loop;
    loop.call_soon([kept = std::move(owned)] {});
    loop.call_later(1h, [] {});
    snapshot = loop.snapshot();
    run_one_pass(loop);
    EXPECT_TRUE(watched.expired());
  }
  EXPECT_EQ(snapshot.ready.size(), 1u);
  EXPECT_EQ(snapshot.stats.callbacks, 0u);
  EXPECT_TRUE(snapshot.timers[0].cancelled());
}

// A handle out of a snapshot is as good as any.
TEST(Snapshot, GivesHandlesThatCancel) {
  VirtualTimeLoop loop;
  int runs = 0;
  loop.call_soon([&] { ++runs; });
  loop.call_later(1s, [&] { ++runs; });
  Snapshot snapshot = loop.snapshot();
  snapshot.ready[0].cancel();
  EXPECT_TRUE(snapshot.timers[0].reschedule(TimePoint(2s)));
  snapshot.timers[0].cancel();
  loop.run_until_idle();
  EXPECT_EQ(runs, 0);
}

TEST(Snapshot, GivesHandlesThatCancelAReader) {
  EventLoop loop;
  int runs = 0;
  const UniqueFd fd = make_eventfd(1);
  loop.add_reader(fd.get(), [&] { ++runs; });
  loop.snapshot().descriptors[0].reader.cancel();
  run_one_pass(loop);
  const std::uint64_t events = loop.stats().events;
  for (int pass = 0; pass < 10; ++pass) run_one_pass(loop);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(loop.stats().events, events) << "the loop spins";
}

// -- to_string ---------------------------------------------------------------

void f(int) {}

// "A page of text that shows it, one line for each handle."
TEST(SnapshotToString, HasALineForEachHandle) {
  VirtualTimeLoop loop;
  const Pipe pipe;
  Handle soon = loop.call_soon(call(f, 2));
  const std::string call = to_string(soon);
  loop.call_soon([] {}).cancel();
  const TimerHandle timer = loop.call_later(2s, [] {});
  loop.add_reader(pipe.reader.get(), [] {});
  loop.add_writer(pipe.writer.get(), [] {});
  const Snapshot snapshot = loop.snapshot();
  const auto& descriptors = snapshot.descriptors;
  ASSERT_EQ(descriptors.size(), 2u);
  EXPECT_EQ(to_string(snapshot),
            "loop idle " + to_string(snapshot.stats) +
                "\n"
                "ready (2)\n"
                "  " +
                call +
                "\n"
                "  <Handle cancelled>\n"
                "timers (1)\n"
                "  " +
                to_string(timer) +
                "\n"
                "descriptors (2)\n"
                "  fd=" +
                std::to_string(pipe.reader.get()) +
                " interest=read reader=" + to_string(descriptors[0].reader) +
                "\n"
                "  fd=" +
                std::to_string(pipe.writer.get()) + " interest=write writer=" +
                to_string(descriptors[1].writer) + "\n");
}

TEST(SnapshotToString, BeginsWithTheStateAndTheCounters) {
  EventLoop loop;
  Snapshot inside;
  loop.call_soon([&] { inside = loop.snapshot(); });
  run_one_pass(loop);
  const auto first_line = [](const Snapshot& snapshot) {
    const std::string text = to_string(snapshot);
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(first_line(inside),
            "loop running stopping " + to_string(inside.stats));
  loop.stop();
  EXPECT_EQ(first_line(loop.snapshot()),
            "loop idle stopping " + to_string(loop.stats()));
  loop.close();
  EXPECT_TRUE(first_line(loop.snapshot()).starts_with("loop closed "));
}

}  // namespace
}  // namespace rondo
