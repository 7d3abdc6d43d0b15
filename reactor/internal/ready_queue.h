// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "reactor/internal/entry.h"

namespace rondo::detail {

/// First in, first out. asyncio's `_ready`.
///
/// The link lies in the Entry, so pushing never allocates and cannot fail. A
/// cancelled entry stays where it is and is passed over: the count that
/// run_ready() took stays true.
class ReadyQueue {
 public:
  ReadyQueue() noexcept = default;
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  /// The oldest entry; the others follow by `next`.
  const Entry* front() const noexcept { return front_; }

  /// Takes over one reference to `entry`, which is in no queue.
  void push(Entry* entry) noexcept {
    entry->flags |= Entry::kQueued;
    entry->next = nullptr;
    *end_ = entry;
    end_ = &entry->next;
    ++size_;
  }

  /// The oldest entry and the reference to it. Not when empty.
  Entry* pop() noexcept {
    Entry* entry = front_;
    front_ = entry->next;
    if (front_ == nullptr) end_ = &front_;
    --size_;
    entry->flags &= static_cast<std::uint8_t>(~Entry::kQueued);
    return entry;
  }

 private:
  Entry* front_ = nullptr;
  Entry** end_ = &front_;  // where the next one's address goes
  std::size_t size_ = 0;
};

}  // namespace rondo::detail
