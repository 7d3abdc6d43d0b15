// SPDX-License-Identifier: MIT
#pragma once

#include <source_location>
#include <string>
#include <string_view>

namespace rondo::detail {

/// `say_hello`, out of what g++ and clang write of a function:
/// `rondo::Coro<int> app::say_hello(int)`. `<lambda>` for a lambda.
std::string source_function_name(std::string_view signature);

/// The name of the function that `where` is in.
inline std::string source_function_name(const std::source_location& where) {
  return source_function_name(std::string_view(where.function_name()));
}

}  // namespace rondo::detail
