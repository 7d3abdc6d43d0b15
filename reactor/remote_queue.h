// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <vector>

#include "reactor/callback.h"
#include "reactor/internal/mutex.h"
#include "reactor/unique_fd.h"

namespace rondo {

/// The way into a loop from other threads: what call_soon_threadsafe() uses.
///
/// Shared by the loop and whoever calls it, so that a thread that is late
/// finds a closed queue instead of a loop that is gone:
///
///     std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
///     std::thread([remote] { remote->post([] { ... }); });
///
/// A callback posted before close() is accepted and runs in its turn, or is
/// destroyed by close(); one posted after is refused. Nothing is dropped
/// unseen, merged or reordered within a thread. The loop is woken at most
/// once each time it sleeps.
///
/// Threading: post() and the external work counter from any thread; the rest
/// belongs to the loop.
class RemoteQueue {
 public:
  /// A callback and where it was posted.
  struct Item {
    /// Takes both.
    Item(Callback what, std::source_location at) noexcept
        : callback(std::move(what)), where(at) {}
    /// What to run.
    Callback callback;
    /// The post() call.
    std::source_location where;
  };

  /// Throws std::system_error if there is no descriptor to be had.
  explicit RemoteQueue(Kernel& kernel);
  RemoteQueue(const RemoteQueue&) = delete;
  RemoteQueue& operator=(const RemoteQueue&) = delete;
  ~RemoteQueue();

  /// Hands `callback` to the loop and wakes it if it sleeps. Returns false,
  /// and destroys the callback here, if the loop is closed. Throws
  /// std::bad_alloc (in steady state it allocates nothing), and
  /// std::invalid_argument for an empty callback.
  bool post(Callback callback,
            std::source_location where = std::source_location::current());

  /// post() for who wants to try again: `callback` is moved from only if this
  /// returns true.
  bool try_post(Callback& callback,
                std::source_location where = std::source_location::current());

  /// Says that something will be posted later, by a thread that works now:
  /// virtual time stands still until as many end_external_work() calls.
  void begin_external_work() noexcept { external_work_.fetch_add(1); }
  /// See begin_external_work(). The last one out wakes the loop if it sleeps,
  /// so that it looks at external_work() again.
  void end_external_work() noexcept;
  /// How many are out.
  std::size_t external_work() const noexcept { return external_work_.load(); }

  /// Loop: whether take() would find something. One load.
  bool pending() const noexcept {
    return pending_.load(std::memory_order_acquire);
  }
  /// Loop: puts what was posted behind `items`, which is empty.
  void take(std::vector<Item>& items);
  /// Loop: about to sleep. Returns false if it must not, as something was
  /// posted meanwhile, or the external work came to its end.
  bool prepare_sleep() noexcept;
  /// Loop: nobody runs it any more. An outer loop that waits for wake_fd()
  /// hears of what is posted from now on, and of what nobody took.
  void left() noexcept {
    if (!prepare_sleep()) wake();
  }
  /// Loop: back from its sleep, or run again.
  void slept() noexcept { sleeping_.store(false, std::memory_order_relaxed); }
  /// Loop: no more. Puts what was accepted but never taken into `items` and
  /// closes wake_fd(). From then on the kernel is not used any more.
  void close(std::vector<Item>& items) noexcept;
  /// Loop: no more, in a forked child, where mutex_ may be held for ever by a
  /// thread that is not there. Async-signal-safe.
  void abandon() noexcept { closed_.store(true); }
  /// Loop: what close() does, after abandon().
  void close_abandoned() noexcept { wake_fd_.reset(); }

  /// The descriptor that is readable when the loop is to wake up.
  int wake_fd() const noexcept { return wake_fd_.get(); }
  /// Makes wake_fd() readable. Returns whether the kernel did that.
  /// Async-signal-safe. Not after close().
  bool wake() noexcept;
  /// Loop: makes it unreadable again. Before looking at what the wake-up was
  /// for: the other order loses one that comes between the two. Returns
  /// whether the kernel did that.
  bool drain() noexcept;

 private:
  bool is_to_wake() noexcept;
  bool is_first_to_wake() noexcept;
  void wake_and_leave() noexcept;

  Kernel& kernel_;
  UniqueFd wake_fd_;
  detail::Mutex mutex_;
  std::vector<Item> incoming_;       // under mutex_
  std::atomic<bool> closed_{false};  // set under mutex_, or by abandon()
  // pending_ is true while incoming_ holds something that nobody took,
  // work_ended_ from the end of the external work until the loop next means
  // to sleep. Whoever makes one of them true looks at sleeping_; whoever makes
  // sleeping_ true looks at both. All are sequentially consistent, so at least
  // one of the two sees the other (Dekker), and no wake-up is lost.
  //
  // (external_work_ alone would not do: the loop looks at it first, while it
  // is awake, and then lies down, in a wait that nobody ends.)
  std::atomic<bool> pending_{false};
  std::atomic<bool> work_ended_{false};
  std::atomic<bool> sleeping_{true};
  std::atomic<bool> wake_failed_{false};  // the next post() is to try again
  std::atomic<int> wakers_{0};  // threads that are about to write to wake_fd_
  std::atomic<std::size_t> external_work_{0};
};

}  // namespace rondo
