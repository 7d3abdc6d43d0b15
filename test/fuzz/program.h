// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace rondo::fuzz {

struct Operation;  // operations.h

/// A line of a block, with what is indented below it.
struct Line {
  /// except or finally.
  struct Clause {
    enum class Kind { kCancelled, kError, kAll, kFinally };

    Kind kind = Kind::kAll;
    std::vector<Line> block;
  };

  explicit Line(const Operation& op) : operation(op) {}

  const Operation& operation;
  std::string text;                // as it stands in the trace
  std::vector<std::string> words;  // the operation's own word first
  std::vector<Line> block;
  std::vector<Clause> clauses;  // of a try
};

using Block = std::vector<Line>;

/// A program of the language that README.md describes.
struct Program {
  std::vector<std::vector<std::string>> declarations;
  std::map<std::string, Block> bodies;
  std::map<std::string, Block> callbacks;
};

/// A program that is none.
class BadProgram : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws BadProgram.
Program parse(const std::vector<std::string>& lines);

}  // namespace rondo::fuzz
