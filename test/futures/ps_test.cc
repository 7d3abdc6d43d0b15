// SPDX-License-Identifier: MIT
#include "futures/ps.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "futures/gather.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/futures/scrubbed.h"
#include "test/support/log_capture.h"
#include "test/support/passes.h"
#include "test/support/scale.h"

namespace rondo {
namespace {

using test::Awaits;
using test::body;
using test::Lines;

/// A loop with tasks that wait for ever.
struct Waiting {
  ~Waiting() {
    const LogCapture captured;  // of tasks that are still pending
    loop.close();
  }

  Task<void> awaits(AnyFuture future, std::string name) {
    return create_task(loop, Awaits(std::move(future), log, "x", true),
                       TaskOptions().name(std::move(name)));
  }
  /// The same for a future that need not be there yet.
  Task<void> awaits_later(const AnyFuture& future, std::string name) {
    return create_task(loop,
                       body([&future, begun = false](Resumption&) mutable {
                         if (std::exchange(begun, true)) return Step::done();
                         return Step::wait(future);
                       }),
                       TaskOptions().name(std::move(name)));
  }
  Task<void> sleeps(std::string name) {
    return create_task(loop, sleep(1), TaskOptions().name(std::move(name)));
  }

  VirtualTimeLoop loop;
  Lines log;
};

const std::string kHead =
    "tid        task id              task name            "
    "coroutine stack                                    "
    "awaiter chain                                      "
    "awaiter name    awaiter id     \n" +
    std::string(180, '-') + "\n";

std::string id_of(const AnyFuture& future) {
  char text[40];
  std::snprintf(text, sizeof text, "%p",
                static_cast<const void*>(future.state()));
  return text;
}

/// A line of format_ps().
std::string row(const std::string& id, const std::string& name,
                const std::string& stack, const std::string& chain,
                const std::string& awaiter, const std::string& awaiter_id) {
  char text[400];
  std::snprintf(text, sizeof text,
                "%-10d %-20s %-20s %-50s %-50s %-15s %-15s\n", ::gettid(),
                id.c_str(), name.c_str(), stack.c_str(), chain.c_str(),
                awaiter.c_str(), awaiter_id.c_str());
  return text;
}

// -- ps ----------------------------------------------------------------------

TEST(Ps, OfALoopWithoutTasksIsTheHeadAlone) {
  VirtualTimeLoop loop;
  EXPECT_EQ(format_ps(loop), kHead);
}

TEST(Ps, HasALineForEachTaskAndEachTaskThatAwaitsIt) {
  Waiting w;
  const AnyTask play = w.sleeps("play");
  const AnyTask one = w.awaits(play, "one");
  const AnyTask two = w.awaits(play, "two");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_ps(w.loop),
            kHead +
                row(id_of(play), "play", "sleep", "awaits", "one", id_of(one)) +
                row(id_of(play), "play", "sleep", "awaits", "two", id_of(two)) +
                row(id_of(one), "one", "awaits", "", "", "0x0") +
                row(id_of(two), "two", "awaits", "", "", "0x0"));
}

TEST(Ps, HasTasksThatHaveNotBegun) {
  Waiting w;
  const AnyTask task = w.sleeps("new");
  EXPECT_EQ(format_ps(w.loop),
            kHead + row(id_of(task), "new", "sleep", "", "", "0x0"));
}

TEST(Ps, PassesOverAGatherThatNobodyAwaits) {
  Waiting w;
  const Task<void> task = w.sleeps("alone");
  const auto all = gather(w.loop, task);
  EXPECT_EQ(format_ps(w.loop),
            kHead + row(id_of(task), "alone", "sleep", "", "", "0x0"));
}

TEST(Ps, PadsByCharactersAndCutsNothing) {
  Waiting w;
  const AnyTask task = w.sleeps("größer als zwanzig Zeichen");
  const AnyTask small = w.sleeps("größer");
  EXPECT_EQ(format_ps(w.loop),
            kHead +
                row(id_of(task), "größer als zwanzig Zeichen", "sleep", "", "",
                    "0x0") +
                row(id_of(small), "größer" + std::string(14, ' '), "sleep", "",
                    "", "0x0"));
}

TEST(Ps, PrintsTasksThatAwaitEachOther) {
  Waiting w;
  AnyFuture b;
  const AnyTask a = w.awaits_later(b, "a");
  b = w.awaits(a, "b");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_ps(w.loop),
            kHead + row(id_of(a), "a", "body", "awaits", "b", id_of(b)) +
                row(id_of(b), "b", "awaits", "body", "a", id_of(a)));
}

