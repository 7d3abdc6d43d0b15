// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "futures/task.h"
#include "reactor/context.h"
#include "reactor/testing/virtual_time.h"

namespace rondo {
namespace {

using Variable = ContextVar<int>;

Coro<void> set_and_note(Variable& number, int value, std::string& seen) {
  seen += std::to_string(number.get());
  number.set(value);
  co_await sleep(0);
  seen += std::to_string(number.get());
}

Coro<void> await_setter(Variable& number, std::string& seen) {
  co_await set_and_note(number, 5, seen);
  seen += std::to_string(number.get());  // what it awaits shares its values
}

TEST(TaskContext, IsACopyOfItsMakers) {
  Variable number("number", 0);
  VirtualTimeLoop loop;
  std::string one;
  std::string two;
  Context().run([&] {
    number.set(3);
    create_task(loop, set_and_note(number, 1, one));
    number.set(4);
  });
  create_task(loop, set_and_note(number, 2, two));
  loop.run_until_idle();
  EXPECT_EQ(one, "31");
  EXPECT_EQ(two, "02");
  EXPECT_EQ(number.get(), 0);
}

TEST(TaskContext, IsSharedWithWhatItAwaits) {
  Variable number("number", 0);
  VirtualTimeLoop loop;
  std::string seen;
  create_task(loop, await_setter(number, seen));
  loop.run_until_idle();
  EXPECT_EQ(seen, "055");
}

TEST(TaskContext, MayBeGiven) {
  Variable number("number", 0);
  VirtualTimeLoop loop;
  std::string seen;
  Context context;
  context.run([&] { number.set(8); });
  create_task(loop, set_and_note(number, 1, seen),
              TaskOptions().context(context));
  loop.run_until_idle();
  EXPECT_EQ(seen, "81");
}

TEST(TaskContext, IsThatOfAnEagerTasksFirstStepToo) {
  Variable number("number", 0);
  VirtualTimeLoop loop;
  std::string seen;
  loop.call_soon([&] {
    number.set(6);
    create_task(set_and_note(number, 7, seen), TaskOptions().eager_start());
    seen += std::to_string(number.get());
  });
  loop.run_until_idle();
  EXPECT_EQ(seen, "667");
}

TEST(TaskContext, OfADoneCallbackIsThatOfItsAdding) {
  Variable number("number", 0);
  VirtualTimeLoop loop;
  const Future<void> future(loop);
  int seen = -1;
  Context().run([&] {
    number.set(2);
    future.add_done_callback([&](const Future<void>&) { seen = number.get(); });
  });
  future.set_result();
  loop.run_until_idle();
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace rondo
