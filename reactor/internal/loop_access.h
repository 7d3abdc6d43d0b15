// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <source_location>
#include <utility>

#include "reactor/event_loop.h"

namespace rondo::detail {

/// What the layer above works with: its own callbacks in the
/// loop's ready queue, made beforehand so that queueing them cannot fail, and
/// a place to keep what belongs to a loop.
struct LoopAccess {
  /// Throws RuntimeError if the loop is closed, forked or another thread's.
  static void check_usable(const EventLoop& loop) { loop.check_usable(); }

  /// An entry that holds `callable`, in no queue yet, with one reference: the
  /// caller's. It is not bound to the current context. Throws std::bad_alloc,
  /// and what moving `callable` throws.
  template <class F>
  static Entry* make_entry(EventLoop& loop, F&& callable,
                           std::source_location where) {
    Entry* entry = loop.entries_->allocate();
    try {
      entry->callback.emplace(std::forward<F>(callable));
    } catch (...) {
      loop.entries_->release(entry);
      throw;
    }
    entry->where = where;
    entry->references = 1;
    entry->flags = 0;
    return entry;
  }

  /// Queues `entry` for the next pass, and takes the caller's reference.
  static void push(EventLoop& loop, Entry* entry) noexcept {
    entry->set(Entry::kQueued);
    loop.ready_.push(entry);
  }

  /// Calls `end` when the callbacks of this pass have run, or those of the
  /// next one if none are running.
  static void at_pass_end(EventLoop& loop, PassEnd& end) noexcept {
    loop.pass_ends_.push(end);
  }

  /// The kernel that this loop was given.
  static Kernel& kernel(EventLoop& loop) noexcept { return loop.kernel_; }

  /// What the layer above keeps with this loop, or null.
  static LoopExtension* extension(const EventLoop& loop) noexcept {
    return loop.extension_.get();
  }
  /// Keeps `extension` until the loop ends.
  static void set_extension(EventLoop& loop,
                            std::unique_ptr<LoopExtension> extension) noexcept {
    loop.extension_ = std::move(extension);
  }

  /// A handle on `entry`.
  static Handle handle(Entry* entry) noexcept { return Handle(entry); }
  /// The entry that `handle` means, or null.
  static Entry* entry(const Handle& handle) noexcept { return handle.entry_; }
};

}  // namespace rondo::detail