// -- pstree ------------------------------------------------------------------

TEST(Pstree, OfALoopWithoutTasksIsEmpty) {
  VirtualTimeLoop loop;
  EXPECT_EQ(format_pstree(loop), "");
}

TEST(Pstree, BeginsWithThoseWhomNobodyAwaits) {
  Waiting w;
  const Task<void> a = w.sleeps("a");
  const Task<void> b = w.sleeps("b");
  w.awaits(w.awaits(gather(w.loop, a, b), "both"), "root");
  w.sleeps("other");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_pstree(w.loop),
            "└── (T) root\n"
            "    └──  awaits\n"
            "        └── (T) both\n"
            "            └──  awaits\n"
            "                ├── (T) a\n"
            "                │   └──  sleep\n"
            "                └── (T) b\n"
            "                    └──  sleep\n"
            "└── (T) other\n"
            "    └──  sleep\n");
}

// "A task for whom several wait is under each of them; what it waits for, only
// under the first."
TEST(Pstree, ShowsWhatASharedTaskAwaitsOnce) {
  Waiting w;
  const Task<void> shared = w.awaits(w.sleeps("leaf"), "shared");
  w.awaits(shared, "one");
  w.awaits(shared, "two");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_pstree(w.loop),
            "└── (T) one\n"
            "    └──  awaits\n"
            "        └── (T) shared\n"
            "            └──  awaits\n"
            "                └── (T) leaf\n"
            "                    └──  sleep\n"
            "└── (T) two\n"
            "    └──  awaits\n"
            "        └── (T) shared (shown above)\n");
}

TEST(Pstree, ReportsACycleInsteadOfATree) {
  Waiting w;
  AnyFuture c;
  const AnyTask a = w.awaits_later(c, "a");
  const AnyTask b = w.awaits(a, "b");
  c = w.awaits(b, "c");
  w.awaits(b, "outside");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_pstree(w.loop),
            "ERROR: await-graph contains cycles - cannot print a tree!\n"
            "\n"
            "cycle: b → a → c → b\n");
}

TEST(Pstree, ReportsATaskThatAwaitsAGatherOfItself) {
  Waiting w;
  AnyFuture all;
  const Task<void> task = w.awaits_later(all, "task");
  const Future<void> other(w.loop);
  all = gather(w.loop, task, other);
  run_passes(w.loop, 1);
  EXPECT_EQ(format_pstree(w.loop),
            "ERROR: await-graph contains cycles - cannot print a tree!\n"
            "\n"
            "cycle: task → task\n");
  other.cancel();
  w.loop.run_until_idle();
}

TEST(Pstree, ReportsEachCycle) {
  Waiting w;
  AnyFuture b;
  AnyFuture d;
  const AnyTask a = w.awaits_later(b, "a");
  b = w.awaits(a, "b");
  const AnyTask c = w.awaits_later(d, "c");
  d = w.awaits(c, "d");
  run_passes(w.loop, 1);
  EXPECT_EQ(format_pstree(w.loop),
            "ERROR: await-graph contains cycles - cannot print a tree!\n"
            "\n"
            "cycle: b → a → b\n"
            "cycle: d → c → d\n");
}

