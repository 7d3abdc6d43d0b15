// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// The methods of Python's str that twins use.

namespace python {

/// text.split(' ', most): what is left then stays together.
inline std::vector<std::string> split(std::string_view text, int most = -1) {
  std::vector<std::string> parts;
  std::size_t space;
  while (most-- != 0 && (space = text.find(' ')) != std::string_view::npos) {
    parts.emplace_back(text.substr(0, space));
    text.remove_prefix(space + 1);
  }
  parts.emplace_back(text);
  return parts;
}

/// ' '.join(parts); print(*parts) prints the same.
inline std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : " ") + part;
  }
  return text;
}

}  // namespace python
