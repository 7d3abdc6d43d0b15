// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

// R13, R14, R15, and invariant I12: a ready descriptor is served within so
// many passes, whatever the others do.

namespace rondo {
namespace {

/// Lets this process open `count` descriptors more, if the hard limit does.
bool allow_descriptors(std::size_t count) {
  ::rlimit limit;
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur =
      std::max<::rlim_t>(limit.rlim_cur, count_open_descriptors() + count);
  return limit.rlim_cur <= limit.rlim_max &&
         ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// R14: more ready descriptors than one epoll_wait() reports.
TEST(Fairness, OfMoreReadyDescriptorsThanOneBatchServesAllInTurn) {
  constexpr int kBatch = 64;
  constexpr int kCount = 3500;
  constexpr int kPassesForAll = (kCount + kBatch - 1) / kBatch;
  ASSERT_TRUE(allow_descriptors(kCount + 100)) << "RLIMIT_NOFILE is too low";
  EventLoop loop;
  std::vector<UniqueFd> fds;
  std::vector<int> calls(kCount, 0);
  for (int i = 0; i < kCount; ++i) {
    fds.push_back(make_eventfd(1));
    loop.add_reader(fds.back().get(), [&calls, i] { ++calls[i]; });
  }
  for (int round = 1; round <= 5; ++round) {
    run_passes(loop, kPassesForAll);
    const auto [least, most] = std::minmax_element(calls.begin(), calls.end());
    EXPECT_GE(*least, round) << "somebody was passed over";
    EXPECT_LE(*most - *least, 1) << "somebody was preferred";
  }
  EXPECT_EQ(loop.stats().events, 5u * kPassesForAll * kBatch);
}

// R13: one that always has data beside thirty that sometimes do. Level
// triggered, each gets one callback a pass and no more.
TEST(Fairness, GivesAHotDescriptorOneCallbackAPass) {
  EventLoop loop;
  const UniqueFd firehose = make_eventfd(1);
  int floods = 0;
  loop.add_reader(firehose.get(), [&] { ++floods; });
  std::vector<std::unique_ptr<SocketPair>> pairs;
  std::vector<int> echoes(30, 0);
  for (std::size_t i = 0; i < echoes.size(); ++i) {
    auto& pair = *pairs.emplace_back(std::make_unique<SocketPair>());
    loop.add_reader(pair.a.get(), [&pair, &echoes, i] {
      ++echoes[i];
      write_text(pair.a.get(), read_text(pair.a.get()));
    });
    loop.add_reader(pair.b.get(), [&pair] {
      write_text(pair.b.get(), read_text(pair.b.get()));
    });
    write_text(pair.b.get(), "ping");
  }
  constexpr int kPasses = 200;
  run_passes(loop, kPasses);
  EXPECT_EQ(floods, kPasses);
  // There in one pass and back in the next.
  EXPECT_EQ(echoes, std::vector<int>(30, kPasses / 2));
}

// R13: the same with more of them than one poll reports. It takes its turn.
TEST(Fairness, DoesNotLetAHotDescriptorOvertakeManyOthers) {
  EventLoop loop;
  const UniqueFd firehose = make_eventfd(1);
  int floods = 0;
  loop.add_reader(firehose.get(), [&] { ++floods; });
  std::vector<UniqueFd> others;
  std::vector<int> turns(200, 0);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    others.push_back(make_eventfd(1));
    loop.add_reader(others.back().get(), [&turns, i] { ++turns[i]; });
  }
  run_passes(loop, 200);
  EXPECT_GT(floods, 10);
  for (const int each : turns) {
    EXPECT_GE(each, floods - 1);
    EXPECT_LE(each, floods + 1);
  }
}

/// An edge-triggered reader with a budget: takes so much for each turn, and
/// queues itself for the rest, as there is no further edge for that.
class BudgetReader {
 public:
  BudgetReader(EventLoop& loop, int fd, std::size_t budget)
      : loop_(loop), fd_(fd), budget_(budget) {
    loop.watch(fd, Events::kRead | Events::kEdgeTriggered,
               [this](Events) { read_some(); });
  }
  std::size_t bytes = 0;
  int turns = 0;

 private:
  void read_some() {
    ++turns;
    std::string part(budget_, '\0');
    const ssize_t count = linux_kernel().read(fd_, part.data(), part.size());
    if (count <= 0) return;  // drained: the next edge comes
    bytes += static_cast<std::size_t>(count);
    more_ = loop_.call_soon([this] { read_some(); });
  }

  EventLoop& loop_;
  int fd_;
  std::size_t budget_;
  ScopedHandle more_;
};

// R13: the same for edge triggering.
TEST(Fairness, LetsAnEdgeTriggeredReaderTakeTurns) {
  EventLoop loop;
  SocketPair hot;
  write_text(hot.b.get(), std::string(64 * 1024, 'x'));
  BudgetReader reader(loop, hot.a.get(), 1024);
  const UniqueFd other = make_eventfd(1);
  int others = 0;
  int turns_seen = 0;
  int most_between = 0;
  loop.add_reader(other.get(), [&] {
    ++others;
    most_between = std::max(most_between, reader.turns - turns_seen);
    turns_seen = reader.turns;
  });
  ASSERT_TRUE(run_until(loop, [&] { return reader.bytes == 64 * 1024; }));
  EXPECT_LE(most_between, 1) << "the other one runs between any two turns";
  EXPECT_GE(others, 64);
  // And it is alive: the next edge is reported.
  run_passes(loop, 2);
  write_text(hot.b.get(), "y");
  ASSERT_TRUE(run_until(loop, [&] { return reader.bytes == 64 * 1024 + 1; }));
}

// -- R15: readable, and then nothing there -----------------------------------

// Two descriptors for one stream: both are reported, the first takes all.
TEST(Fairness, LeavesAReaderThatFindsNothingInPlace) {
  EventLoop loop;
  SocketPair pair;
  const UniqueFd copy = duplicate(pair.a.get());
  std::string received;
  int calls = 0;
  const auto on_readable = [&](int fd) {
    ++calls;
    received += read_text(fd);
  };
  loop.add_reader(pair.a.get(), [&] { on_readable(pair.a.get()); });
  loop.add_reader(copy.get(), [&] { on_readable(copy.get()); });
  for (int round = 1; round <= 3; ++round) {
    write_text(pair.b.get(), "x");
    run_passes(loop, 3);
    EXPECT_EQ(calls, 2 * round);
    EXPECT_EQ(received.size(), static_cast<std::size_t>(round));
  }
}

// A read that answers EAGAIN once (a datagram with a bad checksum does that):
// the data is reported again, not lost.
TEST(Fairness, ReportsAgainWhatCouldNotBeReadAtOnce) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SocketPair pair;
  std::string received;
  std::vector<int> errors;
  loop.add_reader(pair.a.get(), [&] {
    char byte;
    if (kernel.read(pair.a.get(), &byte, 1) == 1) {
      received += byte;
    } else {
      errors.push_back(errno);
    }
  });
  write_text(pair.b.get(), "x");
  kernel.fail(KernelCall::kRead, EAGAIN);
  run_passes(loop, 4);
  EXPECT_EQ(errors, std::vector<int>{EAGAIN});
  EXPECT_EQ(received, "x");
}

// The loop's own eventfd, reported and then found empty.
TEST(Fairness, TakesAWakeUpThatWasNoneForNothing) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  bool ran = false;
  loop.remote_queue()->wake();
  kernel.fail(KernelCall::kRead, EAGAIN);
  run_passes(loop, 3);
  loop.call_soon_threadsafe([&] { ran = true; });
  run_one_pass(loop);
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace rondo
