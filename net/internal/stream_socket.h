// SPDX-License-Identifier: MIT
#pragma once

#include "reactor/kernel.h"

namespace rondo::detail {

/// Throws std::invalid_argument unless `fd` is a stream socket,
/// std::system_error if it is no socket at all.
void check_stream_socket(Kernel& kernel, int fd);

}  // namespace rondo::detail
