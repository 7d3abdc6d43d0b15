// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ratio>
#include <stdexcept>

#include "reactor/clock.h"

// clock.h: what call_later() makes of a number or a std::chrono duration, and
// arithmetic that stops at the ends of the clock. FAULTS T1, T8.

namespace rondo {
namespace {

using namespace std::chrono_literals;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// -- exact -------------------------------------------------------------------

// "any std::chrono duration, or a number of seconds as in asyncio"
static_assert(Delay(5ms).value() == 5ms);
static_assert(Delay(2).value() == 2s);
static_assert(Delay(-2L).value() == -2s);
static_assert(Delay(std::uint8_t{255}).value() == 255s);
static_assert(Delay(1h).value() == 3600s);
static_assert(Delay(std::chrono::duration<int, std::pico>(1999)).value() ==
              1ns);

TEST(Delay, IsInWholeNanoseconds) {
  EXPECT_EQ(Delay(0.5).value(), 500ms);
  EXPECT_EQ(Delay(0.25f).value(), 250ms);
  EXPECT_EQ(Delay(2.0L).value(), 2s);
  EXPECT_EQ(Delay(std::chrono::duration<double, std::milli>(1.5)).value(),
            1500us);
  EXPECT_EQ(Delay(std::chrono::duration<float, std::ratio<60>>(0.5f)).value(),
            30s);
}

// To the nearest: 0.07 s is 70000000.00000001 ns as a double; rounded up it
// would cost a whole millisecond at the loop's resolution.
TEST(Delay, RoundsSecondsToTheNearestNanosecond) {
  EXPECT_EQ(Delay(0.07).value(), 70ms);
  EXPECT_EQ(Delay(0.29).value(), 290ms);
  EXPECT_EQ(Delay(1e-9).value(), 1ns);
  EXPECT_EQ(Delay(1.4e-9).value(), 1ns);
  EXPECT_EQ(Delay(1.6e-9).value(), 2ns);
  EXPECT_EQ(Delay(-1.6e-9).value(), -2ns);
}

// Something is more than nothing.
TEST(Delay, OfLessThanANanosecondIsOneNanosecond) {
  EXPECT_EQ(Delay(1e-10).value(), 1ns);
  EXPECT_EQ(Delay(std::numeric_limits<double>::denorm_min()).value(), 1ns);
  EXPECT_EQ(Delay(std::numeric_limits<float>::denorm_min()).value(), 1ns);
  EXPECT_EQ(Delay(0.0).value(), 0ns);
  EXPECT_EQ(Delay(-0.0).value(), 0ns);
  EXPECT_LE(Delay(-1e-10).value(), 0ns) << "due at once either way";
}

// Units that do not divide a nanosecond evenly: frames of a film, ticks.
TEST(Delay, TakesFramesOfASixtieth) {
  using Frames = std::chrono::duration<std::int64_t, std::ratio<1, 60>>;
  EXPECT_EQ(Delay(Frames(60)).value(), 1s);
  EXPECT_EQ(Delay(Frames(1)).value(), 16'666'666ns);
  EXPECT_EQ(Delay(Frames(500'000'000'000)).value(),
            8'333'333'333'333'333'333ns);
  EXPECT_EQ(Delay(Frames::max()).value(), Duration::max());
  EXPECT_EQ(Delay(Frames::min()).value(), Duration::min());
  using ThreeHalves =
      std::chrono::duration<std::int64_t, std::ratio<3, 2'000'000'000>>;
  EXPECT_EQ(Delay(ThreeHalves(2)).value(), 3ns);
  EXPECT_EQ(Delay(ThreeHalves::max()).value(), Duration::max());
}

// -- T1: what does not fit ---------------------------------------------------

// "Too large a value, infinity included, becomes Duration::max()"
TEST(Delay, StopsAtTheEndForTooMuch) {
  EXPECT_EQ(Delay(kInfinity).value(), Duration::max());
  EXPECT_EQ(Delay(std::numeric_limits<float>::infinity()).value(),
            Duration::max());
  EXPECT_EQ(Delay(1e300).value(), Duration::max());
  EXPECT_EQ(Delay(std::numeric_limits<long double>::max()).value(),
            Duration::max());
  EXPECT_EQ(Delay(std::numeric_limits<int>::max()).value(), 2'147'483'647s);
  EXPECT_EQ(Delay(std::numeric_limits<std::int64_t>::max()).value(),
            Duration::max());
  EXPECT_EQ(Delay(std::numeric_limits<std::uint64_t>::max()).value(),
            Duration::max());
  EXPECT_EQ(Delay(std::chrono::hours::max()).value(), Duration::max());
  EXPECT_EQ(Delay(std::chrono::years(1000)).value(), Duration::max());
  EXPECT_EQ(
      Delay(std::chrono::duration<double, std::ratio<3600>>(1e306)).value(),
      Duration::max());
}

TEST(Delay, KeepsTheLargestThatFits) {
  EXPECT_EQ(Delay(9'223'372'036).value(), 9'223'372'036s);
  EXPECT_EQ(Delay(9'223'372'037).value(), Duration::max());
  EXPECT_EQ(Delay(Duration::max()).value(), Duration::max());
  EXPECT_EQ(Delay(Duration::max() - 1ns).value(), Duration::max() - 1ns);
  // 2^63 ns is the first double that does not fit.
  EXPECT_EQ(Delay(std::nextafter(0x1p63 / 1e9, 0.0)).value().count(),
            9223372036854774784);
  EXPECT_EQ(Delay(0x1p63 / 1e9).value(), Duration::max());
}

TEST(Delay, StopsAtTheEndForUnsignedNanoseconds) {
  using Unsigned = std::chrono::duration<std::uint64_t, std::nano>;
  EXPECT_EQ(Delay(Unsigned(UINT64_MAX)).value(), Duration::max());
  EXPECT_EQ(Delay(Unsigned(INT64_MAX)).value(), Duration::max());
  EXPECT_EQ(Delay(Unsigned(5)).value(), 5ns);
}

// "a negative one is kept (it is due at once)"
TEST(Delay, KeepsANegativeOneAsFarAsItFits) {
  EXPECT_EQ(Delay(-5ms).value(), -5ms);
  EXPECT_EQ(Delay(-0.5).value(), -500ms);
  EXPECT_EQ(Delay(-kInfinity).value(), Duration::min());
  EXPECT_EQ(Delay(-1e300).value(), Duration::min());
  EXPECT_EQ(Delay(-0x1p63 / 1e9).value(), Duration::min());
  EXPECT_EQ(Delay(std::chrono::hours::min()).value(), Duration::min());
  EXPECT_EQ(Delay(Duration::min()).value(), Duration::min());
}

// "Throws std::invalid_argument for NaN."
TEST(Delay, ThrowsForNaN) {
  EXPECT_THROW(Delay{kNaN}, std::invalid_argument);
  EXPECT_THROW(Delay{-kNaN}, std::invalid_argument);
  EXPECT_THROW(Delay{std::numeric_limits<float>::quiet_NaN()},
               std::invalid_argument);
  EXPECT_THROW((Delay{std::chrono::duration<double, std::milli>(kNaN)}),
               std::invalid_argument);
}

// -- sums and differences ----------------------------------------------------

// "`moment + delay`, stopping at the ends of the range instead of wrapping."
TEST(SaturatingAdd, StopsAtTheEnds) {
  constexpr TimePoint kFirst = TimePoint::min();
  constexpr TimePoint kLast = TimePoint::max();
  constexpr TimePoint kZero{};
  EXPECT_EQ(saturating_add(TimePoint(1s), 2s), TimePoint(3s));
  EXPECT_EQ(saturating_add(TimePoint(1s), -2s), TimePoint(-1s));
  EXPECT_EQ(saturating_add(kLast, 0ns), kLast);
  EXPECT_EQ(saturating_add(kFirst, 0ns), kFirst);
  EXPECT_EQ(saturating_add(kLast, 1ns), kLast);
  EXPECT_EQ(saturating_add(kLast - 1ns, 1ns), kLast);
  EXPECT_EQ(saturating_add(kLast - 1ns, 2ns), kLast);
  EXPECT_EQ(saturating_add(kFirst, -1ns), kFirst);
  EXPECT_EQ(saturating_add(kFirst + 1ns, -1ns), kFirst);
  EXPECT_EQ(saturating_add(kFirst, Duration::min()), kFirst);
  EXPECT_EQ(saturating_add(kLast, Duration::max()), kLast);
  EXPECT_EQ(saturating_add(kZero, Duration::min()), kFirst);
  EXPECT_EQ(saturating_add(TimePoint(-1ns), Duration::min()), kFirst);
  EXPECT_EQ(saturating_add(kFirst, Duration::max()), TimePoint(-1ns));
  EXPECT_EQ(saturating_add(kLast, Duration::min()), TimePoint(-1ns));
}

TEST(SaturatingDifference, StopsAtTheEnds) {
  constexpr TimePoint kFirst = TimePoint::min();
  constexpr TimePoint kLast = TimePoint::max();
  EXPECT_EQ(saturating_difference(TimePoint(3s), TimePoint(1s)), 2s);
  EXPECT_EQ(saturating_difference(TimePoint(1s), TimePoint(3s)), -2s);
  EXPECT_EQ(saturating_difference(kLast, kFirst), Duration::max());
  EXPECT_EQ(saturating_difference(kFirst, kLast), Duration::min());
  EXPECT_EQ(saturating_difference(TimePoint(0ns), kFirst), Duration::max());
  EXPECT_EQ(saturating_difference(TimePoint(-1ns), kFirst), Duration::max());
  EXPECT_EQ(saturating_difference(TimePoint(-2ns), kFirst),
            Duration::max() - 1ns);
  EXPECT_EQ(saturating_difference(TimePoint(-2ns), kLast), Duration::min());
  EXPECT_EQ(saturating_difference(kLast, kLast), 0ns);
}

}  // namespace
}  // namespace rondo
