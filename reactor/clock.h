// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <ratio>

namespace rondo {

/// A span of time, in whole nanoseconds.
using Duration = std::chrono::nanoseconds;

/// A moment of a loop's clock. On a real loop that is CLOCK_MONOTONIC, so it
/// compares with std::chrono::steady_clock::now(); on a VirtualTimeLoop it is
/// the loop's own time. Nothing is assumed about its magnitude.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// What call_later() takes: any std::chrono duration, or a number of seconds
/// as in asyncio (`call_later(0.5, f)`, `call_later(500ms, f)`).
///
/// Too large a value, infinity included, becomes Duration::max(), which never
/// comes; a negative one is kept (it is due at once).
/// Throws std::invalid_argument for NaN.
class Delay {
 public:
  /// From a chrono duration of any unit.
  template <class Rep, class Period>
  constexpr Delay(  // NOLINT(google-explicit-constructor): call_later(1s, f)
      std::chrono::duration<Rep, Period> delay)
      : value_(convert(delay)) {}

  /// From seconds.
  template <class Number>
    requires std::integral<Number> || std::floating_point<Number>
  constexpr Delay(Number seconds)  // NOLINT(google-explicit-constructor)
      : value_(convert(std::chrono::duration<Number>(seconds))) {}

  /// The delay in nanoseconds.
  constexpr Duration value() const noexcept { return value_; }

 private:
  template <class Rep, class Period>
  static constexpr Duration convert(std::chrono::duration<Rep, Period> delay) {
    if constexpr (std::floating_point<Rep>) {
      return from_seconds(
          std::chrono::duration_cast<std::chrono::duration<double>>(delay)
              .count());
    } else {
      // In 128 bits: what a coarse unit can hold may not fit into 64.
      __extension__ using Wide = __int128;
      using InNanoseconds = std::ratio_divide<Period, std::nano>;
      const Wide ns =
          Wide{delay.count()} * InNanoseconds::num / InNanoseconds::den;
      if (ns > Duration::max().count()) return Duration::max();
      if (ns < Duration::min().count()) return Duration::min();
      return Duration(static_cast<std::int64_t>(ns));
    }
  }

  static Duration from_seconds(double seconds);

  Duration value_;
};

/// `moment + delay`, stopping at the ends of the range instead of wrapping.
constexpr TimePoint saturating_add(TimePoint moment, Duration delay) noexcept {
  const Duration since = moment.time_since_epoch();
  if (delay > Duration::zero() && since > Duration::max() - delay) {
    return TimePoint::max();
  }
  if (delay < Duration::zero() && since < Duration::min() - delay) {
    return TimePoint::min();
  }
  return moment + delay;
}

/// `later - earlier`, stopping at the ends of the range.
constexpr Duration saturating_difference(TimePoint later,
                                         TimePoint earlier) noexcept {
  std::int64_t ns = 0;
  if (__builtin_sub_overflow(later.time_since_epoch().count(),
                             earlier.time_since_epoch().count(), &ns)) {
    return later > earlier ? Duration::max() : Duration::min();
  }
  return Duration(ns);
}

}  // namespace rondo
