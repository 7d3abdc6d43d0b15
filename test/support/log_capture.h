// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace rondo {

/// Catches what the library logs while it lives; nothing is printed then.
///
///     LogCapture captured;
///     loop.close();
///     EXPECT_EQ(captured.lines(), Lines{"warning: unclosed ..."});
///
/// Threading: lines may come from any thread; the rest belongs to the test's.
class LogCapture {
 public:
  /// From now on.
  LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  /// The log goes where it went before.
  ~LogCapture();

  /// Each message so far, with its level in front: "error: no route". A
  /// message of several lines is one string.
  std::vector<std::string> lines() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rondo
