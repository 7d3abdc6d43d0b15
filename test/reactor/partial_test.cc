// SPDX-License-Identifier: MIT
#include "reactor/partial.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "reactor/callback.h"

// partial.h: "A function and the arguments that it will be called with, both
// readable as data". What is printed is what CPython 3.11's
// asyncio.format_helpers prints.

namespace rondo {
namespace {

std::string told;
void tell(int number, const std::string& text) {
  told = std::to_string(number) + " " + text;
}
int add(int a, int b, int c) { return 100 * a + 10 * b + c; }

// -- calling -----------------------------------------------------------------

TEST(Partial, CallsTheFunctionWithItsArgumentsThenMore) {
  EXPECT_EQ(partial(add, 1, 2, 3)(), 123);
  EXPECT_EQ(partial(add, 1, 2)(3), 123);
  EXPECT_EQ(partial(add, 1)(2, 3), 123);
  EXPECT_EQ(partial(add)(1, 2, 3), 123);
}

TEST(Call, CallsTheFunctionWithItsArguments) {
  call(tell, 7, "seven")();
  EXPECT_EQ(told, "7 seven");
}

// "Arguments are kept by value": those of the moment that it was made.
TEST(Partial, KeepsCopiesOfItsArguments) {
  int number = 1;
  std::string text = "before";
  auto later = partial(tell, number, text);
  number = 2;
  text = "after";
  later();
  EXPECT_EQ(told, "1 before");
}

// A literal is kept as a pointer, a string as a string.
TEST(Partial, DecaysItsArguments) {
  const char text[] = "text";
  const auto bound = partial(tell, 7, text);
  static_assert(std::is_same_v<std::decay_t<decltype(bound.args())>,
                               std::tuple<int, const char*>>);
  EXPECT_EQ(std::get<0>(bound.args()), 7);
}

// "std::ref keeps a reference."
TEST(Partial, KeepsAReferenceIfAsked) {
  std::string text = "before";
  auto later = partial(tell, 1, std::ref(text));
  text = "after";
  later();
  EXPECT_EQ(told, "1 after");
}

// "They are handed on as lvalues, so the object can be called again."
TEST(Partial, CanBeCalledAgain) {
  auto append =
      partial([](std::string& text) { return text += "x"; }, std::string());
  EXPECT_EQ(append(), "x");
  EXPECT_EQ(append(), "xx");
  EXPECT_EQ(std::get<0>(append.args()), "xx");
}

TEST(Partial, OwnsWhatCannotBeCopied) {
  auto owner = partial([](const std::unique_ptr<int>& owned) { return *owned; },
                       std::make_unique<int>(7));
  EXPECT_EQ(owner(), 7);
  UniqueFunction<int()> function(std::move(owner));
  EXPECT_EQ(function(), 7);
}

TEST(Partial, CallsAMemberFunction) {
  struct Counter {
    void count(int by) { value += by; }
    int value = 0;
  };
  Counter counter;
  partial(&Counter::count, &counter, 2)();
  call(&Counter::count, std::ref(counter), 3)();
  EXPECT_EQ(counter.value, 5);
}

TEST(Partial, GivesTheResultBackAsItIs) {
  int value = 1;
  auto get = partial([](int& out) -> int& { return out; }, std::ref(value));
  static_assert(std::is_same_v<decltype(get()), int&>);
  get() = 2;
  EXPECT_EQ(value, 2);
}

// -- reading -----------------------------------------------------------------

// "The function, as functools.partial's `func`"; "The arguments in order, as
// functools.partial's `args`."
TEST(Partial, ShowsItsFunctionAndItsArguments) {
  const auto bound = partial(add, 1, 2);
  EXPECT_EQ(bound.func(), &add);
  EXPECT_EQ(bound.args(), std::tuple(1, 2));
}

// "A partial of a partial is one with both their arguments, as in Python."
TEST(Partial, OfAPartialIsOneWithBothTheirArguments) {
  auto inner = partial(add, 1);
  auto outer = partial(inner, 2);
  static_assert(std::is_same_v<decltype(outer), decltype(partial(add, 1, 2))>);
  EXPECT_EQ(outer.func(), &add);
  EXPECT_EQ(outer.args(), std::tuple(1, 2));
  EXPECT_EQ(partial(partial(partial(add, 1), 2), 3)(), 123);
  const auto& constant = inner;
  EXPECT_EQ(partial(constant, 2).args(), std::tuple(1, 2));
  EXPECT_EQ(inner.args(), std::tuple(1)) << "it is left as it was";
}

TEST(Partial, OfAPartialMovesWhatCannotBeCopied) {
  auto inner = partial([](const std::unique_ptr<int>& a,
                          const std::unique_ptr<int>& b) { return *a + *b; },
                       std::make_unique<int>(1));
  auto outer = partial(std::move(inner), std::make_unique<int>(2));
  EXPECT_EQ(outer(), 3);
}

// -- printing ----------------------------------------------------------------

// asyncio: a partial is called without further arguments, hence the "()".
TEST(Partial, PrintsAsAsyncioDoes) {
  EXPECT_EQ(partial(add, 1, 2).description(), "rondo::add(1, 2)()");
  EXPECT_EQ(partial(add).description(), "rondo::add()()");
  EXPECT_EQ(partial(tell, 7, "it's").description(),
            "rondo::tell(7, \"it's\")()");
  EXPECT_EQ(partial(partial(add, 1), 2).description(), "rondo::add(1, 2)()");
}

// "`call_soon(call(f, 2))` is asyncio's `call_soon(f, 2)` and prints as such".
TEST(Call, PrintsAsAsyncioDoes) {
  EXPECT_EQ(call(add, 1, 2).description(), "rondo::add(1, 2)");
  EXPECT_EQ(call(add).description(), "rondo::add()");
  EXPECT_EQ(call(add, 'x').description(), "rondo::add('x')");
  EXPECT_EQ(call(tell, nullptr).description(), "rondo::tell(None)");
}

// asyncio's call_soon(partial(f, 1), 2).
TEST(Call, OfAPartialPrintsBothArgumentLists) {
  EXPECT_EQ(call(partial(add, 1), 2).description(), "rondo::add(1)(2)");
  EXPECT_EQ(call(partial(add, 1, 2, 3)).description(), "rondo::add(1, 2, 3)()");
  EXPECT_EQ(call(partial(add, 1), 2, 3)(), 123);
}

struct Printed {};
std::string to_string(const Printed&) { return "<printed>"; }

TEST(Partial, PrintsItsArgumentsByRepr) {
  const Printed printed;
  const auto f = [](auto&&...) {};
  const std::string text = call(f, true, -1, 2u, 0.5, std::string("s"), printed,
                                &printed, std::ref(printed))
                               .description();
  EXPECT_TRUE(
      text.ends_with("(True, -1, 2, 0.5, 's', <printed>, <printed>, "
                     "<printed>)"))
      << text;
}

}  // namespace
}  // namespace rondo
