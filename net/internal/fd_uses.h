// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace rondo::detail {

/// What a descriptor is used for on a loop.
enum class FdUse : std::uint8_t { kTransport = 1, kReading = 2, kWriting = 4 };

/// The uses of all descriptors of a loop. EventLoop::add_reader() replaces
/// silently; who has a descriptor to himself says so here, and others look.
class FdUses {
 public:
  bool has(int fd, FdUse use) const noexcept {
    const auto slot = static_cast<std::size_t>(fd);
    return fd >= 0 && slot < uses_.size() && (uses_[slot] & bit(use)) != 0;
  }

  /// From now on `fd`, a descriptor, is used so. May be said again.
  void add(int fd, FdUse use) {
    const auto slot = static_cast<std::size_t>(fd);
    if (slot >= uses_.size()) uses_.resize(slot + 1);
    uses_[slot] |= bit(use);
  }
  /// It is not, any more. add() has been called before.
  void remove(int fd, FdUse use) noexcept {
    std::uint8_t& bits = uses_[static_cast<std::size_t>(fd)];
    bits = static_cast<std::uint8_t>(bits & ~bit(use));
  }

  /// One use of one descriptor, until it is dropped. Not beyond the loop.
  class Claim {
   public:
    Claim() noexcept = default;
    /// `fd` is a descriptor.
    Claim(FdUses& uses, int fd, FdUse use) : uses_(&uses), fd_(fd), use_(use) {
      uses.add(fd, use);
    }
    Claim(Claim&& other) noexcept
        : uses_(std::exchange(other.uses_, nullptr)),
          fd_(other.fd_),
          use_(other.use_) {}
    Claim& operator=(Claim&& other) noexcept {
      drop();
      uses_ = std::exchange(other.uses_, nullptr);
      fd_ = other.fd_;
      use_ = other.use_;
      return *this;
    }
    ~Claim() { drop(); }

    void drop() noexcept {
      if (FdUses* const uses = std::exchange(uses_, nullptr)) {
        uses->remove(fd_, use_);
      }
    }

   private:
    FdUses* uses_ = nullptr;
    int fd_ = -1;
    FdUse use_ = FdUse::kTransport;
  };

 private:
  static std::uint8_t bit(FdUse use) noexcept {
    return static_cast<std::uint8_t>(use);
  }

  std::vector<std::uint8_t> uses_;  // by descriptor
};

}  // namespace rondo::detail
