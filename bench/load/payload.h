// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace load {

/// What is sent: for each connection a stream of bytes without end, made of
/// one ring of pseudo-random bytes that each begins at another place. Its
/// length is a prime, so a byte that comes back too early, too late, twice or
/// on another connection is another byte.
class Payload {
 public:
  /// How many bytes of a stream lie in one piece, at least.
  static constexpr std::size_t kPiece = 256 * 1024;

  Payload() : ring_(kPeriod + kPiece) {
    std::uint64_t state = 1;
    for (std::size_t n = 0; n < kPeriod; ++n) {
      ring_[n] = static_cast<char>(next(state));
    }
    std::copy_n(ring_.begin(), kPiece, ring_.begin() + kPeriod);
  }

  /// The stream of `connection` from `position` on: at most kPiece bytes.
  std::string_view piece(std::size_t connection, std::uint64_t position,
                         std::size_t size) const {
    std::uint64_t state = connection;
    const std::uint64_t begin = next(state) % kPeriod;
    return {&ring_[(begin + position) % kPeriod], std::min(size, kPiece)};
  }

  /// How many of `data` are those that belong there.
  std::size_t matching(std::size_t connection, std::uint64_t position,
                       std::string_view data) const {
    const std::string_view wanted = piece(connection, position, data.size());
    if (std::memcmp(wanted.data(), data.data(), data.size()) == 0) {
      return data.size();
    }
    return static_cast<std::size_t>(
        std::mismatch(data.begin(), data.end(), wanted.begin()).first -
        data.begin());
  }

 private:
  static constexpr std::size_t kPeriod = 262'139;  // a prime

  /// SplitMix64.
  static std::uint64_t next(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  std::vector<char> ring_;
};

}  // namespace load
