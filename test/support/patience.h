// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "reactor/event_loop.h"

namespace rondo::test {

/// run_forever() for a test that waits for other threads: it fails instead of
/// hanging when nobody stops the loop. The patience is far more than it takes.
inline void run_patiently(
    EventLoop& loop, std::chrono::seconds patience = std::chrono::minutes(2)) {
  const ScopedHandle alarm(loop.call_later(patience, [&] {
    ADD_FAILURE() << "nobody has stopped the loop for " << patience.count()
                  << " s";
    loop.stop();
  }));
  loop.run_forever();
}

}  // namespace rondo::test
