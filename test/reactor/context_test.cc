// SPDX-License-Identifier: MIT
#include "reactor/context.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "reactor/testing/virtual_time.h"

namespace rondo {
namespace {

TEST(ContextVar, GivesWhatWasSetOrTheDefault) {
  ContextVar<int> with("with", 1);
  ContextVar<std::string> without("without");
  EXPECT_EQ(with.name(), "with");
  EXPECT_EQ(with.get(), 1);
  EXPECT_EQ(with.get(5), 5);
  EXPECT_THROW(without.get(), std::out_of_range);
  Context context;
  context.run([&] {
    with.set(2);
    without.set("here");
    EXPECT_EQ(with.get(), 2);
    EXPECT_EQ(with.get(5), 2);
    EXPECT_EQ(without.get(), "here");
  });
  EXPECT_EQ(with.get(), 1);
}

TEST(ContextVar, ResetPutsBackWhatWasThereBeforeOnce) {
  ContextVar<int> var("var");
  Context().run([&] {
    auto first = var.set(1);
    auto second = var.set(2);
    var.reset(second);
    EXPECT_EQ(var.get(), 1);
    EXPECT_THROW(var.reset(second), std::runtime_error);
    var.reset(first);
    EXPECT_THROW(var.get(), std::out_of_range);
  });
}

TEST(Context, KeepsWhatRunChangesAndACopyDoesNot) {
  ContextVar<int> var("var", 0);
  Context context;
  context.run([&] { var.set(1); });
  Context copy = context;
  copy.run([&] { var.set(2); });
  EXPECT_EQ(context.run([&] { return var.get(); }), 1);
  EXPECT_EQ(copy.run([&] { return var.get(); }), 2);
  EXPECT_EQ(
      copy.run([&] { return copy_context(); }).run([&] { return var.get(); }),
      2);
}

TEST(Context, IsLeftWhenTheFunctionThrows) {
  ContextVar<int> var("var", 0);
  Context context;
  EXPECT_THROW(context.run([&] {
    var.set(1);
    throw std::runtime_error("out");
  }),
               std::runtime_error);
  EXPECT_EQ(var.get(), 0);
  EXPECT_EQ(context.run([&] { return var.get(); }), 1);
}

TEST(Context, OfACallbackIsThatOfItsRegistration) {
  ContextVar<int> var("var", 0);
  VirtualTimeLoop loop;
  std::string seen;
  const auto note = [&] { seen += std::to_string(var.get()); };
  Context context;
  context.run([&] {
    var.set(1);
    loop.call_soon([&] {
      note();
      var.set(9);  // for this callback alone
    });
    loop.call_later(1, note);
    var.set(2);
    loop.call_soon(note);
    EXPECT_NE(to_string(loop.call_soon(note)).find("<lambda>"),
              std::string::npos);
  });
  loop.call_soon(note);
  loop.run_until_idle();
  EXPECT_EQ(seen, "12201");
  EXPECT_EQ(var.get(), 0);
}

TEST(Context, OfACallFromAnotherThreadIsThatThreads) {
  ContextVar<int> var("var", 0);
  VirtualTimeLoop loop;
  int seen = -1;
  std::thread([&] {
    var.set(7);
    loop.call_soon_threadsafe([&] { seen = var.get(); });
  }).join();
  loop.run_until_idle();
  EXPECT_EQ(seen, 7);
}

}  // namespace
}  // namespace rondo
