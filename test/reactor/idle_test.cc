// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "reactor/event_loop.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/staged_kernel.h"

// "An idle loop makes no system call": it makes one that does not return.

namespace rondo {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// How often each system call was made, the clock's (which is none) left out.
std::map<std::string, std::uint64_t> calls_of(const ScriptedKernel& kernel) {
  std::map<std::string, std::uint64_t> counts;
  for (int index = 0; index <= static_cast<int>(KernelCall::kThreadCreate);
       ++index) {
    const auto call = static_cast<KernelCall>(index);
    const std::uint64_t count = kernel.calls(call);
    if (call != KernelCall::kMonotonicNs && count > 0) {
      counts[to_string(call)] = count;
    }
  }
  return counts;
}

/// What `run` adds to the counts.
template <class Run>
std::map<std::string, std::uint64_t> calls_during(ScriptedKernel& kernel,
                                                  Run&& run) {
  const auto before = calls_of(kernel);
  run();
  auto counts = calls_of(kernel);
  for (const auto& [name, count] : before) {
    if ((counts[name] -= count) == 0) counts.erase(name);
  }
  return counts;
}

using Counts = std::map<std::string, std::uint64_t>;

TEST(IdleLoop, SleepsInOneCallUntilADescriptorIsReady) {
  StagedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SocketPair pair;
  SocketPair quiet;
  loop.add_reader(quiet.a.get(), [] {});
  loop.add_reader(pair.a.get(), [&] { loop.stop(); });
  kernel.when_asleep([&] { write_text(pair.b.get(), "x"); });
  EXPECT_EQ(calls_during(kernel, [&] { loop.run_forever(); }),
            (Counts{{"epoll_wait", 1}}));
}

// One for each timer that is due, none in between; far ones cost one a day.
TEST(IdleLoop, SleepsInOneCallUntilATimerIsDue) {
  StagedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.call_later(milliseconds(1500), [] {});
  loop.call_later(hours(12), [&] { loop.stop(); });
  EXPECT_EQ(calls_during(kernel, [&] { loop.run_forever(); }),
            (Counts{{"epoll_wait", 2}}));
}

// The write is the poster's; the loop adds one read of its eventfd.
TEST(IdleLoop, SleepsInOneCallUntilItIsPostedTo) {
  StagedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  kernel.when_asleep([&] {
    // Three of them: "woken at most once each time it sleeps".
    for (int i = 0; i < 3; ++i) {
      loop.remote_queue()->post([&] { loop.stop(); });
    }
  });
  EXPECT_EQ(calls_during(kernel, [&] { loop.run_forever(); }),
            (Counts{{"epoll_wait", 1}, {"read", 1}, {"write", 1}}));
}

// R5's neighbours: a paused watch of a dead peer, a registration that is gone.
TEST(IdleLoop, IsIdleWhateverHasHappenedBefore) {
  StagedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SocketPair pair;
  SocketPair dead;
  loop.watch(dead.a.get(), Events::kRead,
             [&](Events) { loop.modify_watch(dead.a.get(), Events::kNone); });
  dead.b.reset();
  loop.add_writer(pair.a.get(), [&] { loop.remove_writer(pair.a.get()); });
  loop.call_later(hours(1), [] {}).cancel();
  run_passes(loop, 3);
  loop.add_reader(pair.a.get(), [&] { loop.stop(); });
  kernel.when_asleep([&] { write_text(pair.b.get(), "x"); });
  EXPECT_EQ(calls_during(kernel, [&] { loop.run_forever(); }),
            (Counts{{"epoll_wait", 1}}));
}

// The price of a pass: one epoll_wait.
TEST(IdleLoop, AndABusyOnePayOneCallAPass) {
  StagedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd ready = make_eventfd(1);
  loop.add_reader(ready.get(), [] {});
  EXPECT_EQ(calls_during(kernel, [&] { run_passes(loop, 100); }),
            (Counts{{"epoll_wait", 100}}));
}

}  // namespace
}  // namespace rondo
