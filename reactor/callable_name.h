// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <type_traits>
#include <typeinfo>

namespace rondo {

/// The demangled name of a type: `app::Session`.
std::string type_name(const std::type_info& type);

/// The name of the function at `address`, without its parameters:
/// `app::on_readable`. Found in the symbol tables of the program and its
/// libraries, static functions included; a stripped program gives
/// `<function at 0x...>`. Slow (it reads the program's file) and cached: for
/// messages.
std::string function_name(const void* address);

/// The name of a function object's type: a class's own name, and
/// `main::<lambda>` for a lambda in main().
std::string function_object_name(const std::type_info& type);

/// What to call `callable` in a message. A function pointer gives the
/// function's name, an object its type's.
template <class F>
std::string callable_name(const F& callable) {
  if constexpr (std::is_pointer_v<F> &&
                std::is_function_v<std::remove_pointer_t<F>>) {
    return function_name(reinterpret_cast<const void*>(callable));
  } else {
    return function_object_name(typeid(callable));
  }
}

}  // namespace rondo
