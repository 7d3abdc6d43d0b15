// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/operation.h"
#include "futures/sync/event.h"
#include "futures/sync/internal/items.h"
#include "futures/sync/internal/waiter.h"
#include "reactor/repr.h"

namespace rondo {

/// get_nowait() on a queue that is empty.
class QueueEmpty : public std::runtime_error {
 public:
  /// Without a text, as asyncio throws it.
  QueueEmpty() : std::runtime_error("") {}
};

/// put_nowait() on a queue that is full.
class QueueFull : public std::runtime_error {
 public:
  /// Without a text, as asyncio throws it.
  QueueFull() : std::runtime_error("") {}
};

/// A put() into a queue that was shut down, or a get() from one that is empty
/// besides.
class QueueShutDown : public std::runtime_error {
 public:
  /// Without a text, as asyncio throws it.
  QueueShutDown() : std::runtime_error("") {}
};

/// What a queue is, whatever its items: how many there are, and who waits.
class AnyQueue {
 public:
  class Join;

  AnyQueue(const AnyQueue&) = delete;
  AnyQueue& operator=(const AnyQueue&) = delete;
  virtual ~AnyQueue() = default;

  /// How many items are in it.
  std::size_t qsize() const noexcept { return size_; }
  /// How many fit; 0 or less: any number.
  std::ptrdiff_t maxsize() const noexcept { return maxsize_; }
  /// Whether there is no item.
  bool empty() const noexcept { return size_ == 0; }
  /// Whether no more fit.
  bool full() const noexcept {
    return maxsize_ > 0 && size_ >= static_cast<std::size_t>(maxsize_);
  }

  /// Says that the work on an item that was got is done, see join(). Throws
  /// std::invalid_argument("task_done() called too many times").
  void task_done();
  /// Waits until each item that was put has been got and task_done() called
  /// for it. A cancel loses nothing.
  Join join() noexcept;

  /// `<Queue at 0x7f5c1e3a2b10 maxsize=2 _queue=[0, 1] _putters[2] tasks=2>`,
  /// as asyncio's repr; an item by its repr().
  friend std::string to_string(const AnyQueue& queue) {
    return queue.description();
  }

 protected:
  AnyQueue(const char* name, std::ptrdiff_t maxsize)
      : maxsize_(maxsize), woken_(name), getters_(name), putters_(name) {
    finished_.set();
  }

  /// Whether get() has to wait (again), as `waiter`. Throws what get() throws.
  bool wait_for_item(Resumption& resumption, detail::Waiter& waiter);
  /// The same for put().
  bool wait_for_room(Resumption& resumption, detail::Waiter& waiter);
  /// A get() that waits is destroyed.
  void leave_getters(detail::Waiter& waiter) noexcept;
  /// The same for put().
  void leave_putters(detail::Waiter& waiter) noexcept;

  /// Throws what put_nowait() throws.
  void check_put() const;
  /// Throws what get_nowait() throws.
  void check_get() const;
  /// One item more, or less.
  void count_put();
  void count_get();
  /// shutdown() after `dropped` items were dropped.
  void close_doors(std::size_t dropped);
  /// The text of to_string().
  virtual std::string description() const = 0;
  /// The same, of the class's name and the items' texts.
  std::string describe(const char* name, const std::string& items) const;

 private:
  void arrive(Resumption& resumption, detail::Waiter& waiter,
              detail::WaiterList& line, bool others_may_go_on);
  void leave(detail::Waiter& waiter, detail::WaiterList& line,
             bool others_may_go_on);
  void wake_up_next(detail::WaiterList& line);

  const std::ptrdiff_t maxsize_;
  std::size_t size_ = 0;
  std::size_t unfinished_ = 0;
  bool is_shut_down_ = false;
  Event finished_;  // set while unfinished_ is 0
  detail::LoopBinding binding_;
  detail::WaiterList woken_;  // have left the two lines, but not run
  detail::WaiterList getters_;
  detail::WaiterList putters_;
};

/// What AnyQueue::join() gives.
class [[nodiscard]] AnyQueue::Join : public Operation<AnyQueue::Join, void> {
 public:
  /// For AnyQueue::join().
  explicit Join(AnyQueue& queue) noexcept : wait_(queue.finished_) {}

  /// See TaskBody.
  Step step(Resumption& resumption) { return wait_.step(resumption); }
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Queue.join";

 private:
  Event::Wait wait_;
};

inline AnyQueue::Join AnyQueue::join() noexcept { return Join(*this); }

/// What Queue, LifoQueue and PriorityQueue have in common: items that tasks
/// put in and get out. See Queue.
template <class T, class Items>
class BasicQueue : public AnyQueue {
 public:
  class Get;
  class Put;
  /// What is in it.
  using value_type = T;

  /// Takes out the next item; waits until there is one.
  ///
  /// A cancel loses no item: the next in line gets it. Throws QueueShutDown if
  /// there is none and none will come.
  Get get() noexcept { return Get(*this); }
  /// Puts `item` in; waits until there is room.
  ///
  /// A cancel, or an error, destroys the item with the operation, and loses no
  /// room: the next in line gets it. Throws QueueShutDown.
  Put put(T item) { return Put(*this, std::move(item)); }

