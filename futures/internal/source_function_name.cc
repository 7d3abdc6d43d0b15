// SPDX-License-Identifier: MIT
#include "futures/internal/source_function_name.h"

#include <cstddef>

namespace rondo::detail {

namespace {

/// The index behind the parenthesis that closes the one at `open`.
std::size_t behind_parenthesis(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == '(') ++depth;
    if (text[at] == ')' && --depth == 0) return at + 1;
  }
  return text.size();
}

bool is_lambda(std::string_view name) {
  // "main()::<lambda()>" (g++), "auto main()::(anonymous class)::operator()()
  // const" (clang)
  return name.starts_with("<lambda") || name.starts_with("(anonymous class)");
}

}  // namespace

std::string source_function_name(std::string_view signature) {
  // What a template was made for.
  signature = signature.substr(0, signature.find(" [with "));
  // The last part of the qualified name in front of the parameters, and the
  // one before it.
  std::string_view scope;
  std::size_t begin = 0;
  std::size_t at = 0;
  int angles = 0;
  while (at < signature.size()) {
    const std::string_view rest = signature.substr(at);
    if (rest.starts_with('<')) {
      ++angles;
    } else if (rest.starts_with('>')) {
      --angles;
    } else if (angles > 0) {
      // An argument of a template.
    } else if (rest.starts_with("(anonymous")) {
      at = behind_parenthesis(signature, at);
      continue;
    } else if (rest.starts_with("operator()")) {
      at += std::string_view("operator()").size();
      continue;
    } else if (rest.starts_with('(')) {
      // The parameters: of the function that this one is inside of, or its own.
      const std::size_t end = behind_parenthesis(signature, at);
      const std::string_view behind = signature.substr(end);
      if (!behind.starts_with("::") && !behind.starts_with(" const::")) break;
      at = end;
      continue;
    } else if (rest.starts_with("::")) {
      scope = signature.substr(begin, at - begin);
      begin = at += 2;
      continue;
    } else if (rest.find_first_of(" *&") == 0) {
      scope = {};  // what came so far was the result's type
      begin = at + 1;
    }
    ++at;
  }
  const std::string_view name = signature.substr(begin, at - begin);
  if (is_lambda(name) || (name == "operator()" && is_lambda(scope))) {
    return "<lambda>";
  }
  return std::string(name);
}

}  // namespace rondo::detail
