// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "test/support/one_pass.h"

namespace rondo {

/// So many passes that do not sleep: a test that waits for what never comes
/// fails instead of hanging.
inline void run_passes(EventLoop& loop, int count) {
  for (int pass = 0; pass < count; ++pass) run_one_pass(loop);
}

/// Runs passes until `done()`, for what another process, a thread or the
/// network stack does in its own time. Returns false after `patience`, which
/// is far more than that takes.
template <class Condition>
bool run_until(EventLoop& loop, Condition&& done,
               std::chrono::seconds patience = std::chrono::seconds(20)) {
  const TimePoint end = loop.time() + patience;
  while (!done()) {
    if (loop.time() > end) return false;
    loop.poll_events(std::chrono::milliseconds(20));
    loop.collect();
    loop.run_ready();
  }
  return true;
}

}  // namespace rondo
