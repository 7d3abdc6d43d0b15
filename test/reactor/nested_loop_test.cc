// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/reports.h"

// R20: a loop's descriptor is pollable, so a loop can run inside another one,
// of ours or of somebody else.

namespace rondo {
namespace {

bool is_readable(int fd) {
  ::pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

/// An inner loop that an outer one runs whenever its descriptor is readable.
struct NestedLoop : ::testing::Test {
  NestedLoop() {
    outer.add_reader(inner.fd(), [this] {
      ++turns;
      inner.poll_events(Duration::zero());
      inner.collect();
      inner.run_ready();
    });
  }
  ~NestedLoop() override { outer.remove_reader(inner.fd()); }

  EventLoop inner;
  EventLoop outer;
  int turns = 0;
};

TEST_F(NestedLoop, RunsWhatIsReadyInTheInnerLoop) {
  SocketPair pair;
  std::string order;
  inner.add_reader(pair.a.get(), [&] { order += read_text(pair.a.get()); });
  run_passes(outer, 3);
  EXPECT_EQ(turns, 0) << "an idle inner loop costs the outer one nothing";
  write_text(pair.b.get(), "x");
  run_passes(outer, 3);
  EXPECT_EQ(order, "x");
  EXPECT_EQ(turns, 1);
}

TEST_F(NestedLoop, IsTheRunningLoopWhileItsCallbacksRun) {
  const UniqueFd ready = make_eventfd(1);
  bool inner_inside = false;
  bool outer_after = false;
  inner.add_reader(ready.get(), [&] {
    inner_inside = &get_running_loop() == &inner;
    inner.remove_reader(ready.get());
  });
  outer.call_soon([&] {
    inner.run_once();
    outer_after = &get_running_loop() == &outer;
  });
  run_one_pass(outer);
  EXPECT_TRUE(inner_inside);
  EXPECT_TRUE(outer_after);
}

TEST_F(NestedLoop, CanBeOneThatASleepingOuterLoopWaitsFor) {
  SocketPair pair;
  inner.add_reader(pair.a.get(), [&] {
    read_text(pair.a.get());
    outer.stop();
  });
  std::thread peer([&] { write_text(pair.b.get(), "x"); });
  outer.run_forever();
  peer.join();
  EXPECT_EQ(turns, 1);
}

// Nobody sleeps in the inner loop, but somebody sleeps for it.
TEST_F(NestedLoop, IsWokenByAPost) {
  std::string order;
  inner.remote_queue()->post([&] { order += 'a'; });
  EXPECT_TRUE(is_readable(inner.fd()));
  run_passes(outer, 3);
  EXPECT_EQ(order, "a");
  EXPECT_FALSE(is_readable(inner.fd()));
  // Posted between two turns of the inner loop, too.
  inner.remote_queue()->post([&] { order += 'b'; });
  EXPECT_TRUE(is_readable(inner.fd()));
  run_passes(outer, 3);
  EXPECT_EQ(order, "ab");
}

TEST_F(NestedLoop, IsWokenByACallFromAnotherThread) {
  std::thread poster(
      [&] { inner.call_soon_threadsafe([&] { outer.stop(); }); });
  outer.run_forever();
  poster.join();
}

// "Timers do not make it readable": next_timeout() is for those.
TEST_F(NestedLoop, SaysWhenItsTimersAreDue) {
  EXPECT_EQ(inner.next_timeout(), Duration::max());
  bool fired = false;
  inner.call_later(std::chrono::microseconds(200), [&] { fired = true; });
  EXPECT_FALSE(is_readable(inner.fd()));
  EXPECT_LE(inner.next_timeout(), std::chrono::microseconds(200));
  outer.call_later(inner.next_timeout(), [&] {
    inner.run_once();
    outer.stop();
  });
  outer.run_forever();
  EXPECT_TRUE(fired);
}

TEST_F(NestedLoop, CannotRunForEverInsideTheOuter) {
  std::string message;
  outer.call_soon([&] {
    try {
      inner.run_forever();
    } catch (const RuntimeError& error) {
      message = error.what();
    }
  });
  run_one_pass(outer);
  EXPECT_EQ(message, "Cannot run the event loop while another loop is running");
  EXPECT_FALSE(inner.is_running());
}

TEST_F(NestedLoop, IsHeldByAForeignPollerAsWell) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  ::epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, inner.fd(), &event), 0);
  EXPECT_EQ(::epoll_wait(epoll.get(), &event, 1, 0), 0);
  const UniqueFd ready = make_eventfd(1);
  inner.add_reader(ready.get(), [] {});
  EXPECT_EQ(::epoll_wait(epoll.get(), &event, 1, 0), 1);
}

// "The number stays and the outer loop has to register it anew."
TEST_F(NestedLoop, IsRegisteredAnewAfterItsSetWasRenewed) {
  UniqueFd stale = make_eventfd(1);
  const UniqueFd copy = duplicate(stale.get());
  const int number = stale.get();
  inner.add_reader(number, [] {});
  stale.reset();
  inner.remove_reader(number);
  run_one_pass(outer);
  EXPECT_EQ(inner.stats().rebuilds, 1u);
  std::string order;
  inner.remote_queue()->post([&] { order += 'p'; });
  run_one_pass(outer);
  EXPECT_EQ(order, "") << "the outer loop watches the old set";
  const Reports reports(outer);
  outer.add_reader(inner.fd(), [this] { inner.run_once(); });
  run_passes(outer, 2);
  EXPECT_EQ(order, "p");
  EXPECT_EQ(reports.lost(inner.fd()), 1) << "the first registration was";
}

// -- what the kernel refuses -------------------------------------------------

int refusal(EventLoop& outer, EventLoop& inner) {
  try {
    outer.add_reader(inner.fd(), [] {});
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

TEST(NestedLoops, CannotContainThemselves) {
  EventLoop loop;
  EXPECT_EQ(refusal(loop, loop), EINVAL);
  EventLoop outer;
  EXPECT_EQ(refusal(outer, loop), 0);
  EXPECT_EQ(refusal(loop, outer), ELOOP);
  loop.call_soon([&] { loop.stop(); });
  loop.run_forever();  // neither is harmed
  run_one_pass(outer);
}

// epoll_ctl(2): a nesting depth of more than five.
TEST(NestedLoops, CannotBeTooDeep) {
  std::unique_ptr<EventLoop> loops[8];
  for (auto& loop : loops) loop = std::make_unique<EventLoop>();
  int error = 0;
  int depth = 0;
  while (error == 0 && depth < 7) {
    error = refusal(*loops[depth + 1], *loops[depth]);
    ++depth;
  }
  EXPECT_TRUE(error == ELOOP || error == EINVAL) << error;
  EXPECT_GE(depth, 4);
}

}  // namespace
}  // namespace rondo
