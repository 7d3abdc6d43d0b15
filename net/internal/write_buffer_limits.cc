// SPDX-License-Identifier: MIT
#include "net/internal/write_buffer_limits.h"

#include <limits>
#include <stdexcept>
#include <string>

namespace rondo::detail {

WriteBufferLimits write_buffer_limits(std::optional<std::size_t> high,
                                      std::optional<std::size_t> low) {
  WriteBufferLimits limits;
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  if (high) {
    limits.high = *high;
  } else if (low) {
    limits.high = *low > kMost / 4 ? kMost : 4 * *low;
  }
  limits.low = low ? *low : limits.high / 4;
  if (limits.high < limits.low) {
    throw std::invalid_argument("high (" + std::to_string(limits.high) +
                                ") must be >= low (" +
                                std::to_string(limits.low) + ") must be >= 0");
  }
  return limits;
}

}  // namespace rondo::detail
