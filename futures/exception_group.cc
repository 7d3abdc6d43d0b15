// SPDX-License-Identifier: MIT
#include "futures/exception_group.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "futures/errors.h"
#include "reactor/repr.h"

namespace rondo {

namespace {

std::string count_text(std::size_t count) {
  return " (" + std::to_string(count) + " sub-exception" +
         (count == 1 ? ")" : "s)");
}

}  // namespace

ExceptionGroup::ExceptionGroup(std::string message,
                               std::vector<std::exception_ptr> exceptions)
    : message_(std::move(message)),
      // NOLINTNEXTLINE(bugprone-throw-keyword-missing): a list of them
      exceptions_(std::move(exceptions)),
      what_(message_ + count_text(exceptions_.size())) {
  if (exceptions_.empty() || std::find(exceptions_.begin(), exceptions_.end(),
                                       nullptr) != exceptions_.end()) {
    throw std::invalid_argument(
        "ExceptionGroup: expected a non-empty list of exceptions");
  }
}

std::string to_string(const ExceptionGroup& group) {
  std::string text =
      "ExceptionGroup(" + repr_whole_text(group.message()) + ", [";
  const char* separator = "";
  for (const std::exception_ptr& error : group.exceptions()) {
    text += separator + repr(error);
    separator = ", ";
  }
  return text + "])";
}

}  // namespace rondo
