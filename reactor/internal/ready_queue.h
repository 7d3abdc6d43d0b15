// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "reactor/internal/entry.h"

namespace rondo::detail {

/// First in, first out. asyncio's `_ready`.
///
/// The link lies in the Entry, so pushing never allocates and cannot fail. A
/// cancelled entry stays where it is, and the loop passes it over.
class ReadyQueue {
 public:
  ReadyQueue() noexcept = default;
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;

  bool empty() const noexcept { return front_ == nullptr; }
  /// The oldest entry; the others follow by `next`. Null when empty.
  Entry* front() const noexcept { return front_; }
  /// The newest entry. Not when empty.
  Entry* back() const noexcept { return back_; }

  /// Takes over one reference to `entry`, which is in no queue and is marked
  /// as queued by the caller.
  void push(Entry* entry) noexcept {
    entry->next = nullptr;
    // back_ is an entry whenever front_ is, which the analyzer cannot know.
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    (front_ == nullptr ? front_ : back_->next) = entry;
    back_ = entry;
  }

  /// Takes `entry`, which is in this queue, out of its place, with the
  /// reference to it. Walks the queue: for rare cases.
  void remove(const Entry* entry) noexcept {
    Entry* before = nullptr;
    Entry** link = &front_;
    while (*link != entry) {
      before = *link;
      link = &before->next;
    }
    *link = entry->next;
    if (back_ == entry) back_ = before;
  }

  /// The oldest entry and the reference to it. Not when empty.
  Entry* pop() noexcept {
    Entry* entry = front_;
    front_ = entry->next;
    return entry;
  }

 private:
  Entry* front_ = nullptr;
  Entry* back_ = nullptr;  // stale when empty
};

/// Marks `entry` as queued and pushes it, with a reference of its own.
inline void enqueue(ReadyQueue& queue, Entry* entry) noexcept {
  add_reference(entry);
  entry->set(Entry::kQueued);
  queue.push(entry);
}

}  // namespace rondo::detail
