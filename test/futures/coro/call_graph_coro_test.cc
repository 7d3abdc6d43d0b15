// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "futures/as_completed.h"
#include "futures/call_graph.h"
#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/ps.h"
#include "futures/race.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/sync/lock.h"
#include "futures/wait.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/scrubbed.h"

// The programs are those of CPython's test_asyncio/test_graph.py, and of its
// documentation.

namespace rondo {
namespace {

using test::scrubbed;

/// `text` without addresses, line numbers and directories.
std::string golden(std::string text) {
  text = std::regex_replace(text, std::regex("File '[^']*/"), "File '");
  text = std::regex_replace(text, std::regex("line [0-9]+"), "line *");
  text = std::regex_replace(
      text, std::regex(" [^ \n]*/([a-z_]+[.][a-z]+):[0-9]+"), " $1:*");
  return scrubbed(text);
}

TaskOptions named(std::string name) {
  return TaskOptions().name(std::move(name));
}

Coro<void> shows(std::string& text) {
  text = format_call_graph();
  co_return;
}
Coro<void> deep(std::string& text) {
  co_await sleep(0);
  text = format_call_graph();
}
Coro<void> awaits_deep(std::string& text) {
  co_await sleep(0);
  co_await deep(text);
}
Coro<void> awaits(AnyFuture future) { co_await future; }
Coro<void> naps() { co_await sleep(3600); }
Coro<void> awaits_nap() { co_await naps(); }
Coro<void> start(TaskGroup& group, std::string& text) {
  group.create_task(shows(text), named("test"));
  co_return;
}
Coro<void> main_of_group(std::string& text) {
  TaskGroup group;
  co_await with(group, start(group, text));
}
Coro<void> main_of_gather(std::string& text) {
  auto both = gather(awaits_deep(text), sleep(0));
  co_await both;
}
Coro<void> main_of_shield(std::string& text) {
  co_await shield(awaits_deep(text));
}
Coro<void> main_of_wait(std::string& text) {
  std::vector<Task<void>> tasks;
  tasks.push_back(create_task(awaits_deep(text), named("deep")));
  auto waiting = rondo::wait(tasks);
  co_await waiting;
}
Coro<void> main_of_wait_for(std::string& text) {
  auto task = create_task(awaits_deep(text), named("deep"));
  co_await wait_for(task, 10);
}
Coro<void> main_of_as_completed(std::string& text) {
  std::vector<Task<void>> tasks;
  tasks.push_back(create_task(awaits_deep(text), named("deep")));
  auto completed = as_completed(tasks);
  co_await completed.next();
}
Coro<void> main_of_race(std::string& text) {
  std::vector<Attempt<void>> attempts;
  attempts.emplace_back(
      [&] { return create_task(awaits_deep(text), named("deep")); });
  auto racing = race(std::move(attempts));
  co_await racing;
}
void helper(std::string& text) { text = format_call_graph(); }
Coro<void> calls_helper(std::string& text) {
  co_await sleep(0);
  helper(text);
}
/// Runs `main` as a task of that name, and shows what it has seen.
std::string seen_by(Coro<void> (*main)(std::string&)) {
  VirtualTimeLoop loop;
  std::string text;
  const Task<void> task = create_task(loop, main(text), named("main"));
  loop.run_until_idle();
  EXPECT_TRUE(task.done());
  return golden(text);
}

// asyncio.print_call_graph()'s example.
TEST(CallGraphCoro, ShowsATaskOfAGroup) {
  EXPECT_EQ(seen_by(&main_of_group),
            "* Task(name='test', id=*)\n"
            "  + Call stack:\n"
            "  |   File 'call_graph_coro_test.cc', line *, in async shows()\n"
            "  + Awaited by:\n"
            "    * Task(name='main', id=*)\n"
            "      + Call stack:\n"
            "      |   in async TaskGroup.__aexit__()\n"
            "      |   File 'with.h', line *, in async with()\n"
            "      |   File 'call_graph_coro_test.cc', line *, in async "
            "main_of_group()");
}

/// What a task that `main` awaits sees; `operation` is what `main` awaits, if
/// that has a name of its own.
std::string deep_graph(const std::string& name, const std::string& main,
                       const std::string& operation = "") {
  return "* Task(name='" + name +
         "', id=*)\n"
         "  + Call stack:\n"
         "  |   File 'call_graph_coro_test.cc', line *, in async deep()\n"
         "  |   File 'call_graph_coro_test.cc', line *, in async "
         "awaits_deep()\n"
         "  + Awaited by:\n"
         "    * Task(name='main', id=*)\n"
         "      + Call stack:\n" +
         (operation.empty() ? "" : "      |   in async " + operation + "()\n") +
         "      |   File 'call_graph_coro_test.cc', line *, in async " + main +
         "()";
}

/// The same, of a task without a name.
std::string unnamed(std::string text) {
  const std::size_t digits = text.find("Task-") + 5;
  text.replace(digits, text.find('\'', digits) - digits, "*");
  return text;
}

TEST(CallGraphCoro, ShowsWhoAwaitsAGather) {
  EXPECT_EQ(unnamed(seen_by(&main_of_gather)),
            deep_graph("Task-*", "main_of_gather"));
}

TEST(CallGraphCoro, ShowsWhoAwaitsAShield) {
  EXPECT_EQ(unnamed(seen_by(&main_of_shield)),
            deep_graph("Task-*", "main_of_shield"));
}

TEST(CallGraphCoro, ShowsWhoWaitsForSeveral) {
  EXPECT_EQ(seen_by(&main_of_wait), deep_graph("deep", "main_of_wait", "wait"));
}

TEST(CallGraphCoro, ShowsWhoWaitsWithALimit) {
  EXPECT_EQ(seen_by(&main_of_wait_for),
            deep_graph("deep", "main_of_wait_for", "wait_for"));
}

// python/cpython#156523.
TEST(CallGraphCoro, ShowsWhoAwaitsTheNextThatIsCompleted) {
  EXPECT_EQ(seen_by(&main_of_as_completed),
            deep_graph("deep", "main_of_as_completed",
                       "as_completed.<locals>._wait_for_one"));
}

TEST(CallGraphCoro, ShowsWhoAwaitsARace) {
  EXPECT_EQ(seen_by(&main_of_race), deep_graph("deep", "main_of_race", "race"));
}

TEST(CallGraphCoro, BeginsWithAPlainFunctionThatCaptures) {
  EXPECT_EQ(
      seen_by(&calls_helper),
      "* Task(name='main', id=*)\n"
      "  + Call stack:\n"
      "  |   File 'call_graph_coro_test.cc', line *, in helper()\n"
      "  |   File 'call_graph_coro_test.cc', line *, in async calls_helper()");
}

template <class F>
Coro<void> applies(F function) {
  function(format_call_graph());
  co_return;
}

// What the compiler says of it has the lambda's name in it, too.
TEST(CallGraphCoro, NamesACoroutineTemplateAndNotItsArgument) {
  VirtualTimeLoop loop;
  std::string text;
  const auto keep = [&](const std::string& seen) { text = seen; };
  const Task<void> task = create_task(loop, applies(keep), named("t"));
  loop.run_until_idle();
  EXPECT_EQ(golden(text),
            "* Task(name='t', id=*)\n"
            "  + Call stack:\n"
            "  |   File 'call_graph_coro_test.cc', line *, in async applies()");
}

// -- where tasks stand -------------------------------------------------------

TEST(CallGraphCoro, NamesTheOperationInWhichATaskWaits) {
  VirtualTimeLoop loop;
  Lock lock;
  std::string text;
  const Task<void> first = create_task(
      loop, [](Lock& l) -> Coro<void> { co_await l.acquire(); }(lock));
  const Task<void> second = create_task(
      loop, [](Lock& l) -> Coro<void> { co_await l.acquire(); }(lock));
  const Task<void> third = create_task(loop, naps());
  const Task<void> fourth = create_task(loop, awaits(Future<void>(loop)));
  loop.advance(Duration::zero());
  const auto innermost = [](const AnyFuture& task) {
    return capture_call_graph(task).call_stack.front().name;
  };
  EXPECT_EQ(innermost(second), "Lock.acquire");
  EXPECT_EQ(innermost(third), "sleep");
  EXPECT_EQ(innermost(fourth), "awaits");
  second.cancel();
  third.cancel();
  fourth.cancel();
  loop.run_until_idle();
}

// After an operation has ended, a future in the same coroutine has no name.
TEST(CallGraphCoro, ForgetsAnOperationThatHasEnded) {
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  const Task<void> task = create_task(loop, [](Future<void> f) -> Coro<void> {
    co_await sleep(0);
    co_await f;
  }(future));
  loop.advance(Duration(1));
  ASSERT_EQ(capture_call_graph(task).call_stack.size(), 1u);
  future.set_result();
  loop.run_until_idle();
}

// "The line of its co_await", or where it is captured.
TEST(CallGraphCoro, HasTheLineAtWhichACoroutineStands) {
  VirtualTimeLoop loop;
  unsigned at = 0;
  std::vector<unsigned> seen;
  const auto coroutine = [](unsigned& line,
                            std::vector<unsigned>& lines) -> Coro<void> {
    lines.push_back(capture_call_graph()->call_stack.front().line);
    line = __LINE__ + 1;
    co_await sleep(1);
    lines.push_back(capture_call_graph()->call_stack.front().line);
  };
  const Task<void> task = create_task(loop, coroutine(at, seen));
  loop.advance(Duration(1));
  const FutureCallGraph graph = capture_call_graph(task);
  ASSERT_EQ(graph.call_stack.size(), 2u);
  EXPECT_EQ(graph.call_stack[0].name, "sleep");
  EXPECT_EQ(graph.call_stack[0].file, "");
  EXPECT_EQ(graph.call_stack[0].line, 0u);
  EXPECT_TRUE(graph.call_stack[0].is_async);
  EXPECT_EQ(graph.call_stack[1].name, "<lambda>");
  EXPECT_EQ(graph.call_stack[1].file, __FILE__);
  EXPECT_EQ(graph.call_stack[1].line, at);
  EXPECT_TRUE(graph.call_stack[1].is_async);
  loop.run_until_idle();
  EXPECT_EQ(seen, (std::vector<unsigned>{at - 2, at + 1}));
}

TEST(CallGraphCoro, OfATaskThatHasNotBegunIsItsFirstLine) {
  VirtualTimeLoop loop;
  const Task<void> task = create_task(loop, awaits_nap(), named("t"));
  EXPECT_EQ(
      golden(format_call_graph(task)),
      "* Task(name='t', id=*)\n"
      "  + Call stack:\n"
      "  |   File 'call_graph_coro_test.cc', line *, in async awaits_nap()");
  task.cancel();
  loop.run_until_idle();
}

// "at most |limit| entries are kept: of the outermost if it is positive, of
// the innermost if it is negative".
TEST(CallGraphCoro, KeepsAsManyEntriesAsTheLimitSays) {
  VirtualTimeLoop loop;
  const Task<void> task = create_task(loop, awaits_nap());
  loop.advance(Duration(1));
  const auto names = [&](std::optional<int> limit) {
    std::string all;
    for (const auto& entry : capture_call_graph(task, limit).call_stack) {
      all += entry.name + " ";
    }
    return all;
  };
  EXPECT_EQ(names(std::nullopt), "sleep naps awaits_nap ");
  EXPECT_EQ(names(1), "awaits_nap ");
  EXPECT_EQ(names(2), "naps awaits_nap ");
  EXPECT_EQ(names(3), "sleep naps awaits_nap ");
  EXPECT_EQ(names(100), "sleep naps awaits_nap ");
  EXPECT_EQ(names(0), "");
  EXPECT_EQ(names(-1), "sleep ");
  EXPECT_EQ(names(-2), "sleep naps ");
  EXPECT_EQ(names(-100), "sleep naps awaits_nap ");
  task.cancel();
  loop.run_until_idle();
}

// -- pstree ------------------------------------------------------------------

Coro<void> play() { co_await sleep(3600); }
Coro<void> play_all(TaskGroup& tracks, std::vector<std::string> names) {
  for (const std::string& name : names) tracks.create_task(play(), named(name));
  co_return;
}
Coro<void> album(std::vector<std::string> names) {
  TaskGroup tracks;
  co_await with(tracks, play_all(tracks, std::move(names)));
}
Coro<void> play_albums(TaskGroup& albums) {
  const std::vector<std::string> first{"TNDNBTG", "Levitate"};
  const std::vector<std::string> second{"DYWTYLM", "Aqua Regia"};
  albums.create_task(album(first), named("Sundowning"));
  albums.create_task(album(second), named("TMBTE"));
  co_return;
}
Coro<void> play_everything() {
  TaskGroup albums;
  co_await with(albums, play_albums(albums));
}
// The example of `python -m asyncio pstree`.
TEST(PstreeCoro, ShowsTasksBelowTheCoroutinesThatAwaitThem) {
  VirtualTimeLoop loop;
  const Task<void> task = create_task(loop, play_everything(), named("Task-1"));
  loop.advance(Duration(1));
  EXPECT_EQ(golden(format_pstree(loop)),
            R"(└── (T) Task-1
    └──  play_everything call_graph_coro_test.cc:*
        └──  with with.h:*
            └──  TaskGroup.__aexit__
                ├── (T) Sundowning
                │   └──  album call_graph_coro_test.cc:*
                │       └──  with with.h:*
                │           └──  TaskGroup.__aexit__
                │               ├── (T) TNDNBTG
                │               │   └──  play call_graph_coro_test.cc:*
                │               │       └──  sleep
                │               └── (T) Levitate
                │                   └──  play call_graph_coro_test.cc:*
                │                       └──  sleep
                └── (T) TMBTE
                    └──  album call_graph_coro_test.cc:*
                        └──  with with.h:*
                            └──  TaskGroup.__aexit__
                                ├── (T) DYWTYLM
                                │   └──  play call_graph_coro_test.cc:*
                                │       └──  sleep
                                └── (T) Aqua Regia
                                    └──  play call_graph_coro_test.cc:*
                                        └──  sleep
)");
  const std::string table = format_ps(loop);
  EXPECT_NE(table.find("TNDNBTG              sleep -> play "),
            std::string::npos);
  EXPECT_NE(table.find(" TaskGroup.__aexit__ -> with -> album "),
            std::string::npos);
  task.cancel();
  loop.run_until_idle();
}

}  // namespace
}  // namespace rondo
