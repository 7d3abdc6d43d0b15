// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

namespace rondo {

/// `text` as Python's reprlib.repr writes it: in single quotes, escaped, the
/// middle left out beyond 30 characters ('yyyyyyyyyyyy...yyyyyyyyyyyyy').
std::string repr_text(std::string_view text);

/// The same in full length, as Python's repr() itself.
std::string repr_whole_text(std::string_view text);

/// `text` shortened to 30 characters as reprlib does with an object's repr:
/// `<EventLoop ru...e debug=False>`.
std::string repr_shortened(std::string_view text);

namespace detail {

std::string repr_integer(std::int64_t value);
std::string repr_unsigned(std::uint64_t value);
std::string repr_floating(double value);
std::string repr_object(const std::type_info& type, const void* address);

template <class T>
concept HasToString = requires(const T& value) {
  { to_string(value) } -> std::convertible_to<std::string>;
};

}  // namespace detail

/// A short, readable form of an argument, for to_string(handle). Numbers and
/// text as Python's reprlib.repr; an object with a to_string() of its own by
/// that, shortened; a pointer or std::reference_wrapper to such an object
/// likewise; anything else as `<Type object at 0x...>`.
template <class T>
std::string repr(const T& value) {
  if constexpr (std::same_as<T, bool>) {
    return value ? "True" : "False";
  } else if constexpr (std::is_null_pointer_v<T>) {
    return "None";
  } else if constexpr (std::same_as<T, char>) {
    return repr_text(std::string_view(&value, 1));
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    if constexpr (std::is_pointer_v<T>) {
      if (value == nullptr) return "None";
    }
    return repr_text(value);
  } else if constexpr (std::floating_point<T>) {
    return detail::repr_floating(static_cast<double>(value));
  } else if constexpr (std::signed_integral<T>) {
    return detail::repr_integer(value);
  } else if constexpr (std::unsigned_integral<T>) {
    return detail::repr_unsigned(value);
  } else if constexpr (detail::HasToString<T>) {
    return repr_shortened(to_string(value));
  } else if constexpr (std::is_pointer_v<T> &&
                       std::is_object_v<std::remove_pointer_t<T>>) {
    if constexpr (detail::HasToString<std::remove_pointer_t<T>>) {
      return value == nullptr ? "None" : repr(*value);
    } else {
      return repr_shortened(detail::repr_object(typeid(T), value));
    }
  } else if constexpr (requires {
                         typename T::type;
                         value.get();
                       }) {
    return repr(value.get());
  } else {
    return repr_shortened(detail::repr_object(typeid(T), &value));
  }
}

}  // namespace rondo
