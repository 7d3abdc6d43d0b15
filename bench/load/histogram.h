// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace load {

/// Counts of nanoseconds, from one to nine thousand years, in buckets that
/// are 1/128 of their value wide at most: what it says of a percentile is off
/// by less than 0.4 %. The maximum is exact.
///
/// Below 256 each value has its bucket. Above, the highest eight bits of a
/// value choose it: each doubling has 128 of them.
class Histogram {
 public:
  void add(std::int64_t value_ns) {
    const auto value = static_cast<std::uint64_t>(value_ns < 0 ? 0 : value_ns);
    const std::size_t index = index_of(value);
    if (index >= counts_.size()) counts_.resize(index + 1);
    ++counts_[index];
    ++count_;
    if (value > max_) max_ = value;
  }

  void clear() {
    counts_.clear();
    count_ = 0;
    max_ = 0;
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  /// The least value that `percent` of all are no greater than.
  std::uint64_t percentile(double percent) const {
    const double exact = percent / 100 * static_cast<double>(count_);
    auto rank = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(rank) < exact || rank == 0) ++rank;
    if (rank >= count_) return max_;
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < counts_.size(); ++index) {
      seen += counts_[index];
      if (seen >= rank) return std::min(middle_of(index), max_);
    }
    return max_;
  }

  /// Calls `use(middle, count)` for each bucket that is not empty.
  template <class Use>
  void each(Use use) const {
    for (std::size_t index = 0; index < counts_.size(); ++index) {
      if (counts_[index] > 0) use(middle_of(index), counts_[index]);
    }
  }

 private:
  static constexpr unsigned kBits = 8;
  static constexpr std::size_t kHalf = std::size_t{1} << (kBits - 1);

  static std::size_t index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= kBits) return value;
    const unsigned shift = width - kBits;
    return shift * kHalf + (value >> shift);
  }
  static std::uint64_t middle_of(std::size_t index) {
    if (index < 2 * kHalf) return index;
    const std::size_t shift = index / kHalf - 1;
    const std::uint64_t low = (index - shift * kHalf) << shift;
    return low + ((std::uint64_t{1} << shift) - 1) / 2;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace load
