// SPDX-License-Identifier: MIT
#include "futures/internal/source_function_name.h"

#include <gtest/gtest.h>

#include <source_location>
#include <string>
#include <string_view>

namespace rondo::detail {
namespace {

std::string name_of(std::string_view signature) {
  return source_function_name(signature);
}

TEST(SourceFunctionName, IsWithoutScopesResultAndParameters) {
  EXPECT_EQ(name_of("int main()"), "main");
  EXPECT_EQ(name_of("rondo::Coro<int> app::say_hello(int, char)"), "say_hello");
  EXPECT_EQ(name_of("const char* app::name(void (*)(int)) const"), "name");
  EXPECT_EQ(name_of("std::map<int, f(int)>& app::Table<int>::all()"), "all");
}

TEST(SourceFunctionName, OfALambda) {
  // g++'s, as a function and as a coroutine
  EXPECT_EQ(name_of("main()::<lambda(int)>"), "<lambda>");
  EXPECT_EQ(name_of("app::S::f(int) const::<lambda()>"), "<lambda>");
  EXPECT_EQ(name_of("void main()::<lambda(int)>::operator()"
                    "(main()::<lambda(int)>::_ZZ4mainENKUliE_clEi.Frame*)"),
            "<lambda>");
  // clang's
  EXPECT_EQ(name_of("auto main()::(anonymous class)::operator()(int) const"),
            "<lambda>");
}

TEST(SourceFunctionName, OfTheAnonymousNamespace) {
  EXPECT_EQ(name_of("C {anonymous}::f(int)"), "f");
  EXPECT_EQ(name_of("C (anonymous namespace)::f(int)"), "f");
}

TEST(SourceFunctionName, OfACoroutinesBody) {  // g++
  EXPECT_EQ(name_of("void {anonymous}::S::m({anonymous}::S::m<int>(int)::"
                    "_ZN12_GLOBAL__N_11S1mIiEE1CT_.Frame*)"),
            "m");
}

// A lambda among what a template was made for is not its name.
TEST(SourceFunctionName, OfATemplate) {
  EXPECT_EQ(name_of("C f(F) [with F = main()::<lambda()>]"), "f");
  EXPECT_EQ(name_of("C f(F) [F = (lambda at a.cc:3:5)]"), "f");
  EXPECT_EQ(name_of("void f(f<main()::<lambda()> >(main()::<lambda()>)::"
                    "_Z1fIZ4mainEUlvE_E1CT_.Frame*)"),
            "f");
  EXPECT_EQ(name_of("void S<main()::<lambda()> >::run()"), "run");
}

TEST(SourceFunctionName, OfAMemberOfALocalClass) {
  EXPECT_EQ(name_of("void main()::S::run()"), "run");
  EXPECT_EQ(name_of("int S::operator()(int) const"), "operator()");
}

TEST(SourceFunctionName, OfNothingIsEmpty) { EXPECT_EQ(name_of(""), ""); }

TEST(SourceFunctionName, OfWhatIsCutShort) {
  EXPECT_EQ(name_of("void app::f(int, (ch"), "f");
  EXPECT_EQ(name_of("void (anonymous"), "(anonymous");
}

std::string here() {
  return source_function_name(std::source_location::current());
}

TEST(SourceFunctionName, OfAPlaceIsThatOfItsFunction) {
  EXPECT_EQ(here(), "here");
  EXPECT_EQ(
      [] { return source_function_name(std::source_location::current()); }(),
      "<lambda>");
}

}  // namespace
}  // namespace rondo::detail
