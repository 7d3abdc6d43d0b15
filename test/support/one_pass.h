// SPDX-License-Identifier: MIT
#pragma once

#include "reactor/event_loop.h"

namespace rondo {

/// Runs one pass that does not sleep, as asyncio does: stop(), then
/// run_forever().
inline void run_one_pass(EventLoop& loop) {
  loop.stop();
  loop.run_forever();
}

}  // namespace rondo
