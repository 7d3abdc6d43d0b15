// SPDX-License-Identifier: MIT
#include "reactor/exception_context.h"

#include <algorithm>

#include "reactor/errors.h"

namespace rondo {

std::vector<std::string> ExceptionContext::keys() const {
  std::vector<std::string> names;
  if (exception) names.push_back("exception");
  if (handle) names.push_back("handle");
  if (!message.empty()) names.push_back("message");
  for (const auto& [key, text] : extra) names.push_back(key);
  std::sort(names.begin(), names.end());
  return names;
}

std::string to_string(const ExceptionContext& context) {
  auto lines = context.extra;
  if (context.handle) lines.emplace_back("handle", to_string(context.handle));
  std::sort(lines.begin(), lines.end());
  std::string text = context.message.empty()
                         ? "Unhandled exception in event loop"
                         : context.message;
  for (const auto& [key, value] : lines) {
    text += "\n";
    text += key;
    text += ": ";
    text += value;
  }
  if (context.exception) text += "\n" + describe(context.exception);
  return text;
}

}  // namespace rondo
