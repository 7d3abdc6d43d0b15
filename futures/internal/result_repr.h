// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/repr.h"

namespace rondo::detail {

/// How many elements of a list are shown: reprlib's maxlist.
inline constexpr std::size_t kListShown = 6;

template <class T>
std::string repr_result(const T& value);

/// A list's text, an element at a time.
class ListRepr {
 public:
  template <class T>
  void add(const T& element) {
    if (count_++ < kListShown) {
      text_ += (count_ > 1 ? ", " : "") + repr_result(element);
    }
  }
  std::string text() const {
    return "[" + text_ + (count_ > kListShown ? ", ...]" : "]");
  }

 private:
  std::string text_;
  std::size_t count_ = 0;
};

template <class T>
std::string repr_elements(const std::vector<T>& elements) {
  ListRepr list;
  for (const T& element : elements) list.add(element);
  return list.text();
}
template <class... T>
std::string repr_elements(const std::tuple<T...>& elements) {
  ListRepr list;
  std::apply([&](const T&... element) { (list.add(element), ...); }, elements);
  return list.text();
}

/// repr() of what a future gives: also of the lists that gather() makes.
template <class T>
std::string repr_result(const T& value) {
  if constexpr (requires { repr_elements(value); }) {
    return repr_elements(value);
  } else {
    return repr(value);
  }
}

}  // namespace rondo::detail
