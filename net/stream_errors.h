// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace rondo {

/// The stream has ended before all was there that was asked for. asyncio's
/// IncompleteReadError, an EOFError in Python.
class IncompleteReadError : public std::runtime_error {
 public:
  /// `partial` came, of `expected` bytes, or of a number nobody knows.
  IncompleteReadError(std::string partial, std::optional<std::size_t> expected)
      : std::runtime_error(
            std::to_string(partial.size()) + " bytes read on a total of " +
            (expected ? std::to_string(*expected) : std::string("undefined")) +
            " expected bytes"),
        partial_(std::move(partial)),
        expected_(expected) {}
  /// What came. It is not in the reader any more.
  const std::string& partial() const noexcept { return partial_; }
  /// How many bytes were asked for.
  std::optional<std::size_t> expected() const noexcept { return expected_; }

 private:
  std::string partial_;
  std::optional<std::size_t> expected_;
};

/// A separator did not come within the reader's limit. asyncio's
/// LimitOverrunError.
class LimitOverrunError : public std::runtime_error {
 public:
  /// `consumed` bytes have been looked at.
  LimitOverrunError(const std::string& text, std::size_t consumed)
      : std::runtime_error(text), consumed_(consumed) {}
  /// How many bytes of the reader's buffer come before the separator, or do
  /// not have it in them. They are still there.
  std::size_t consumed() const noexcept { return consumed_; }

 private:
  std::size_t consumed_;
};

}  // namespace rondo
