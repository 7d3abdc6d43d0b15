// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace rondo::detail {

// What a queue keeps its items in, and so the order in which they come out.
// Each has
//
//   put(item)         adds one; if it throws, nothing has changed
//   take(into)        moves the next one into an optional; the same
//   for_each(visit)   in the order of Python's list(self._queue)
//   take_all()        moves them all out
//   kName             the queue's name

/// First in, first out: a ring that grows, and so allocates nothing once it is
/// as large as it gets.
template <class T>
class FifoItems {
 public:
  static constexpr const char* kName = "Queue";

  FifoItems() noexcept = default;
  FifoItems(FifoItems&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)),
        first_(std::exchange(other.first_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  FifoItems& operator=(FifoItems&&) = delete;
  ~FifoItems() {
    for (; size_ > 0; --size_) std::destroy_at(slots_ + first_slot_and_step());
    if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
  }

  template <class Item>
  void put(Item&& item) {
    if (size_ == capacity_) {
      grow(std::forward<Item>(item));
    } else {
      std::construct_at(slots_ + slot(size_), std::forward<Item>(item));
    }
    ++size_;
  }
  void take(std::optional<T>& into) {
    T& item = slots_[first_];
    into.emplace(std::move(item));
    std::destroy_at(&item);
    first_slot_and_step();
    --size_;
  }
  FifoItems take_all() noexcept { return FifoItems(std::move(*this)); }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < size_; ++i) visit(slots_[slot(i)]);
  }

 private:
  // The capacity is a power of two.
  std::size_t slot(std::size_t i) const noexcept {
    return (first_ + i) & (capacity_ - 1);
  }
  std::size_t first_slot_and_step() noexcept {
    return std::exchange(first_, slot(1));
  }

  template <class Item>
  void grow(Item&& item) {
    const std::size_t capacity = capacity_ == 0 ? 8 : 2 * capacity_;
    T* const slots = std::allocator<T>().allocate(capacity);
    std::size_t made = 0;
    try {
      // The new one first: it may throw while the old ones are in place.
      std::construct_at(slots + size_, std::forward<Item>(item));
      try {
        for (; made < size_; ++made) {
          std::construct_at(slots + made,
                            std::move_if_noexcept(slots_[slot(made)]));
        }
      } catch (...) {
        std::destroy_n(slots, made);
        std::destroy_at(slots + size_);
        throw;
      }
    } catch (...) {
      std::allocator<T>().deallocate(slots, capacity);
      throw;
    }
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(slots_ + slot(i));
    if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
    slots_ = slots;
    capacity_ = capacity;
    first_ = 0;
  }

  T* slots_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Last in, first out.
template <class T>
class LifoItems {
 public:
  static constexpr const char* kName = "LifoQueue";

  template <class Item>
  void put(Item&& item) {
    items_.push_back(std::forward<Item>(item));
  }
  void take(std::optional<T>& into) {
    into.emplace(std::move(items_.back()));
    items_.pop_back();
  }
  std::vector<T> take_all() noexcept { return std::exchange(items_, {}); }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const T& item : items_) visit(item);
  }

 private:
  std::vector<T> items_;
};

/// Smallest first: a binary heap, moved exactly as Python's heapq does it, so
/// that equal items come out in the same order too. Where `less` is called
/// nothing has moved yet, so it may throw.
template <class T, class Less>
class SortedItems {
 public:
  static constexpr const char* kName = "PriorityQueue";

  explicit SortedItems(Less less) : less_(std::move(less)) {}

  /// heapq.heappush().
  template <class Item>
  void put(Item&& item) {
    std::size_t to = heap_.size();
    while (to > 0 && less_(std::as_const(item), heap_[parent(to)])) {
      to = parent(to);
    }
    heap_.push_back(std::forward<Item>(item));
    for (std::size_t at = heap_.size() - 1; at != to; at = parent(at)) {
      std::swap(heap_[at], heap_[parent(at)]);
    }
  }

  /// heapq.heappop(): the smaller child moves up, level by level down to a
  /// leaf; then the last item is put there, and moves up as in a push.
  void take(std::optional<T>& into) {
    const std::size_t size = heap_.size() - 1;  // afterwards
    const T& last = heap_[size];
    std::size_t leaf = 0;
    for (std::size_t child = 1; child < size; child = 2 * leaf + 1) {
      const std::size_t right = child + 1;
      if (right < size && !less_(heap_[child], heap_[right])) child = right;
      leaf = child;
    }
    // In the end heap_[leaf], or one above it, is where `last` goes; the items
    // on the way from the root to there move up by one.
    std::size_t to = leaf;
    while (to > 0 && less_(last, heap_[to])) to = parent(to);
    into.emplace(std::move(heap_.front()));
    const int levels = depth(to);
    for (int level = 0; level < levels; ++level) {
      heap_[ancestor(to, levels - level)] =
          std::move(heap_[ancestor(to, levels - level - 1)]);
    }
    if (size > 0) heap_[to] = std::move(heap_.back());
    heap_.pop_back();
  }
  std::vector<T> take_all() noexcept { return std::exchange(heap_, {}); }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const T& item : heap_) visit(item);
  }

 private:
  static std::size_t parent(std::size_t at) noexcept { return (at - 1) / 2; }
  static std::size_t ancestor(std::size_t at, int generations) noexcept {
    return ((at + 1) >> generations) - 1;
  }
  static int depth(std::size_t at) noexcept {
    return static_cast<int>(std::bit_width(at + 1)) - 1;
  }

  std::vector<T> heap_;
  [[no_unique_address]] Less less_;
};

}  // namespace rondo::detail
