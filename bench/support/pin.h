// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>

#include "bench/support/harness.h"

namespace bench {

/// Keeps the calling thread on one processor as long as this lives; threads
/// that it starts meanwhile stay there too. Processors are those that the
/// process may use, counted from zero.
class Pin {
 public:
  explicit Pin(int which) {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &before_) && which-- == 0) CPU_SET(cpu, &one);
    }
    if (CPU_COUNT(&one) == 1) sched_setaffinity(0, sizeof one, &one);
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

}  // namespace bench