  /// Takes out the next item. Throws QueueEmpty, or QueueShutDown.
  T get_nowait() {
    std::optional<T> item;
    take(item);
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): take() filled it
    return std::move(*item);
  }
  /// Puts `item` in. Throws QueueFull, or QueueShutDown; then the item is
  /// where it was.
  void put_nowait(T&& item) { add(std::move(item)); }
  /// The same with a copy.
  void put_nowait(const T& item)
    requires std::copy_constructible<T>
  {
    add(item);
  }

  /// From now on put() throws QueueShutDown, and get() does when the queue is
  /// empty; those who wait are woken. `immediate`: drops the items, as if they
  /// were got and done with. Calling it again is allowed. CPython 3.13.
  void shutdown(bool immediate = false) {
    if (!immediate) return close_doors(0);
    // Their destructors run when the queue is in order again.
    const auto dropped = items_.take_all();
    close_doors(qsize());
  }

 protected:
  BasicQueue(std::ptrdiff_t maxsize, Items items)
      : AnyQueue(Items::kName, maxsize), items_(std::move(items)) {}
  std::string description() const override {
    std::string items;
    items_.for_each([&](const T& item) {
      items += (items.empty() ? "" : ", ") + repr(item);
    });
    return describe(Items::kName, items);
  }

 private:
  template <class Item>
  void add(Item&& item) {
    check_put();
    items_.put(std::forward<Item>(item));
    count_put();
  }
  void take(std::optional<T>& item) {
    check_get();
    items_.take(item);
    count_get();
  }

  Items items_;
};

/// What get() gives.
template <class T, class Items>
class [[nodiscard]] BasicQueue<T, Items>::Get : public Operation<Get, T> {
 public:
  /// For get().
  explicit Get(BasicQueue& queue) noexcept : queue_(&queue) {}
  Get(Get&&) = default;
  /// Leaves the line, and passes on a wake-up that it was given.
  ~Get() {
    if (waiter_.in_line()) queue_->leave_getters(waiter_);
  }

  /// See TaskBody.
  Step step(Resumption& resumption) {
    waiter_.check_owner(resumption, Items::kName);
    if (queue_->wait_for_item(resumption, waiter_)) return waiter_.wait();
    queue_->take(item_);
    return Step::done();
  }
  /// See TaskBody.
  T result() { return std::move(*item_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "Queue.get";

 private:
  BasicQueue* queue_;
  detail::Waiter waiter_;
  std::optional<T> item_;
};

/// What put() gives.
template <class T, class Items>
class [[nodiscard]] BasicQueue<T, Items>::Put : public Operation<Put, void> {
 public:
  /// For put().
  Put(BasicQueue& queue, T&& item) : queue_(&queue), item_(std::move(item)) {}
  Put(Put&&) = default;
  /// Leaves the line, and passes on a wake-up that it was given.
  ~Put() {
    if (waiter_.in_line()) queue_->leave_putters(waiter_);
  }

  /// See TaskBody.
  Step step(Resumption& resumption) {
    waiter_.check_owner(resumption, Items::kName);
    if (queue_->wait_for_room(resumption, waiter_)) return waiter_.wait();
    queue_->add(std::move(item_));
    return Step::done();
  }
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "Queue.put";

 private:
  BasicQueue* queue_;
  detail::Waiter waiter_;
  T item_;
};

/// Hands items from task to task, in the order in which they were put.
///
///     Queue<Job> jobs(10);
///     co_await jobs.put(std::move(job));     // waits while ten are in it
///     Job job = co_await jobs.get();         // waits while none is
///     jobs.task_done();
///     co_await jobs.join();                  // until all are done
///
/// A plain callback uses put_nowait() and get_nowait(). T may be movable only.
///
/// Who waits is served in the order they came, but an item is not handed over:
/// the first in line is woken, and takes what is there when it runs. Whoever
/// asks in between may be faster, and then the one that was woken waits again,
/// behind the others.
///
/// Threading: belongs to the loop of the first task that waits for it; see
///   Lock.
/// Lifetime: those who wait when it is destroyed get RuntimeError("Queue was
///   destroyed").
/// Cost: waiting takes a future, which is recycled; room for items is kept
///   once it is allocated.
///
/// Source: asyncio.Queue of CPython 3.11, with 3.13's shutdown().
template <class T>
class Queue : public BasicQueue<T, detail::FifoItems<T>> {
 public:
  /// For at most `maxsize` items; 0 or less: any number.
  explicit Queue(std::ptrdiff_t maxsize = 0)
      : BasicQueue<T, detail::FifoItems<T>>(maxsize, {}) {}
};

/// A Queue that gives the newest item first.
template <class T>
class LifoQueue : public BasicQueue<T, detail::LifoItems<T>> {
 public:
  /// As Queue's.
  explicit LifoQueue(std::ptrdiff_t maxsize = 0)
      : BasicQueue<T, detail::LifoItems<T>>(maxsize, {}) {}
};

/// A Queue that gives the smallest item first. Which of two equal ones is not
/// promised; it is the one that Python's heapq would give.
///
/// If `Less` throws, nothing has changed.
template <class T, class Less = std::less<T>>
class PriorityQueue : public BasicQueue<T, detail::SortedItems<T, Less>> {
 public:
  /// As Queue's. `less(a, b)`: whether a comes out before b.
  explicit PriorityQueue(std::ptrdiff_t maxsize = 0, Less less = Less())
      : BasicQueue<T, detail::SortedItems<T, Less>>(
            maxsize, detail::SortedItems<T, Less>(std::move(less))) {}
};

}  // namespace rondo