// Layers of two, where each awaits both of the next: 2^30 ways down.
TEST(Pstree, IsAsLargeAsTheGraph) {
  Waiting w;
  Task<void> left = w.sleeps("leaf");
  Task<void> right = w.sleeps("leaf");
  for (int layer = 0; layer < 30; ++layer) {
    Task<void> next = w.awaits(gather(w.loop, left, right), "left");
    right = w.awaits(gather(w.loop, left, right), "right");
    left = std::move(next);
  }
  run_passes(w.loop, 1);
  EXPECT_LT(format_pstree(w.loop).size(), 100'000u);
}

TEST(Pstree, OfALongChainNeedsNoStack) {
  const std::size_t length = test::scaled(100'000);
  Waiting w;
  const Future<void> first(w.loop);
  AnyFuture last = first;
  for (std::size_t i = 0; i < length; ++i) last = w.awaits(last, "t");
  run_passes(w.loop, 1);
  const std::string text = format_pstree(w.loop);
  const std::string end =
      std::string(4 * kTreeIndentMax, ' ') + "└──  awaits\n";
  EXPECT_EQ(text.substr(text.size() - end.size()), end);
  EXPECT_GT(format_ps(w.loop).size(), length * 180);
  first.set_result();
  w.loop.run_until_idle();
}

TEST(Pstree, OfALongCycleNeedsNoStack) {
  const std::size_t length = test::scaled(100'000);
  Waiting w;
  AnyFuture last;
  const AnyTask first = w.awaits_later(last, "t");
  last = first;
  for (std::size_t i = 1; i < length; ++i) last = w.awaits(last, "t");
  run_passes(w.loop, 1);
  const std::string text = format_pstree(w.loop);
  std::size_t arrows = 0;
  for (std::size_t at = text.find("→"); at != std::string::npos;
       at = text.find("→", at + 1)) {
    ++arrows;
  }
  EXPECT_EQ(arrows, length);
}

TEST(Pstree, OfManyTasksHasALineForEach) {
  const std::size_t count = test::scaled(100'000);
  Waiting w;
  std::vector<Task<void>> tasks;
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(w.sleeps("t"));
  w.awaits(gather(w.loop, tasks), "root");
  run_passes(w.loop, 1);
  const std::string text = format_pstree(w.loop);
  EXPECT_TRUE(text.starts_with("└── (T) root\n"));
  std::size_t lines = 0;
  for (const char byte : text) lines += byte == '\n' ? 1 : 0;
  EXPECT_EQ(lines, 2 + 2 * count);
  w.loop.run_until_idle();
}

// -- on a signal -------------------------------------------------------------

class PsOnSignal : public testing::Test {
 protected:
  std::string printed() {
    std::rewind(file.get());
    std::string text;
    for (int c; (c = std::fgetc(file.get())) != EOF;) {
      text += static_cast<char>(c);
    }
    return text;
  }

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::tmpfile(),
                                                             &std::fclose};
  Waiting w;
};

TEST_F(PsOnSignal, PrintsBoth) {
  const PrintTasksOnSignal on_signal(w.loop, SIGUSR1, file.get());
  w.sleeps("a");
  std::raise(SIGUSR1);
  run_passes(w.loop, 2);
  const std::string text = printed();
  EXPECT_EQ(text, format_ps(w.loop) + "\n" + format_pstree(w.loop));
}

TEST_F(PsOnSignal, PrintsEachTimeTheSignalComes) {
  const PrintTasksOnSignal on_signal(w.loop, SIGUSR2, file.get());
  w.sleeps("a");
  std::raise(SIGUSR2);
  run_passes(w.loop, 2);
  const std::string once = printed();
  std::raise(SIGUSR2);
  run_passes(w.loop, 2);
  EXPECT_EQ(printed(), once + once);
}

TEST_F(PsOnSignal, PutsTheSignalBack) {
  {
    const PrintTasksOnSignal on_signal(w.loop, SIGUSR1, file.get());
  }
  EXPECT_FALSE(w.loop.remove_signal_handler(SIGUSR1));
}

TEST_F(PsOnSignal, MayOutliveTheLoopsClose) {
  std::optional<PrintTasksOnSignal> on_signal(std::in_place, w.loop);
  w.loop.close();
  on_signal.reset();
  EXPECT_EQ(printed(), "");
}

}  // namespace
}  // namespace rondo
