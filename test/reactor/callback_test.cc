// SPDX-License-Identifier: MIT
#include "reactor/callback.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "reactor/partial.h"
#include "test/support/allocation.h"
#include "test/support/at_death.h"

// callback.h: "A move-only std::function: it can own a socket."

namespace rondo {
namespace {

using test::allocations_of;
using test::AtDeath;

static_assert(!std::is_copy_constructible_v<Callback>);
static_assert(std::is_nothrow_move_constructible_v<Callback>);
static_assert(std::is_nothrow_move_assignable_v<Callback>);
// What cannot be called is refused where it is written.
static_assert(!std::is_constructible_v<Callback, int>);
static_assert(!std::is_constructible_v<Callback, std::string>);
static_assert(!std::is_constructible_v<Callback, void (*)(int)>);
static_assert(!std::is_constructible_v<UniqueFunction<int()>, void (*)()>);
struct Member {
  void f() {}
};
static_assert(!std::is_constructible_v<UniqueFunction<void(Member&)>,
                                       void (Member::*)()>);

int calls = 0;
void count_call() { ++calls; }

/// A callable of a chosen size that counts its lives.
template <std::size_t kBytes>
struct Sized {
  explicit Sized(int* lives_now) : lives(lives_now) { ++*lives; }
  Sized(const Sized& other) noexcept : lives(other.lives) { ++*lives; }
  Sized& operator=(const Sized&) = delete;
  ~Sized() { --*lives; }
  int operator()() const { return *lives; }
  int* lives;
  std::array<char, kBytes - sizeof(int*)> bytes{};
};

// -- what it holds -----------------------------------------------------------

// "Empty."
TEST(Callback, IsEmptyWhenItHoldsNothing) {
  EXPECT_FALSE(Callback());
  EXPECT_FALSE(Callback(nullptr));
  // "a null function pointer gives an empty one"
  EXPECT_FALSE(Callback(static_cast<void (*)()>(nullptr)));
  EXPECT_EQ(Callback().description(), "None");
  Callback none;
  none.reset();
  EXPECT_FALSE(none);
}

TEST(Callback, CallsWhatItHolds) {
  calls = 0;
  Callback by_name(count_call);
  Callback by_pointer(&count_call);
  void (*const pointer)() = count_call;
  Callback by_variable(pointer);
  std::function<void()> function = count_call;
  Callback by_function(function);
  int own = 0;
  Callback by_lambda([&own] { own = 1; });
  for (Callback* callback :
       {&by_name, &by_pointer, &by_variable, &by_function}) {
    EXPECT_TRUE(*callback);
    (*callback)();
    (*callback)();
  }
  by_lambda();
  EXPECT_EQ(calls, 8);
  EXPECT_EQ(own, 1);
}

TEST(Callback, KeepsStateFromCallToCall) {
  UniqueFunction<int()> counter([count = 0]() mutable { return ++count; });
  EXPECT_EQ(counter(), 1);
  EXPECT_EQ(counter(), 2);
}

TEST(Callback, HandsArgumentsOnAndTheResultBack) {
  UniqueFunction<std::string(std::string, std::unique_ptr<int>, int&)> function(
      [](std::string text, std::unique_ptr<int> owned, int& out) {
        out = *owned;
        return text + "!";
      });
  int out = 0;
  EXPECT_EQ(function("hello", std::make_unique<int>(7), out), "hello!");
  EXPECT_EQ(out, 7);
}

// A result that nobody asked for is dropped.
TEST(Callback, DropsAResult) {
  Callback callback([] { return 5; });
  callback();
}

TEST(Callback, LetsAnExceptionThrough) {
  Callback callback([] { throw std::runtime_error("through"); });
  EXPECT_THROW(callback(), std::runtime_error);
  EXPECT_THROW(callback(), std::runtime_error) << "it is still there";
}

// -- where it keeps it -------------------------------------------------------

// "Captures of up to kInlineCaptureBytes (that move without throwing) are kept
// in place; larger ones take one allocation when it is made. Moving allocates
// nothing."
TEST(Callback, AllocatesForLargeCapturesOnly) {
  int lives = 0;
  const Sized<kInlineCaptureBytes> small(&lives);
  const Sized<kInlineCaptureBytes + 8> large(&lives);
  // Kept outside: an allocation that nobody sees may be left out (clang does).
  static Callback kept;
  EXPECT_EQ(allocations_of([&] { kept = Callback(small); }), 0u);
  EXPECT_EQ(allocations_of([&] { kept = Callback(large); }), 1u);
  kept.reset();
  Callback first(large);
  EXPECT_EQ(allocations_of([&] {
              Callback second(std::move(first));
              Callback third;
              third = std::move(second);
            }),
            0u);
}

TEST(Callback, AllocatesForCapturesWhoseMoveMayThrow) {
  struct MayThrow {
    MayThrow() = default;
    MayThrow(const MayThrow&) {}  // no noexcept move
    void operator()() const {}
  };
  const MayThrow callable;
  static Callback kept;  // as above
  EXPECT_EQ(allocations_of([&] { kept = Callback(callable); }), 1u);
  kept.reset();
}

TEST(Callback, KeepsCapturesAlignedThatAskForIt) {
  struct alignas(64) Aligned {
    std::uintptr_t operator()() const {
      return reinterpret_cast<std::uintptr_t>(this) % 64;
    }
    char byte = 0;
  };
  UniqueFunction<std::uintptr_t()> function{Aligned()};
  EXPECT_EQ(function(), 0u);
}

// -- moving ------------------------------------------------------------------

// "Leaves `other` empty."
TEST(Callback, MovingLeavesTheOtherEmpty) {
  int lives = 0;
  {
    UniqueFunction<int()> first{Sized<kInlineCaptureBytes>(&lives)};
    UniqueFunction<int()> second(std::move(first));
    EXPECT_FALSE(first);  // NOLINT: promised
    EXPECT_EQ(second(), 1) << "one lives, not two";
    UniqueFunction<int()> third{Sized<1000>(&lives)};
    third = std::move(second);
    EXPECT_FALSE(second);  // NOLINT: promised
    EXPECT_EQ(third(), 1);
  }
  EXPECT_EQ(lives, 0);
}

// What needs no destructor is copied as bytes.
TEST(Callback, MovesPlainCaptures) {
  std::array<char, kInlineCaptureBytes> bytes{};
  bytes.front() = 'a';
  bytes.back() = 'z';
  UniqueFunction<char()> first([bytes] { return bytes.back(); });
  UniqueFunction<char()> second(std::move(first));
  EXPECT_EQ(second(), 'z');
}

TEST(Callback, MovedToItselfStaysWhatItIs) {
  UniqueFunction<int()> function(
      [owned = std::make_unique<int>(7)] { return *owned; });
  UniqueFunction<int()>& same = function;
  function = std::move(same);
  EXPECT_EQ(function(), 7);
}

// "Destroys what it held."
TEST(Callback, AssignmentDestroysWhatItHeld) {
  int deaths = 0;
  Callback callback([dies = AtDeath([&] { ++deaths; })] {});
  callback = Callback([] {});
  EXPECT_EQ(deaths, 1);
  EXPECT_TRUE(callback);
  callback = Callback([dies = AtDeath([&] { ++deaths; })] {});
  callback = nullptr;
  EXPECT_EQ(deaths, 2);
  EXPECT_FALSE(callback);
}

// A list of callbacks, each of which owns the next: the one that is assigned
// is part of what goes. R3
TEST(Callback, TakesOverWhatItHolds) {
  struct Link {
    Callback next;
  };
  int last_calls = 0;
  auto link = std::make_unique<Link>();
  link->next = Callback([&] { ++last_calls; });
  Link& raw = *link;
  Callback head([kept = std::move(link)] {});
  head = std::move(raw.next);
  head();
  EXPECT_EQ(last_calls, 1);
}

// The dying captures assign to the very callback: the outer assignment stands,
// and nothing is lost on the way.
TEST(Callback, MayBeAssignedToByItsOwnDyingCaptures) {
  int deaths = 0, outer_calls = 0;
  {
    Callback callback;
    callback = Callback([dies = AtDeath([&] {
                           callback =
                               Callback([also = AtDeath([&] { ++deaths; })] {});
                         })] {});
    callback = Callback([&] { ++outer_calls; });
    if (callback) callback();
  }
  EXPECT_EQ(deaths, 1) << "leaked";
}

// "It is empty before the first destructor runs, so one that comes back here
// finds nothing."
TEST(Callback, IsEmptyWhenItsCapturesAreDestroyed) {
  Callback callback;
  bool was_empty = false;
  callback = Callback([dies = AtDeath([&] {
                         was_empty = !callback;
                         callback.reset();
                       })] {});
  callback.reset();
  EXPECT_TRUE(was_empty);
}

// -- emplace -----------------------------------------------------------------

// "As an assignment, made in place. Empty if that throws."
TEST(Callback, EmplaceReplacesWhatItHeld) {
  int deaths = 0;
  Callback callback([dies = AtDeath([&] { ++deaths; })] {});
  int runs = 0;
  callback.emplace([&] { ++runs; });
  EXPECT_EQ(deaths, 1);
  callback();
  EXPECT_EQ(runs, 1);
  callback.emplace(nullptr);
  EXPECT_FALSE(callback);
  callback.emplace(static_cast<void (*)()>(nullptr));
  EXPECT_FALSE(callback);
  callback.emplace(Callback([&] { ++runs; }));
  callback();
  EXPECT_EQ(runs, 2);
}

TEST(Callback, EmplaceThatThrowsLeavesItEmpty) {
  struct Throws {
    Throws() = default;
    Throws(const Throws&) { throw std::runtime_error("no copy"); }
    void operator()() const {}
  };
  Callback callback([] {});
  const Throws callable;
  EXPECT_THROW(callback.emplace(callable), std::runtime_error);
  EXPECT_FALSE(callback);
  EXPECT_THROW(Callback{callable}, std::runtime_error);
}

// -- E3: destructors that throw ----------------------------------------------

// A destructor that throws where captures are destroyed ends the program, as
// it does in any container: reset() is noexcept, and so are cancel() and the
// rest of what destroys captures.
TEST(CallbackDeathTest, EndsTheProgramIfADestructorThrows) {
  struct Throws {
    ~Throws() noexcept(false) {
      if (armed) throw std::runtime_error("from a destructor");
    }
    bool armed = false;
    void operator()() const {}
  };
  EXPECT_DEATH(
      {
        auto owned = std::make_unique<Throws>();
        owned->armed = true;
        Callback callback([kept = std::move(owned)] {});
        callback.reset();
      },
      "from a destructor|terminate");
}

// -- description -------------------------------------------------------------

void two(int, const char*) {}

// "What asyncio would print of it: `f()`, `f(2)` for call(f, 2), `f(2)()` for
// partial(f, 2)."
TEST(Callback, DescribesWhatItHolds) {
  EXPECT_EQ(Callback(count_call).description(), "rondo::count_call()");
  EXPECT_EQ(Callback(call(two, 2, "x")).description(), "rondo::two(2, 'x')");
  EXPECT_EQ(Callback(partial(two, 2, "x")).description(),
            "rondo::two(2, 'x')()");
  EXPECT_EQ(Callback(Sized<8 + 1>(&calls)).description(),
            "rondo::Sized<9ul>()");
  EXPECT_EQ(Callback(Sized<1000>(&calls)).description(),
            "rondo::Sized<1000ul>()");
}

TEST(Callback, DescribesAnotherKindOfFunctionByWhatThatHolds) {
  UniqueFunction<int()> inner([] { return 1; });
  const std::string description = inner.description();
  EXPECT_EQ(Callback(std::move(inner)).description(), description);
}

}  // namespace
}  // namespace rondo
