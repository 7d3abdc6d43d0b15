// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/one_pass.h"

// "Every `co_await` records where it stands, so a suspended task can print its
// stack": probe p43.

namespace rondo {
namespace {

constexpr unsigned kInnerLine = __LINE__ + 2;
Coro<void> inner(Future<void> gate) {
  co_await gate;
  co_await gate;
}

constexpr unsigned kMiddleLine = __LINE__ + 2;
Coro<int> middle(Future<void> gate) {
  co_await inner(gate);
  co_await sleep(1);
  co_return 7;
}

constexpr unsigned kOuterLine = __LINE__ + 1;
Coro<int> outer(Future<void> gate) { co_return co_await middle(gate); }

/// `name:line` of each frame, outermost first.
std::string stack_of(const AnyTask& task) {
  std::string text;
  for (const StackFrame& frame : task.get_stack()) {
    EXPECT_EQ(frame.file, __FILE__);
    text += frame.name + ":" + std::to_string(frame.line) + " ";
  }
  return text;
}

std::string expected(unsigned a, unsigned b = 0, unsigned c = 0) {
  std::string text = "outer:" + std::to_string(a) + " ";
  if (b != 0) text += "middle:" + std::to_string(b) + " ";
  if (c != 0) text += "inner:" + std::to_string(c) + " ";
  return text;
}

TEST(CoroStack, ShowsWhereEachFrameStands) {
  VirtualTimeLoop loop;
  const Future<void> gate(loop);
  const Task<int> task =
      create_task(loop, outer(gate), TaskOptions().name("deep"));
  // Before the start: where it is defined. g++ says where its body ends.
  ASSERT_EQ(task.get_stack().size(), 1u);
  EXPECT_NEAR(task.get_stack()[0].line, kOuterLine, 1);
  run_one_pass(loop);
  EXPECT_EQ(stack_of(task), expected(kOuterLine, kMiddleLine, kInnerLine));
  const std::string file = __FILE__;
  EXPECT_EQ(task.format_stack(),
            "Stack for " + to_string(task) +
                " (most recent call last):\n"
                "  File \"" +
                file + "\", line " + std::to_string(kOuterLine) +
                ", in outer\n"
                "  File \"" +
                file + "\", line " + std::to_string(kMiddleLine) +
                ", in middle\n"
                "  File \"" +
                file + "\", line " + std::to_string(kInnerLine) +
                ", in inner\n");
  gate.set_result();
  run_one_pass(loop);
  EXPECT_EQ(stack_of(task), expected(kOuterLine, kMiddleLine + 1));
  loop.run_until_idle();
  EXPECT_EQ(stack_of(task), "");
  EXPECT_EQ(task.result(), 7);
}

TEST(CoroTaskRepr, SaysWhereTheOutermostFrameStands) {
  VirtualTimeLoop loop;
  const Future<void> gate(loop);
  const Task<int> task =
      create_task(loop, outer(gate), TaskOptions().name("deep"));
  const std::string file = __FILE__;
  const std::string defined = std::to_string(task.get_stack()[0].line);
  EXPECT_EQ(to_string(task),
            "<Task pending name='deep' coro=<outer() running at " + file + ":" +
                defined + ">>");
  run_one_pass(loop);
  EXPECT_EQ(to_string(task),
            "<Task pending name='deep' coro=<outer() running at " + file + ":" +
                std::to_string(kOuterLine) +
                "> wait_for=<Future pending cb=[Task.task_wakeup()]>>");
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(to_string(task),
            "<Task cancelled name='deep' coro=<outer() done, defined at " +
                file + ":" + defined + ">>");
}

// -- names out of std::source_location ----------------------------------------

/// A source_location cannot be made of a text: names are seen by what a
/// coroutine of that shape is called.
std::string name_of(auto&& coro) {
  const std::string text = to_string(coro);
  coro.close();
  const std::string start = "<coroutine object ";
  return text.substr(start.size(), text.find(" at 0x") - start.size());
}

template <class... Args>
Coro<std::vector<int>*> many(Args...) {
  co_return nullptr;
}

namespace nested {
struct Pair {
  template <class T>
  Coro<T> get(T (*)(int)) {
    co_return T();
  }
};
}  // namespace nested

TEST(CoroutineName, IsTheFunctionsWithoutTypesAndScopes) {
  EXPECT_EQ(name_of(many(1, 'c', std::vector<int>())), "many");
  EXPECT_EQ(name_of(many()), "many");
  EXPECT_EQ(name_of(nested::Pair().get<int>(nullptr)), "get");
  const auto lambda = [](int) -> Coro<void> { co_return; };
  EXPECT_EQ(name_of(lambda(1)), "<lambda>");
  const auto generic = [](auto) -> Coro<void> { co_return; };
  EXPECT_EQ(name_of(generic(1)), "<lambda>");
}

}  // namespace
}  // namespace rondo
