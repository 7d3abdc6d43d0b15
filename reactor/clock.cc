// SPDX-License-Identifier: MIT
#include "reactor/clock.h"

#include <cmath>
#include <stdexcept>

namespace rondo {

Duration Delay::from_seconds(double seconds) {
  if (std::isnan(seconds)) {
    throw std::invalid_argument("a delay must be a number of seconds, not NaN");
  }
  // Compared as doubles first: converting a double that does not fit is
  // undefined behaviour ((int64_t)1e300, and infinity).
  const double ns = seconds * 1e9;
  constexpr double kLimit = 0x1p63;
  if (ns >= kLimit) return Duration::max();
  if (ns < -kLimit) return Duration::min();
  // To the nearest: 0.07 s is 70000000.00000001 ns as a double, and rounding
  // that up would cost a whole millisecond at the loop's resolution. What is
  // positive stays positive.
  const auto rounded = static_cast<std::int64_t>(std::round(ns));
  return Duration(rounded == 0 && ns > 0 ? 1 : rounded);
}

}  // namespace rondo
