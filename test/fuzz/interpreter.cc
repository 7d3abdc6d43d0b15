// SPDX-License-Identifier: MIT
//
// interpreter: runs programs over futures/.
//
// Reads programs of the language that README.md describes from stdin and
// writes what they did to stdout. The time is virtual.
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "test/fuzz/operations.h"
#include "test/fuzz/program.h"
#include "test/fuzz/world.h"

namespace rondo::fuzz {

const Operation& find_operation(std::string_view word) {
  static const Operation kReturn;
  if (word == "return") return kReturn;
  const Operation* found = find_sync_operation(word);
  if (found == nullptr) found = find_async_operation(word);
  if (found == nullptr) found = find_block(word);
  if (found == nullptr) {
    throw BadProgram("no such operation: " + std::string(word));
  }
  return *found;
}

namespace {

std::string run_program(const std::vector<std::string>& lines) {
  try {
    const Program program = parse(lines);
    World world(program);
    world.run();
    return world.trace();
  } catch (const BadProgram& bad) {
    return std::string("bad program: ") + bad.what() + "\n";
  }
}

void run_all() {
  std::string head;
  std::vector<std::string> lines;
  const auto finish = [&] {
    if (head.empty()) return;
    std::cout << head << '\n' << run_program(lines);
  };
  for (std::string line; std::getline(std::cin, line);) {
    if (line.starts_with("===")) {
      finish();
      head = line;
      lines.clear();
      if (line == "===") {  // the end of a batch
        head.clear();
        std::cout << "===\n" << std::flush;
      }
      continue;
    }
    const std::size_t depth = line.find_first_not_of(' ');
    if (depth != std::string::npos && line[depth] != '#') lines.push_back(line);
  }
  finish();
}

}  // namespace
}  // namespace rondo::fuzz

int main() {
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  rondo::fuzz::run_all();
}
