// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // brings std::begin and std::end at no cost of its own
#include <type_traits>
#include <utility>

namespace rondo::detail {

/// What a range holds. <ranges> would say it too, for a tenth of a second of
/// each user's compilation.
template <class R>
using RangeValue =
    std::decay_t<decltype(*std::begin(std::declval<std::decay_t<R>&>()))>;

/// What a for loop can go through.
template <class R>
concept Range = requires(R& range) {
  std::begin(range) != std::end(range);
  typename RangeValue<R>;
};

}  // namespace rondo::detail
