// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// An integer without limit: of Python's int, what a command server needs.
/// Kept in decimal, nine digits to a limb, since all that it does beside sums
/// and products is to be read and printed.
class BigInteger {
 public:
  /// Zero.
  BigInteger() = default;
  /// `digits`: ASCII digits only, at least one.
  BigInteger(std::string_view digits, bool negative) : negative_(negative) {
    while (!digits.empty()) {
      const std::size_t size = std::min<std::size_t>(digits.size(), 9);
      std::uint32_t limb = 0;
      for (const char digit : digits.substr(digits.size() - size)) {
        limb = limb * 10 + static_cast<std::uint32_t>(digit - '0');
      }
      limbs_.push_back(limb);
      digits.remove_suffix(size);
    }
    trim();
  }

  /// To its sum with `other`.
  BigInteger& operator+=(const BigInteger& other) {
    if (negative_ == other.negative_) {
      add(limbs_, other.limbs_);
    } else if (!is_less(limbs_, other.limbs_)) {
      subtract(limbs_, other.limbs_);
    } else {
      std::vector<std::uint32_t> larger = other.limbs_;
      subtract(larger, limbs_);
      limbs_ = std::move(larger);
      negative_ = other.negative_;
    }
    trim();
    return *this;
  }

  /// To its product with `other`: digit by digit, as on paper.
  BigInteger& operator*=(const BigInteger& other) {
    std::vector<std::uint32_t> product(limbs_.size() + other.limbs_.size());
    for (std::size_t i = 0; i < limbs_.size(); ++i) {
      std::uint64_t carry = 0;
      for (std::size_t k = 0; k < other.limbs_.size() || carry != 0; ++k) {
        carry += product[i + k];
        if (k < other.limbs_.size()) {
          carry += std::uint64_t{limbs_[i]} * other.limbs_[k];
        }
        product[i + k] = static_cast<std::uint32_t>(carry % kBase);
        carry /= kBase;
      }
    }
    limbs_ = std::move(product);
    negative_ = negative_ != other.negative_;
    trim();
    return *this;
  }

  /// In decimal.
  friend std::string to_string(const BigInteger& number) {
    if (number.limbs_.empty()) return "0";
    std::string text = number.negative_ ? "-" : "";
    text += std::to_string(number.limbs_.back());
    for (std::size_t i = number.limbs_.size() - 1; i-- > 0;) {
      const std::string limb = std::to_string(number.limbs_[i]);
      text.append(9 - limb.size(), '0').append(limb);
    }
    return text;
  }

 private:
  static constexpr std::uint32_t kBase = 1'000'000'000;
  using Limbs = std::vector<std::uint32_t>;

  static bool is_less(const Limbs& a, const Limbs& b) {
    if (a.size() != b.size()) return a.size() < b.size();
    return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(),
                                        b.rend());
  }

  static void add(Limbs& a, const Limbs& b) {
    a.resize(std::max(a.size(), b.size()) + 1);
    std::uint32_t carry = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      carry += a[i] + (i < b.size() ? b[i] : 0);
      a[i] = carry % kBase;
      carry /= kBase;
    }
  }

  static void subtract(Limbs& a, const Limbs& b) {  // a >= b
    std::uint32_t borrow = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::uint32_t take = borrow + (i < b.size() ? b[i] : 0);
      borrow = a[i] < take ? 1 : 0;
      a[i] += borrow * kBase;
      a[i] -= take;
    }
  }

  void trim() {
    while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
    if (limbs_.empty()) negative_ = false;
  }

  Limbs limbs_;  // the last nine digits first; none for zero
  bool negative_ = false;
};
