// SPDX-License-Identifier: MIT
#pragma once

#include <spdlog/spdlog.h>

namespace rondo {

/// The library's logger: the one that the program registered with spdlog
/// under the name "rondo" before the first line, else one of our own that
/// writes to stderr. No public header includes this.
spdlog::logger& log();

}  // namespace rondo
