// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>

#include "net/transport.h"

namespace rondo::detail {

/// What Transport::set_write_buffer_limits() means. Throws
/// std::invalid_argument.
WriteBufferLimits write_buffer_limits(std::optional<std::size_t> high,
                                      std::optional<std::size_t> low);

}  // namespace rondo::detail
