// SPDX-License-Identifier: MIT
#include "reactor/check.h"

#include <cstdio>
#include <cstdlib>

namespace rondo::detail {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "rondo: check failed: %s at %s:%d\n", condition, file,
               line);
  std::abort();
}

}  // namespace rondo::detail
