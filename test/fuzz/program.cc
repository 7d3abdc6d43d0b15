// SPDX-License-Identifier: MIT
#include "test/fuzz/program.h"

#include <cstddef>
#include <sstream>
#include <string_view>
#include <utility>

#include "test/fuzz/operations.h"

namespace rondo::fuzz {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& lines) : lines_(lines) {}

  Program program() {
    Program program;
    while (!at_end()) {
      std::vector<std::string> words = split(lines_[at_++]);
      const std::string kind = words[0];
      if (kind == "main") {
        program.bodies["main"] = block(2);
      } else if (kind == "body") {
        program.bodies[words.at(1)] = block(2);
      } else if (kind == "callback") {
        program.callbacks[words.at(1)] = block(2);
      } else {
        program.declarations.push_back(std::move(words));
      }
    }
    return program;
  }

 private:
  bool at_end() const { return at_ == lines_.size(); }
  std::size_t depth() const { return lines_[at_].find_first_not_of(' '); }
  std::string_view text() const {
    return std::string_view(lines_[at_]).substr(depth());
  }
  bool at_clause() const {
    return text() == "finally" || text().starts_with("except ");
  }

  Block block(std::size_t depth_min) {
    Block block;
    while (!at_end() && depth() >= depth_min && !at_clause()) {
      block.push_back(line(depth_min));
    }
    return block;
  }

  Line line(std::size_t depth_min) {
    std::vector<std::string> words = split(lines_[at_]);
    Line line(find_operation(words[0]));
    line.text = text();
    line.words = std::move(words);
    ++at_;
    if (line.operation.kind != Operation::Kind::kBlock) return line;
    line.block = block(depth_min + 2);
    if (line.text != "try") return line;
    while (!at_end() && depth() == depth_min && at_clause()) {
      Line::Clause clause;
      clause.kind = clause_kind(text());
      ++at_;
      clause.block = block(depth_min + 2);
      line.clauses.push_back(std::move(clause));
    }
    return line;
  }

  static Line::Clause::Kind clause_kind(std::string_view text) {
    if (text == "finally") return Line::Clause::Kind::kFinally;
    if (text == "except cancelled") return Line::Clause::Kind::kCancelled;
    if (text == "except error") return Line::Clause::Kind::kError;
    return Line::Clause::Kind::kAll;
  }

  const std::vector<std::string>& lines_;
  std::size_t at_ = 0;
};

}  // namespace

Program parse(const std::vector<std::string>& lines) {
  return Parser(lines).program();
}

}  // namespace rondo::fuzz
