// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

namespace rondo::test {

/// `text` with a `*` for each address: `id=0x1039f0fe0` becomes `id=*`.
inline std::string scrubbed(std::string text) {
  for (std::size_t at = text.find("0x"); at != std::string::npos;
       at = text.find("0x", at + 1)) {
    const std::size_t end = text.find_first_not_of("0123456789abcdef", at + 2);
    text.replace(at, end == std::string::npos ? end : end - at, "*");
  }
  return text;
}

}  // namespace rondo::test
